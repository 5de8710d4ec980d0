"""Stripe's objects: what they look like, and what may be done to them."""
