"""Retention: what is deleted by its age, and what is erased for one customer."""
