"""The SDK of the billing service: how other services ask for charges and refunds.

::

    from infra import billing

    billing.configure(url="https://billing.example", api_key="…")  # or the broker: redis://…
    charge = billing.charge.create(
        amount=billing.minor("19.99", "USD"),
        currency="USD",
        payment_method_id="pm_card_visa",
        idempotency_key="order-1042",
    )
    charge.charge_id, charge["state"]  # its id comes from the key: the same for every repeat

What is sold, and for how much: `billing.product`, `billing.price`, `billing.currency`.
A receiver of webhooks: `billing.webhook.verify(body, headers, secret)`. What can go wrong is in
`infra.billing.errors`. Everything here may be used from any thread, and after a fork.
"""

from infra.billing import (
    charge,
    currency,
    endpoint,
    errors,
    event,
    price,
    product,
    refund,
    webhook,
)
from infra.billing.client import configure
from infra.billing.errors import (
    BillingError,
    CaptureExceedsCharge,
    ChargeNotCancelable,
    ChargeNotCapturable,
    ChargeNotRefundable,
    Conflict,
    EndpointDisabled,
    InsufficientInventory,
    InsufficientScope,
    InvalidRequest,
    InvalidSignature,
    InventoryUnlimited,
    KeyReused,
    LookupKeyInUse,
    MoveNotAllowed,
    NotConfigured,
    NotFound,
    NothingToRestock,
    PriceInactive,
    PriceInUse,
    PriceLocked,
    ProductInactive,
    ProductInUse,
    RateLimited,
    ReadingNeedsHttp,
    ReferenceInUse,
    RefundExceedsCharge,
    RequestExpired,
    TooLarge,
    Unauthenticated,
    Unavailable,
    UnexpectedAmount,
)
from infra.billing.money import minor
from infra.billing.objects import Listing, Page
from infra.billing.results import (
    Charge,
    Currency,
    Endpoint,
    Event,
    Line,
    NextAction,
    Price,
    Product,
    Quote,
    Refund,
    RejectedRequest,
    Resource,
    TimelineEntry,
)
from infra.billing.version import __version__

__all__ = [
    "BillingError",
    "CaptureExceedsCharge",
    "Charge",
    "ChargeNotCancelable",
    "ChargeNotCapturable",
    "ChargeNotRefundable",
    "Conflict",
    "Currency",
    "Endpoint",
    "EndpointDisabled",
    "Event",
    "InsufficientInventory",
    "InsufficientScope",
    "InvalidRequest",
    "InvalidSignature",
    "InventoryUnlimited",
    "KeyReused",
    "Line",
    "Listing",
    "LookupKeyInUse",
    "MoveNotAllowed",
    "NextAction",
    "NotConfigured",
    "NotFound",
    "NothingToRestock",
    "Page",
    "Price",
    "PriceInUse",
    "PriceInactive",
    "PriceLocked",
    "Product",
    "ProductInUse",
    "ProductInactive",
    "Quote",
    "RateLimited",
    "ReadingNeedsHttp",
    "ReferenceInUse",
    "Refund",
    "RefundExceedsCharge",
    "RejectedRequest",
    "RequestExpired",
    "Resource",
    "TimelineEntry",
    "TooLarge",
    "Unauthenticated",
    "Unavailable",
    "UnexpectedAmount",
    "__version__",
    "charge",
    "configure",
    "currency",
    "endpoint",
    "errors",
    "event",
    "minor",
    "price",
    "product",
    "refund",
    "webhook",
]
