"""What a process asks of the system that it runs on."""
