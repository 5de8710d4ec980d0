"""What the service and those who ask it have promised each other, each rule written once.

The SDK beside it and the service both import it; it imports nothing of either and, but for
`requests`, nothing that a receiver of webhooks need not load.
"""
