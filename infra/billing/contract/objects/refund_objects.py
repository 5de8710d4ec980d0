"""Refunds, field by field.

Every field is always there, and null where there is nothing to say. Fields may be added later, so
unknown ones are to be ignored.
"""

from typing import Annotated, Literal

from infra.billing.contract.ids import PREFIXES
from infra.billing.contract.objects import shared
from infra.billing.contract.objects.charge_objects import A_CHARGE
from infra.billing.contract.objects.object_fields import (
    Amount,
    CurrencyCode,
    OneOf,
    Shown,
    id_pattern,
)
from infra.billing.contract.objects.resource import Resource
from infra.billing.contract.public_states import State

A_REFUND = "re_odmrym533wgskk5fmtdepkx22texqics"


class Refund(Resource):
    """Money given back: a charge in part or in full, and never more than was taken."""

    __slots__ = ()
    _shown = ("refund_id", "state", "charge_id", "amount", "currency")

    refund_id: Annotated[
        str,
        Shown(
            "Made from the producer and the idempotency key.",
            pattern=id_pattern(PREFIXES["refund"]),
            example=A_REFUND,
        ),
    ]
    object: Literal["refund"]
    # No more than the prefix: a refund may wait for a charge that never comes, under any id.
    charge_id: Annotated[
        str,
        Shown("The charge that is refunded.", pattern=f"^{PREFIXES['charge']}", example=A_CHARGE),
    ]
    amount: Annotated[
        Amount | None,
        Shown(
            "In minor units of `currency`. Null while it means `all that is left` and the charge"
            " has not succeeded yet.",
            example=500,
        ),
    ]
    currency: Annotated[
        CurrencyCode | None, Shown("The charge's. Null while the charge has not been seen.")
    ]
    state: Annotated[
        str,
        OneOf(State),
        Shown(
            f"{shared.STATE} One exception: a bank may return a refund later, and `succeeded`"
            " becomes `failed` with `refund_failed`.",
            pending=State.PENDING.value,
        ),
    ]
    phase: shared.Phase
    reason: Annotated[str | None, Shown("The caller's words.", example="one seat too many")]
    warnings: Annotated[
        list[str],
        Shown(
            "What the caller should know, as codes. `charge_disputed`: when it was asked for, a"
            " bank contested the charge, so that the customer may get the money twice.",
            example=[],
            pending=[],
        ),
    ]
    restock: Annotated[
        bool,
        Shown(
            "Whether units of the charge come back, too: for sale again when it succeeds.",
            pending=False,
        ),
    ]
    restock_quantity: Annotated[
        int | None,
        Shown(
            "How many come back. Null while it means `all that are still out` and the charge has"
            " not been seen, or when none do.",
            example=None,
        ),
    ]
    failure_code: shared.FailureCode
    failure_message: Annotated[
        shared.FailureMessage, Shown(example="The bank returned the refund.")
    ]
    livemode: shared.Livemode
    processor_reference: Annotated[shared.ProcessorReference, Shown(example="sbx_2e51bb")]
    producer: shared.Producer
    idempotency_key: Annotated[shared.Key, Shown(example="order-1001-refund-1")]
    metadata: Annotated[shared.Metadata, Shown(example={"ticket": "881"})]
    created_at: shared.CreatedAt
    settled_at: shared.SettledAt
