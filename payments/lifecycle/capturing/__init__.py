"""Charges that are captured by hand: what is asked for, what answers mean, what is written."""
