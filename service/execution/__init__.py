"""How a process carries charges and refunds: its executors, and how they call processors."""
