"""The world's side of the money: the port every processor stands behind, and the processors."""
