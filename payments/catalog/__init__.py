"""Products, prices and stock: what is sold, what it costs, and how much of it is left."""
