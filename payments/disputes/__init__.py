"""Disputes: applying processors' reports of them, and reading them."""
