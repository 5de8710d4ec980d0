"""Charges that are captured by hand: the requests, what answers mean, and what is written."""
