"""The door for agents: `billing mcp`, a server of the Model Context Protocol."""
