"""What may happen: the rules over the tables."""
