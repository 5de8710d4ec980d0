"""Accepting: where all doors end, and what is written of a charge or a refund first."""
