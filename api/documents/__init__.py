"""The documents of docs/ that are made from the code."""
