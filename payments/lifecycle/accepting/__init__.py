"""Accepting charges and refunds: what every door calls, and the row that is written first."""
