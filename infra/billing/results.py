"""What comes back: charges, refunds, what is sold and for how much, events, endpoints."""

from collections.abc import Mapping
from typing import Any, ClassVar

from infra.billing.objects import Resource


class Line(Resource):
    """A part of what a quantity costs: `amount` = `quantity` × `unit_amount`, and the `reason` in
    words. `type` is unit, package or flat."""

    __slots__ = ()
    _shown = ("type", "quantity", "unit_amount", "amount")

    type: str
    quantity: int
    unit_amount: str
    amount: int
    reason: str


class NextAction(Resource):
    """What a customer has to do before a charge goes on. `redirect_to_url`: send them to `url`,
    which works until `expires_at`, if that is known."""

    __slots__ = ()
    _shown = ("type",)

    type: str
    url: str | None
    expires_at: str | None


class Charge(Resource):
    """Money taken from a customer, once. `amount` in minor units of `currency`.

    `state` is pending, succeeded or failed; one that was canceled has failed, with the
    `failure_code` canceled or expired. `next_action` says what its customer has to do.

    Times are RFC 3339 in UTC; `created_at` is None while
    only the broker knows of it, and so are `amount` and `currency` of a charge by price. `lines`
    say how the amount of such a charge came about. `producer` is who asked; `livemode` whether real
    money moves, None while only the broker knows of it.
    """

    __slots__ = ()
    _shown = ("charge_id", "state", "amount", "currency")
    _parts: ClassVar[Mapping[str, type[Resource]]] = {"lines": Line, "next_action": NextAction}

    charge_id: str
    object: str
    amount: int | None
    currency: str | None
    state: str
    phase: str | None
    customer_id: str | None
    payment_method_id: str | None
    price_id: str | None
    quantity: int | None
    lines: list[Line] | None
    reference: str | None
    description: str | None
    metadata: dict[str, str]
    refunded_amount: int
    refund_pending_amount: int
    failure_code: str | None
    failure_message: str | None
    next_action: NextAction | None
    processor: str | None
    livemode: bool | None
    processor_reference: str | None
    producer: str
    idempotency_key: str
    created_at: str | None
    scheduled_at: str | None
    expires_at: str | None
    cancel_requested_at: str | None
    settled_at: str | None


class Refund(Resource):
    """Money given back. `amount` in minor units of the charge's currency; both are None until the
    service has seen the charge, when all that is left is to be refunded."""

    __slots__ = ()
    _shown = ("refund_id", "state", "charge_id", "amount", "currency")

    refund_id: str
    object: str
    charge_id: str
    amount: int | None
    currency: str | None
    state: str
    phase: str | None
    reason: str | None
    restock: bool
    restock_quantity: int | None
    failure_code: str | None
    failure_message: str | None
    livemode: bool | None
    processor_reference: str | None
    producer: str
    idempotency_key: str
    metadata: dict[str, str]
    created_at: str | None
    settled_at: str | None


class Event(Resource):
    """Something that happened: a webhook that was verified, or one of the feed. `id` is the same on
    every retry; `sequence` counts the events of one object from 1; `data` is a Charge, a Refund, a
    Price, or another Resource. Those of the feed have a `position`, too."""

    __slots__ = ()
    _shown = ("id", "type", "sequence")

    id: str
    type: str
    timestamp: str
    sequence: int
    data: Resource


class Endpoint(Resource):
    """Where webhooks go. It has its `secret` only when that was just made."""

    __slots__ = ()
    # Neither its url, which may hold a password, nor the secret.
    _shown = ("id", "state")

    id: str
    object: str
    producer: str | None
    url: str
    description: str | None
    event_types: list[str]
    max_in_flight: int
    state: str
    created_at: str


class Product(Resource):
    """Something that is sold. Its prices say what it costs."""

    __slots__ = ()
    _shown = ("id", "name", "active")

    id: str
    object: str
    name: str
    description: str | None
    active: bool
    livemode: bool
    metadata: dict[str, str]
    created_at: str
    updated_at: str


class Currency(Resource):
    """A currency of ISO 4217: its `code` in upper case, and how many decimals it has."""

    __slots__ = ()
    _shown = ("id", "name", "decimal")

    id: str
    object: str
    code: str
    name: str
    decimal: int


class Price(Resource):
    """What a product costs, in one currency and by one model. `unit_amount` in minor units, as
    digits; None for a price with tiers. `quantity_available` is what is left; None = unlimited."""

    __slots__ = ()
    _shown = ("id", "lookup_key", "unit_amount", "currency_code", "quantity_available")
    _parts: ClassVar[Mapping[str, type[Resource]]] = {
        "recurring": Resource,
        "tiers": Resource,
        "transform_quantity": Resource,
        "product": Product,
        "currency": Currency,
    }

    id: str
    object: str
    product_id: str
    nickname: str | None
    active: bool
    livemode: bool
    type: str
    billing_scheme: str
    unit_amount: str | None
    recurring: Resource | None
    tiers: list[Resource] | None
    tiers_mode: str | None
    transform_quantity: Resource | None
    currency_id: str
    currency_code: str
    lookup_key: str | None
    quantity_available: int | None
    metadata: dict[str, str]
    created_at: str
    updated_at: str
    product: Product
    currency: Currency


class Quote(Resource):
    """What a quantity costs by a price, in minor units of `currency`, and why: its `lines`."""

    __slots__ = ()
    _shown = ("price_id", "quantity", "amount", "currency")
    _parts: ClassVar[Mapping[str, type[Resource]]] = {"lines": Line}

    object: str
    price_id: str
    quantity: int
    amount: int
    currency: str
    lines: list[Line]


_KINDS = {"charge": Charge, "refund": Refund, "price": Price, "product": Product}


def resource(fields: Mapping[str, Any]) -> Resource:
    """The object that `fields` are, by their `object`."""
    return _KINDS.get(fields.get("object", ""), Resource)(fields)
