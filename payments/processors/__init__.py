"""Processors: the port that each of them implements, and the processors themselves."""
