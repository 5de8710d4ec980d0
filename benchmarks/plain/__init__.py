"""The plain way: charges and webhooks the plain way, as the manuals of its parts recommend."""
