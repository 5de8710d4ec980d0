"""What the description of the HTTP door says of the whole of it: its title, summary and tags."""

TITLE = "Billing"
VERSION = "1"
SUMMARY = """\
Charges and refunds, exactly once, with signed webhooks.

Amounts are whole numbers of the currency's smallest unit: 1999 is USD 19.99, 500 is JPY 500. A
request is accepted when it is answered with 202; what became of it is told by webhook, by the feed
of events, and here. Send an `Idempotency-Key` with every charge and refund, and repeat what you
got no answer to: under one key money moves once.

Refusals are problem documents (RFC 9457): `code` is for programs, `detail` says what to send
instead. Every answer has an `X-Request-Id`, which our log lines have, too; send your own and it is
kept.
"""
TAGS = [
    {"name": "Charges", "description": "Money taken from customers."},
    {"name": "Refunds", "description": "Money given back."},
    {"name": "Disputes", "description": "Charges that banks contest."},
    {"name": "Products", "description": "What is sold."},
    {"name": "Prices", "description": "What it costs, and how much is left."},
    {"name": "Currencies", "description": "What it is paid in."},
    {"name": "Events", "description": "The feed: the same events as webhooks, to read."},
    {"name": "Webhook endpoints", "description": "URLs that receive events."},
    {"name": "Deliveries", "description": "What became of each webhook, and sending it again."},
    {"name": "Finance", "description": "Exports and reports, for those who keep the books."},
    {"name": "Webhooks", "description": "What your endpoints are sent."},
    {"name": "Operating", "description": "Search, and what people and API keys did."},
    {"name": "Processors", "description": "What processors tell, signed by them, so no key."},
    {"name": "Health", "description": "Probes for load balancers and alerts; they need no key."},
]
