"""The receiver's side of webhooks: verify them, and handle each event once."""
