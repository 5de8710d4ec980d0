"""The transports of kombu, made safe: nothing that lies in the broker stops a worker."""
