"""Disputes, field by field."""

from typing import Annotated, Literal

from infra.billing.contract.ids import DISPUTE_PREFIX, PREFIXES
from infra.billing.contract.objects.charge_objects import A_CHARGE
from infra.billing.contract.objects.object_fields import (
    Amount,
    CurrencyCode,
    Moment,
    OneOf,
    Shown,
    id_pattern,
)
from infra.billing.contract.objects.resource import Resource
from infra.billing.contract.public_states import DisputeState

A_DISPUTE = "dp_l6k2mqn3hxgkb4tq5cr7vweyz2sduoai"


class Dispute(Resource):
    """A customer's bank contests a charge. It is answered at the processor; here is how it
    stands."""

    __slots__ = ()
    _shown = ("dispute_id", "state", "charge_id", "amount", "currency")

    dispute_id: Annotated[
        str,
        Shown(
            "Made from the processor's name and its own id.",
            pattern=id_pattern(DISPUTE_PREFIX),
            example=A_DISPUTE,
        ),
    ]
    object: Literal["dispute"]
    charge_id: Annotated[
        str,
        Shown(
            "The charge that is contested.",
            pattern=id_pattern(PREFIXES["charge"]),
            example=A_CHARGE,
        ),
    ]
    amount: Annotated[Amount, Shown("What is contested, in minor units of `currency`.")]
    currency: Annotated[CurrencyCode, Shown("As the processor tells it: the charge's, mostly.")]
    state: Annotated[
        str,
        OneOf(DisputeState),
        Shown(
            "`needs_response`: send evidence at the processor, by `respond_by`. `under_review`: the"
            " bank decides. `won`, `lost`: it has. A `warning_…` is an inquiry: the bank asks, and"
            " takes no money (yet).",
            example="needs_response",
        ),
    ]
    reason: Annotated[str, Shown("Why, in the processor's word.", example="fraudulent")]
    respond_by: Annotated[
        Moment | None, Shown("Evidence that comes later is not looked at; null: nobody said.")
    ]
    processor: Annotated[str, Shown("The processor that reported it.", example="sandbox")]
    livemode: Annotated[bool, Shown("Whether the processor moves real money.", example=False)]
    processor_reference: Annotated[
        str, Shown("The processor's own id of it.", example="sbx_dp_1f0c9a")
    ]
    producer: Annotated[str, Shown("Whose charge it is.", example="shop")]
    created_at: Annotated[Moment, Shown("When we heard of it first.")]
    closed_at: Annotated[Moment | None, Shown("When we heard that it is over, or null.")]
