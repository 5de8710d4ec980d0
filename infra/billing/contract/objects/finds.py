"""What a search finds, field by field."""

from typing import Annotated, Literal

from infra.billing.contract.objects.charge_objects import A_CHARGE
from infra.billing.contract.objects.object_fields import Amount, CurrencyCode, Moment, OneOf, Shown
from infra.billing.contract.objects.resource import Resource

TYPES = (
    "charge", "refund", "dispute", "event", "delivery", "webhook_endpoint", "product", "price",
    "api_key", "rejected_request", "audit_entry",
)  # fmt: skip
BY = (
    "id", "idempotency_key", "reference", "customer_id", "processor_reference", "request_id",
    "amount", "metadata", "lookup_key", "url", "producer", "actor",
)  # fmt: skip


class Find(Resource):
    """Something that a search has found."""

    __slots__ = ()
    _shown = ("type", "id", "state", "created_at")

    type: Annotated[str, OneOf(TYPES), Shown("What kind of object it is.", example="charge")]
    id: Annotated[str, Shown("Its id.", example=A_CHARGE)]
    object: Literal["find"]
    found_by: Annotated[
        list[Annotated[str, OneOf(BY)]],
        Shown("What of it was searched for.", example=["reference"]),
    ]
    created_at: Annotated[Moment, Shown("When it was made.")]
    producer: Annotated[str | None, Shown("Whose it is; null: everybody's.", example="shop")]
    name: Annotated[
        str | None,
        Shown(
            "What it is called: a charge's reference, an event's type, an endpoint's URL, a"
            " product's name, an action.",
            example="order-1042",
        ),
    ]
    state: Annotated[str | None, Shown("Its state, if it has one.", example="succeeded")]
    amount: Annotated[Amount | None, Shown("In minor units of `currency`, if it has one.")]
    currency: Annotated[CurrencyCode | None, Shown("Of the amount.")]
