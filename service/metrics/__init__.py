"""Metrics of this process, for Prometheus. The list is in `catalogue`."""
