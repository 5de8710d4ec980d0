"""Commands for single processes, as in a container."""
