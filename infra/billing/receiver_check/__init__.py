"""What a receiver of webhooks is tried with, and what its answers say about it."""
