"""Charges and refunds, field by field.

Every field is always there, and null where there is nothing to say. Fields may be added later, so
unknown ones are to be ignored.
"""

from typing import Annotated, Literal

from infra.billing.contract.failures import DECLINES, FAILURES
from infra.billing.contract.ids import PREFIXES
from infra.billing.contract.objects.fields import (
    Amount,
    CurrencyCode,
    Metadata,
    Moment,
    OneOf,
    Shown,
    Sum,
    id_pattern,
)
from infra.billing.contract.objects.resource import Resource
from infra.billing.contract.objects.sales import A_PRICE, Line
from infra.billing.contract.states import Phase, State

A_CHARGE = "ch_3uvsrh44memag4sj6rp4mz6jzdcu7afd"
A_REFUND = "re_odmrym533wgskk5fmtdepkx22texqics"

_STATE = "`pending`, until it is `succeeded` or `failed` for good."
_PHASE = (
    "Where a pending one stands; null once it is final. `queued`: surely not executed, due soon."
    " `in_flight`: a worker asks the processor. `unknown`: money may have moved; the processor is"
    " asked before anything else is done. `awaiting_customer`: the processor waits."
    " `authorized`: the money of a charge is set aside, to be captured."
    " `needs_review`: nobody could find out; a person decides."
)

# --- Fields that both have

_Phase = Annotated[Annotated[str, OneOf(Phase)] | None, Shown(_PHASE, pending=Phase.QUEUED.value)]
_FailureCode = Annotated[
    str | None,
    Shown(
        "Why it failed, or null: one of the codes of docs/reference/errors.md. New ones may come.",
        examples=[*DECLINES, *FAILURES],
    ),
]
_FailureMessage = Annotated[
    str | None, Shown("One sentence for people, or null. Read `failure_code` in programs.")
]
_Livemode = Annotated[
    bool | None,
    Shown(
        "Whether the processor moves real money; the sandbox doesn't.", example=False, always=True
    ),
]
_ProcessorReference = Annotated[
    str | None, Shown("The processor's own id of it, once it gave one.")
]
_Producer = Annotated[
    str,
    Shown(
        "Who asked for it: the name of the API key, or the `producer` of the message. Its id is"
        " made of this and the key.",
        example="shop",
    ),
]
_Key = Annotated[
    str,
    Shown(
        "The key it was asked for under, or, over the broker without one, the message's task id."
    ),
]
_Metadata = Annotated[Metadata, Shown(pending={})]
_CreatedAt = Annotated[Moment | None, Shown("When it was accepted. RFC 3339, in UTC.", always=True)]
_SettledAt = Annotated[Moment | None, Shown("When it became final, or null.")]


class NextAction(Resource):
    """What the customer has to do before a charge goes on."""

    __slots__ = ()
    _shown = ("type",)

    type: Annotated[
        str,
        Shown(
            "What kind of thing it is. `redirect_to_url`: send the customer to `url`.",
            example="redirect_to_url",
        ),
    ]
    url: Annotated[
        str | None,
        Shown(
            "Where to send the customer, if it is a page.",
            example="https://pay.example.com/authenticate/sbx_1f0c9a",
        ),
    ]
    expires_at: Annotated[Moment | None, Shown("Until when that works, if the processor says so.")]


