"""The requests at every door: a model for each, and how fields become one.

The only part of the contract that needs pydantic: receivers of webhooks, and producers that use
HTTP, do without it.
"""
