"""The routes, one noun per file. Each parses, calls one function, and answers."""
