"""The server behind `billing mcp`: its tools, and the bounds of their answers."""