class Charge(Resource):
    """Money taken from a customer, once."""

    __slots__ = ()
    _shown = ("charge_id", "state", "amount", "currency")

    charge_id: Annotated[
        str,
        Shown(
            "Made from the producer and the idempotency key.",
            pattern=id_pattern(PREFIXES["charge"]),
            example=A_CHARGE,
        ),
    ]
    object: Literal["charge"]
    amount: Annotated[
        Amount | None, Shown("In minor units of `currency`: 1999 is 19.99 USD.", always=True)
    ]
    currency: Annotated[CurrencyCode | None, Shown("ISO 4217, upper case.", always=True)]
    state: Annotated[str, OneOf(State), Shown(_STATE, pending=State.PENDING.value)]
    phase: _Phase
    customer_id: Annotated[str | None, Shown("The caller's.", example="cus_123")]
    payment_method_id: Annotated[
        str | None, Shown("The processor's id of what is charged.", example="pm_card_visa")
    ]
    price_id: Annotated[
        str | None,
        Shown(
            "The price it was charged by; null if an amount was asked for.",
            example=A_PRICE,
        ),
    ]
    quantity: Annotated[
        int | None,
        Shown("How many units of the price, which are held for it until it is final.", example=2),
    ]
    lines: Annotated[
        list[Line] | None,
        Shown(
            "What the amount was made of when it was accepted, whatever became of the price; null"
            " if an amount was asked for."
        ),
    ]
    reference: Annotated[
        str | None,
        Shown(
            "The caller's own order: at most one pending or succeeded charge has it.",
            example="order-1001",
        ),
    ]
    description: Annotated[str | None, Shown("The caller's words.", example="Two tickets")]
    metadata: Annotated[_Metadata, Shown(example={"cart": "42"})]
    capture: Annotated[
        str,
        OneOf(("automatic", "manual")),
        Shown(
            "`automatic`: the money is taken at once. `manual`: it is only set aside, until"
            " somebody captures it.",
            example="automatic",
            pending="automatic",
        ),
    ]
    amount_captured: Annotated[
        Sum,
        Shown(
            "What was taken so far, in minor units: all of it once the charge has succeeded, unless"
            " less was captured.",
            example=1999,
            pending=0,
        ),
    ]
    amount_capturable: Annotated[
        Sum,
        Shown("What is set aside and can be captured, in minor units.", example=0, pending=0),
    ]
    capture_before: Annotated[
        Moment | None,
        Shown("When what is set aside is let go of, unless it is captured; null: nobody said."),
    ]
    capture_failure_code: Annotated[
        str | None,
        Shown(
            "Why the last capture took nothing, or null: a code like `failure_code`. The charge"
            " is still authorized then."
        ),
    ]
    refunded_amount: Annotated[
        Sum,
        Shown(
            "What went back so far, in minor units: the sum of succeeded refunds.",
            example=0,
            pending=0,
        ),
    ]
    refund_pending_amount: Annotated[
        Sum,
        Shown(
            "What is on its way back, in minor units: the sum of the refunds that hold their part"
            " of the charge and are not final yet. With `refunded_amount` it is what"
            " `expected_refunded_amount` of a refund is held against, and `amount_captured` without"
            " both is left to refund.",
            example=0,
            pending=0,
        ),
    ]
    failure_code: _FailureCode
    failure_message: Annotated[_FailureMessage, Shown(example="The card was declined.")]
    next_action: Annotated[
        NextAction | None,
        Shown("What the customer has to do, while the charge waits for that; else null."),
    ]
    processor: Annotated[str | None, Shown("Who moves the money.", example="sandbox", always=True)]
    livemode: _Livemode
    processor_reference: Annotated[_ProcessorReference, Shown(example="sbx_1f0c9a")]
    producer: _Producer
    idempotency_key: Annotated[_Key, Shown(example="order-1001-charge")]
    created_at: _CreatedAt
    scheduled_at: Annotated[
        Moment | None, Shown("When it is to be made, as it was asked for; null: at once.")
    ]
    expires_at: Annotated[
        Moment | None, Shown("When it is canceled unless it is final by then; null: never.")
    ]
    cancel_requested_at: Annotated[
        Moment | None,
        Shown(
            "When somebody asked for its end, or its time was up. While it is pending, the"
            " processor is being asked; money that moved meanwhile wins."
        ),
    ]
    settled_at: _SettledAt


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
            f"{_STATE} One exception: a bank may return a refund later, and `succeeded` becomes"
            " `failed` with `refund_failed`.",
            pending=State.PENDING.value,
        ),
    ]
    phase: _Phase
    reason: Annotated[str | None, Shown("The caller's words.", example="one seat too many")]
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
    failure_code: _FailureCode
    failure_message: Annotated[_FailureMessage, Shown(example="The bank returned the refund.")]
    livemode: _Livemode
    processor_reference: Annotated[_ProcessorReference, Shown(example="sbx_2e51bb")]
    producer: _Producer
    idempotency_key: Annotated[_Key, Shown(example="order-1001-refund-1")]
    metadata: Annotated[_Metadata, Shown(example={"ticket": "881"})]
    created_at: _CreatedAt
    settled_at: _SettledAt
