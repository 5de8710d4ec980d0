"""Charges and refunds: captured, canceled, refunded, resolved."""

from functools import partial
from typing import Any, get_args

from api.console.actions.action import Action, Doing, Done, Input
from infra.billing.contract.invalid import Invalid
from infra.billing.contract.money import exponent, minor
from infra.billing.contract.requests.cancel_request import CancelRequest
from infra.billing.contract.requests.capture_request import CaptureRequest
from infra.billing.contract.requests.request_parser import read
from models.rows import as_charge
from models.states import Phase, State
from payments.access.scopes import CHARGES_WRITE, OPERATE, REFUNDS_WRITE
from payments.lifecycle import cancels, reviews
from payments.lifecycle.cancels import Cancellation
from payments.lifecycle.capturing import captures
from payments.lifecycle.capturing.captures import NewCapture
from payments.parsing import parse, refusal_of
from payments.payment_errors import InvalidRequest, Refused
from service import intake

_DECISIONS = (
    ("succeeded", "The money moved"),
    ("failed", "No money moved, and none will"),
    ("retry", "No money moved: send it again under the same key"),
)


async def _cancel(doing: Doing) -> Done:
    wanted = parse(CancelRequest, {"charge_id": doing.id, "reason": doing.why})
    one = Cancellation(wanted.charge_id, reason=wanted.reason, access=doing.session.access)
    (row,) = await doing.here.database.transaction(
        partial(cancels.cancel, asked=[one]), acting=doing.acting
    )
    if isinstance(row, Refused):
        raise row
    return Done(f"/charges/{doing.id}")


async def _capture(doing: Doing) -> Done:
    fields = {
        "charge_id": doing.id,
        "amount": _amount(doing),
        "final": "more" not in doing.fields,
        "idempotency_key": doing.key,
        "producer": doing.session.access.producer or "default",
    }
    one = NewCapture(_read(CaptureRequest, fields), doing.session.access)
    write = partial(captures.accept, asked=[one], limits=doing.here.money_limits)
    (answer,) = await doing.here.database.transaction(write, acting=doing.acting)
    if isinstance(answer, Refused):
        raise answer
    return Done(f"/charges/{as_charge(answer.row).id}")


async def _refund(doing: Doing) -> Done:
    fields = {
        "charge_id": doing.id,
        "amount": _amount(doing),
        "reason": doing.why,
        "idempotency_key": doing.key,
        "producer": doing.session.access.producer or "default",
    }
    given = {name: value for name, value in fields.items() if value is not None}
    processors = doing.here.processors
    new = intake.new(
        intake.request("refund", given),
        processors,
        request_id=doing.request.state.request_id,
        any_charge=doing.session.access.sees_all,
    )
    accept = partial(intake.accept, news=[new], processors=processors)
    (answer,) = await doing.here.database.transaction(accept, acting=doing.acting)
    if isinstance(answer, Refused):
        raise answer
    return Done(f"/refunds/{answer.row.id}")


async def _resolve(doing: Doing, of: str) -> Done:
    decision: Any = doing.fields.get("decision")
    if decision not in get_args(reviews.Decision):
        raise InvalidRequest("say what you found at the processor", param="decision")
    resolve = partial(
        reviews.resolve,
        object_id=doing.id,
        decision=decision,
        approvals=doing.here.processors.approvals,
    )
    await doing.here.database.transaction(resolve, acting=doing.acting, idempotent=False)
    return Done(f"/{of}/{doing.id}")


def _amount(doing: Doing) -> int | None:
    """The amount of the form in minor units; None for everything that is left. Raises
    InvalidRequest."""
    text, currency = doing.fields.get("amount"), str(doing.row.currency)
    if text is None:
        return None
    places = exponent(currency)
    if len(text.partition(".")[2]) != places:  # 1999 may mean minor units or a full amount
        such = f"{1999:d}" if places == 0 else f"{1999 / 10**places:.{places}f}"
        raise InvalidRequest(
            f"write the amount in {currency} with {places} decimals, such as {such}",
            param="amount",
        )
    try:
        return minor(text, currency)
    except Invalid as wrong:
        raise refusal_of(wrong) from None


def _read(model: Any, fields: dict[str, Any]) -> Any:
    try:
        return read(model, {name: value for name, value in fields.items() if value is not None})
    except Invalid as wrong:
        raise refusal_of(wrong) from None


def _needs_review(row: Any) -> bool:
    return bool(row.phase == Phase.NEEDS_REVIEW)


_AMOUNT = Input(
    "amount",
    "Amount",
    "text",
    "In the charge's currency with all its decimals, such as 19.99 or 5.00. Left empty: all that is"
    " left.",
)
_DECISION = Input("decision", "What you found at the processor", "choice", "", True, _DECISIONS)
ACTIONS = (
    Action(
        of="charges",
        name="cancel",
        title="Cancel",
        permission=CHARGES_WRITE,
        says="Ends the charge before money moves. What was sent to the processor already is"
        " canceled there, and money that moved meanwhile wins: then it succeeds, and can be"
        " refunded.",
        run=_cancel,
        is_possible=lambda row: row.state == State.PENDING and not _needs_review(row),
        is_dangerous=True,
    ),
    Action(
        of="charges",
        name="capture",
        title="Capture",
        permission=CHARGES_WRITE,
        says="Takes money that was set aside on the customer's card. It can't be undone, only"
        " refunded.",
        run=_capture,
        is_possible=lambda row: row.phase == Phase.AUTHORIZED,
        inputs=(
            _AMOUNT,
            Input("more", "Not the last capture: the rest stays set aside", "checkbox"),
        ),
    ),
    Action(
        of="charges",
        name="refund",
        title="Refund",
        permission=REFUNDS_WRITE,
        says="Gives money of this charge back to the customer. It can't be undone. The reason is"
        " kept with the refund, and its receivers see it. Above the amount that a second person"
        " must approve, it waits for them.",
        run=_refund,
        is_possible=lambda row: (
            row.state == State.SUCCEEDED and (row.amount or 0) > row.refunded_amount
        ),
        inputs=(_AMOUNT,),
        is_dangerous=True,
    ),
    *(
        Action(
            of=of,
            name="resolve",
            title="Resolve",
            permission=OPERATE,
            says="Settles it by what you found at the processor, where it has the name that this"
            " page shows. Look there first: your decision is announced to the receivers, and can't"
            " be taken back. Where a second person must approve it, it waits for them.",
            run=partial(_resolve, of=of),
            is_possible=_needs_review,
            inputs=(_DECISION,),
            is_dangerous=True,
        )
        for of in ("charges", "refunds")
    ),
)
