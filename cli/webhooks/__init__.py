"""Commands about endpoints and their webhooks."""
