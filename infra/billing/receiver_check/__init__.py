"""Test deliveries for a receiver of webhooks, and the evaluation of its answers."""
