"""Who asks, and what they may do: API keys, scopes and signed messages."""
