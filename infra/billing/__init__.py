"""The SDK of the billing service: how other services ask for charges and refunds.

::

    from infra import billing

    billing.configure(url="redis://:password@broker:6379/0")  # or set BILLING_URL
    charge = billing.charge.create(
        amount=billing.minor("19.99", "USD"),
        currency="USD",
        payment_method_id="pm_card_visa",
        idempotency_key="order-1042",
    )
    charge.charge_id, charge["state"]  # its id comes from the key: the same for every repeat

A receiver of webhooks: `billing.webhook.verify(body, headers, secret)`. What can go wrong is in
`infra.billing.errors`. Everything here may be used from any thread, and after a fork.
"""

from infra.billing import charge, errors, refund, webhook
from infra.billing.client import configure
from infra.billing.errors import (
    BillingError,
    InvalidRequest,
    InvalidSignature,
    NotConfigured,
    ReadingNeedsHttp,
    Unavailable,
)
from infra.billing.money import minor
from infra.billing.results import Charge, Event, Page, Refund

__all__ = [
    "BillingError",
    "Charge",
    "Event",
    "InvalidRequest",
    "InvalidSignature",
    "NotConfigured",
    "Page",
    "ReadingNeedsHttp",
    "Refund",
    "Unavailable",
    "charge",
    "configure",
    "errors",
    "minor",
    "refund",
    "webhook",
]
