"""The public objects, field by field: as `payments.views` makes them, with what each field means.

They are for documents and their readers; nothing is made or checked with them while money moves.
Every field is always there, and null where there is nothing to say. Fields may be added later, so
unknown ones are to be ignored.
"""

from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field

from api.description.catalogue import A_PRICE, QuoteLine
from api.description.fields import ID, METADATA, Amount, CurrencyCode, Moment, PublicObject
from infra.billing.contract.ids import PREFIXES
from infra.billing.contract.limits import IN_FLIGHT_MAX
from infra.billing.contract.money import AMOUNT_MAX
from models.states import Phase, State
from payments.processors.declines import DECLINES, FAILURES
from payments.timeline_entries import ORDER
from payments.webhooks.endpoints import IN_FLIGHT
from payments.webhooks.events import ONLY_BY_NAME, TYPES

_CHARGE_ID, _REFUND_ID = (f"^{PREFIXES[kind]}{ID}" for kind in ("charge", "refund"))
A_CHARGE = "ch_3uvsrh44memag4sj6rp4mz6jzdcu7afd"
_A_REFUND = "re_odmrym533wgskk5fmtdepkx22texqics"
_AN_ENDPOINT = "we_mfrggzdfmztwq2lknnwg23tpobyxe43u"

ChargeId = Annotated[str, Field(pattern=_CHARGE_ID, examples=[A_CHARGE])]
RefundId = Annotated[str, Field(pattern=_REFUND_ID, examples=[_A_REFUND])]

_PHASE = (
    "Where a pending one stands; null once it is final. `queued`: surely not executed, due soon."
    " `in_flight`: a worker asks the processor. `unknown`: money may have moved; the processor is"
    " asked before anything else is done. `awaiting_customer`: the processor waits."
    " `needs_review`: nobody could find out; a person decides."
)
_STATE = "`pending`, until it is `succeeded` or `failed` for good."
_FAILURE = (
    "Why it failed, or null: one of the codes of docs/reference/errors.md. New ones may come."
)
_SETTLED = "When it became final, or null."
_PRODUCER = (
    "Who asked for it: the name of the API key, or the `producer` of the message. Its id is made of"
    " this and the key."
)
_LIVEMODE = "Whether the processor moves real money; the sandbox doesn't."
_KEY = "The key it was asked for under, or, over the broker without one, the message's task id."
_DETAIL = "One sentence for people. Read `code` in programs."
_FAILURE_MESSAGE = "One sentence for people, or null. Read `failure_code` in programs."


class NextAction(PublicObject):
    """What the customer has to do before a charge goes on."""

    type: str = Field(
        description="What kind of thing it is. `redirect_to_url`: send the customer to `url`.",
        examples=["redirect_to_url"],
    )
    url: str | None = Field(
        description="Where to send the customer, if it is a page.",
        examples=["https://pay.example.com/authenticate/sbx_1f0c9a"],
    )
    expires_at: Moment | None = Field(
        description="Until when that works, if the processor says so."
    )


