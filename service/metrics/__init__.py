"""What this process did, in numbers, for Prometheus. What they are: `catalogue`."""
