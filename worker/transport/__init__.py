"""kombu's transports, made safe: nothing in the broker can stop a worker."""
