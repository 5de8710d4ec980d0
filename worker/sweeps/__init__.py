"""The sweeps: what is due is found in the tables, each second, and woken."""