class Charge(PublicObject):
    """Money taken from a customer, once."""

    charge_id: ChargeId = Field(description="Made from the producer and the idempotency key.")
    object: Literal["charge"]
    amount: Amount = Field(description="In minor units of `currency`: 1999 is 19.99 USD.")
    currency: CurrencyCode = Field(description="ISO 4217, upper case.")
    state: State = Field(description=_STATE)
    phase: Phase | None = Field(description=_PHASE)
    customer_id: str | None = Field(description="The caller's.", examples=["cus_123"])
    payment_method_id: str | None = Field(
        description="The processor's id of what is charged.", examples=["pm_card_visa"]
    )
    price_id: str | None = Field(
        description="The price it was charged by; null if an amount was asked for.",
        examples=[A_PRICE],
    )
    quantity: int | None = Field(
        description="How many units of the price, which are held for it until it is final.",
        examples=[2],
    )
    lines: list[QuoteLine] | None = Field(
        description="What the amount was made of when it was accepted, whatever became of the"
        " price; null if an amount was asked for.",
    )
    reference: str | None = Field(
        description="The caller's own order: at most one pending or succeeded charge has it.",
        examples=["order-1001"],
    )
    description: str | None = Field(description="The caller's words.", examples=["Two tickets"])
    metadata: dict[str, str] = Field(description=METADATA, examples=[{"cart": "42"}])
    refunded_amount: Annotated[int, Field(ge=0, le=AMOUNT_MAX)] = Field(
        description="What went back so far, in minor units: the sum of succeeded refunds.",
        examples=[0],
    )
    refund_pending_amount: Annotated[int, Field(ge=0, le=AMOUNT_MAX)] = Field(
        description="What is on its way back, in minor units: the sum of the refunds that hold"
        " their part of the charge and are not final yet. With `refunded_amount` it is what"
        " `expected_refunded_amount` of a refund is held against, and `amount` without both is"
        " left to refund.",
        examples=[0],
    )
    failure_code: str | None = Field(description=_FAILURE, examples=[*DECLINES, *FAILURES])
    failure_message: str | None = Field(
        description=_FAILURE_MESSAGE, examples=["The card was declined."]
    )
    next_action: NextAction | None = Field(
        description="What the customer has to do, while the charge waits for that; else null."
    )
    processor: str = Field(description="Who moves the money.", examples=["sandbox"])
    livemode: bool = Field(description=_LIVEMODE, examples=[False])
    processor_reference: str | None = Field(
        description="The processor's own id of it, once it gave one.", examples=["sbx_1f0c9a"]
    )
    producer: str = Field(description=_PRODUCER, examples=["shop"])
    idempotency_key: str = Field(description=_KEY, examples=["order-1001-charge"])
    created_at: Moment = Field(description="When it was accepted. RFC 3339, in UTC.")
    scheduled_at: Moment | None = Field(
        description="When it is to be made, as it was asked for; null: at once."
    )
    expires_at: Moment | None = Field(
        description="When it is canceled unless it is final by then; null: never."
    )
    cancel_requested_at: Moment | None = Field(
        description="When somebody asked for its end, or its time was up. While it is pending, the"
        " processor is being asked; money that moved meanwhile wins.",
    )
    settled_at: Moment | None = Field(description=_SETTLED)


class Refund(PublicObject):
    """Money given back: a charge in part or in full, and never more than was taken."""

    refund_id: RefundId = Field(description="Made from the producer and the idempotency key.")
    object: Literal["refund"]
    # Not ChargeId: a refund may wait for a charge that never comes, under any id.
    charge_id: str = Field(
        description="The charge that is refunded.", pattern="^ch_", examples=[A_CHARGE]
    )
    amount: Amount | None = Field(
        description="In minor units of `currency`. Null while it means `all that is left` and"
        " the charge has not succeeded yet.",
        examples=[500],
    )
    currency: CurrencyCode | None = Field(
        description="The charge's. Null while the charge has not been seen."
    )
    state: State = Field(
        description=f"{_STATE} One exception: a bank may return a refund later, and `succeeded`"
        " becomes `failed` with `refund_failed`."
    )
    phase: Phase | None = Field(description=_PHASE)
    reason: str | None = Field(description="The caller's words.", examples=["one seat too many"])
    restock: bool = Field(
        description="Whether units of the charge come back, too: for sale again when it succeeds."
    )
    restock_quantity: int | None = Field(
        description="How many come back. Null while it means `all that are still out` and the"
        " charge has not been seen, or when none do.",
        examples=[None],
    )
    failure_code: str | None = Field(description=_FAILURE, examples=[*DECLINES, *FAILURES])
    failure_message: str | None = Field(
        description=_FAILURE_MESSAGE,
        examples=["The bank returned the refund."],
    )
    livemode: bool = Field(description=_LIVEMODE, examples=[False])
    processor_reference: str | None = Field(
        description="The processor's own id of it, once it gave one.", examples=["sbx_2e51bb"]
    )
    producer: str = Field(description=_PRODUCER, examples=["shop"])
    idempotency_key: str = Field(description=_KEY, examples=["order-1001-refund-1"])
    metadata: dict[str, str] = Field(description=METADATA, examples=[{"ticket": "881"}])
    created_at: Moment = Field(description="When it was accepted. RFC 3339, in UTC.")
    settled_at: Moment | None = Field(description=_SETTLED)


