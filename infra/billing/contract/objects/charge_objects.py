"""Charges, field by field.

Every field is always there, and null where there is nothing to say. Fields may be added later, so
unknown ones are to be ignored.
"""

from typing import Annotated, Literal

from infra.billing.contract.failures import Advice
from infra.billing.contract.ids import PREFIXES
from infra.billing.contract.objects import shared
from infra.billing.contract.objects.object_fields import (
    Amount,
    CurrencyCode,
    Moment,
    OneOf,
    Shown,
    Sum,
    id_pattern,
)
from infra.billing.contract.objects.resource import Resource
from infra.billing.contract.objects.sales import A_PRICE, Line
from infra.billing.contract.public_states import State

A_CHARGE = "ch_3uvsrh44memag4sj6rp4mz6jzdcu7afd"


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
    state: Annotated[str, OneOf(State), Shown(shared.STATE, pending=State.PENDING.value)]
    phase: shared.Phase
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
    statement_descriptor: Annotated[
        str | None, Shown("What the customer's bank statement says.", example="TICKETS 1001")
    ]
    metadata: Annotated[shared.Metadata, Shown(example={"cart": "42"})]
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
    disputed_amount: Annotated[
        Sum,
        Shown(
            "What banks contest of it and have taken back, for now or for good, in minor units."
            " Inquiries don't count.",
            example=0,
            pending=0,
        ),
    ]
    fee: Annotated[
        int | None,
        Shown(
            "What the processor keeps of it, in minor units of `settlement_currency`; null: not"
            " known (yet).",
            example=None,
        ),
    ]
    net: Annotated[
        int | None,
        Shown(
            "What the processor pays out of it, in minor units of `settlement_currency`: refunds"
            " and disputes are not in it.",
            example=None,
        ),
    ]
    settlement_currency: Annotated[
        str | None,
        Shown("The currency of `fee` and `net`: that of the payout.", example=None),
    ]
    failure_code: shared.FailureCode
    failure_message: Annotated[shared.FailureMessage, Shown(example="The card was declined.")]
    failure_advice: Annotated[
        Annotated[str, OneOf(Advice)] | None,
        Shown(
            "What to do about a failure, or null. `retry_later`: another try, with a new key, may"
            " work by itself, from `retry_at` on. `ask_customer`: it won't before the customer does"
            " something, such as use another card. `stop`: don't try this payment method again."
        ),
    ]
    retry_at: Annotated[
        Moment | None, Shown("From when on another try makes sense, with `retry_later`.")
    ]
    return_url: Annotated[
        str | None,
        Shown(
            "Where the customer comes back to; null: no customer is present.",
            example="https://shop.example.com/orders/1001/paid",
        ),
    ]
    next_action: Annotated[
        NextAction | None,
        Shown("What the customer has to do, while the charge waits for that; else null."),
    ]
    processor: Annotated[
        str | None, Shown("The processor that moves the money.", example="sandbox", always=True)
    ]
    livemode: shared.Livemode
    processor_reference: Annotated[shared.ProcessorReference, Shown(example="sbx_1f0c9a")]
    producer: shared.Producer
    idempotency_key: Annotated[shared.Key, Shown(example="order-1001-charge")]
    created_at: shared.CreatedAt
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
    settled_at: shared.SettledAt
