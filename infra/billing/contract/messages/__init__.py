"""Messages over the broker: the names of tasks, the form of a call, and Redis's envelope."""
