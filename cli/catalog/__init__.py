"""Commands about products, prices and currencies."""
