"""The caller and its permissions: API keys, scopes and signed messages."""
