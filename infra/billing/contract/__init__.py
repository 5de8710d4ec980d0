"""The contract between the service and its callers, each rule written once.

The SDK beside it and the service both import it; it imports nothing of either and, except in
`requests`, nothing that a receiver of webhooks doesn't need.
"""