class RejectedRequest(PublicObject):
    """A request that came by message and was refused. Nothing was written but this."""

    object: Literal["rejected_request"]
    id: str = Field(
        description="The same message refused for the same reason has the same id.",
        pattern=f"^rej_{ID}",
        examples=["rej_c7dnqoq2lixhqxkbpgnfzxg7mqbdq5gk"],
    )
    task: str = Field(
        description="What was asked for.",
        examples=[f"billing.{kind}.create" for kind in PREFIXES],
    )
    task_id: str | None = Field(
        description="The id in the message's headers.",
        examples=["b0e7a1c2-8f63-4b1e-9d1a-5f7a0c3d2e11"],
    )
    producer: str | None = Field(
        description="Who asked, when it could be read.", examples=["default"]
    )
    idempotency_key: str | None = Field(
        description="The request's own key, when it had one that could be read.",
        examples=["order-1001-charge"],
    )
    object_id: str | None = Field(
        description="The id that the charge or refund would have had. One may be there: from"
        " another request under the same key.",
        examples=[A_CHARGE, _A_REFUND],
    )
    code: str = Field(
        description="Why, for programs: docs/reference/errors.md.", examples=["invalid_request"]
    )
    param: str | None = Field(
        description="The field that is wrong, when it is one.", examples=["amount"]
    )
    detail: str = Field(
        description=f"{_DETAIL} It says what to send instead.",
        examples=["amount must be at least 1 minor unit, not 0"],
    )
    request: dict[str, Any] = Field(
        description="The request without what may be personal: amounts, currencies and ids as"
        " they came, of every other value only its type (`<str>`).",
        examples=[{"amount": 0, "currency": "USD", "customer_id": "<str>"}],
    )
    facts: dict[str, Any] = Field(
        description="Numbers and ids that help, such as `available`; often empty.",
        examples=[{"requested": 500, "available": 300}],
    )


class WebhookEndpoint(PublicObject):
    """A receiver of webhooks. Its secret is shown once, when it is made."""

    id: str = Field(pattern=f"^we_{ID}", examples=[_AN_ENDPOINT])
    object: Literal["webhook_endpoint"]
    producer: str | None = Field(
        description="Whose events it is told of, beside those of products and prices, which are"
        " everybody's. Null: those of all producers.",
        examples=["shop"],
    )
    url: str = Field(
        description="Where webhooks are sent.",
        json_schema_extra={"format": "uri"},
        examples=["https://shop.example.com/hooks"],
    )
    description: str | None = Field(description="What people call it.", examples=["the shop"])
    event_types: list[str] = Field(
        description="What it is told. Empty: every type but"
        f" {' and '.join(f'`{name}`' for name in ONLY_BY_NAME)}.",
        json_schema_extra={"items": {"type": "string", "enum": [*TYPES]}},
        examples=[["charge.succeeded", "charge.failed"]],
    )
    max_in_flight: Annotated[int, Field(ge=1, le=IN_FLIGHT_MAX)] = Field(
        description="How many webhooks may be under way there at once.", examples=[IN_FLIGHT]
    )
    state: Literal["enabled", "disabled"] = Field(
        description="While `disabled`, nothing is sent and new events pass it by."
    )
    created_at: Moment


class TimelineEntry(PublicObject):
    """One thing that happened to a charge or a refund. Beside these fields stand facts (ids, codes,
    numbers) that differ with `what`."""

    model_config = ConfigDict(extra="allow")

    at: Moment
    what: str = Field(
        description="What kind of thing it is.",
        json_schema_extra={"enum": [*ORDER]},
        examples=["attempt"],
    )
    object_id: str = Field(description="What it happened to.", examples=[A_CHARGE, _A_REFUND])
    text: str = Field(
        description="It, in words for people.",
        examples=["attempt 1: charge → succeeded after 212 ms, by payments@till-1"],
    )


class Problem(PublicObject):
    """Why a request was refused (RFC 9457). Beside these fields stand facts that help the caller,
    such as `available` and `requested`."""

    model_config = ConfigDict(extra="allow")

    type: str = Field(
        description="Where the problem is explained.",
        json_schema_extra={"format": "uri-reference"},
        examples=["about:blank"],
    )
    title: str = Field(description="The problem in general.", examples=["Conflict"])
    status: int = Field(description="The HTTP status.", ge=400, le=599, examples=[409])
    code: str = Field(
        description="Why, for programs: docs/reference/errors.md.",
        examples=["refund_exceeds_charge"],
    )
    detail: str = Field(
        description=f"{_DETAIL} It says what to send instead.",
        examples=["The refund is more than what is left of the charge."],
    )
    param: str | None = Field(
        description="The field that is wrong, when it is one.", examples=["amount"]
    )
    request_id: str = Field(
        description="Of this request, as in the answer's header and our logs.",
        examples=["req_9f86d081884c7d65"],
    )
