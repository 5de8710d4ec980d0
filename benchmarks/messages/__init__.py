"""What a message costs a worker, from the broker's queue to the acknowledgement."""
