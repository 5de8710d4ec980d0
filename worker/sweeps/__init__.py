"""The sweeps: every second they find what is due in the tables, and wake it."""
