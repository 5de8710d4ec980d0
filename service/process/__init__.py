"""What a process uses of its operating system."""
