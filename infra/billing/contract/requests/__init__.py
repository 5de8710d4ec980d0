"""What may be asked, at every door: a model for each request, and how fields become one.

The only part of the contract that needs pydantic: receivers of webhooks, and producers that ask
over HTTP, do without it.
"""
