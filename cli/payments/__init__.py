"""Commands about charges and refunds."""
