"""Delivery beside a bare loop of the same HTTP client, and beside endpoints that are dead."""
