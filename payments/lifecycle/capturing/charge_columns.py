"""The columns that a move changes of charges only: what the customer must do, until when, and how
much was captured."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from sqlalchemy import func, update

from models import Capture
from models.base import as_rows, given, table_of
from models.rows import ChargeRow, as_charge
from models.states import Phase, State
from payments.lifecycle.moving.after_move import known, later
from payments.processors.advice import advised
from payments.transaction import Transaction

if TYPE_CHECKING:
    from payments.lifecycle.moving.moves import Move


@dataclass(frozen=True, slots=True)
class CaptureEnd:
    """The end of the capture that was under way: it took its money, or it failed."""

    id: str
    failure_code: str | None = None
    processor_code: str | None = None


def event_of_authorized(one: "Move") -> str | None:
    """The event of a charge whose money is authorized, or still is; None for no event."""
    row = as_charge(one.row)
    if one.capture is not None and one.capture.failure_code is not None:
        return "capture_failed"
    if (one.amount_captured or 0) > (row.amount_captured or 0):
        return "captured"
    return "authorized" if row.authorized_at is None else None


# The columns of it.
OF_CHARGES = (
    "next_action", "failure_advice", "retry_at", "amount_captured", "authorized_at",
    "capture_before", "capture_failure_code", "fee", "net", "settlement_currency", "expires_at",
    "expires_by_default",
)  # fmt: skip


def charge_after(one: "Move") -> dict[str, Any]:
    """The columns that only charges have, as the move leaves them.

    What the customer must do is kept only while the charge waits for it; a missing answer does not
    change it. The error of the last capture is kept until the next one is requested.
    """
    row, now = as_charge(one.row), one.row.now
    is_authorized = one.to is Phase.AUTHORIZED
    says_nothing = one.to is Phase.AWAITING_CUSTOMER and one.outcome != "pending"
    next_action = row.next_action if says_nothing else one.next_action
    advice = None if one.failure_code is None else one.advice or advised(one.failure_code)
    asks_for_capture = one.verb == "capture" and one.to is Phase.QUEUED and one.extra_attempt
    tells_of_capture = asks_for_capture or one.capture is not None
    return {
        "next_action": next_action,
        "failure_advice": advice and advice.advice.value,
        "retry_at": None if advice is None else later(now, advice.retry_after),
        "amount_captured": known(one.amount_captured, row.amount_captured),
        "authorized_at": known(row.authorized_at, now if is_authorized else None),
        "capture_before": known(one.capture_before, row.capture_before),
        "capture_failure_code": (
            one.capture and one.capture.failure_code
            if tells_of_capture
            else row.capture_failure_code
        ),
        "fee": known(one.fees and one.fees.fee, row.fee),
        "net": known(one.fees and one.fees.net, row.net),
        "settlement_currency": known(one.fees and one.fees.currency, row.settlement_currency),
        **_expiry(one, row, waits=next_action is not None),
    }


def _expiry(one: "Move", row: ChargeRow, *, waits: bool) -> dict[str, Any]:
    """Until when a charge may take. The default limit on waiting for the customer ends with the
    wait, unless it was reached; a limit that was requested stays until the money is authorized:
    from then on the authorization's end counts."""
    waits_no_more = row.expires_by_default and isinstance(one.to, Phase) and not waits
    if row.cancel_requested_at is None and (waits_no_more or one.to is Phase.AUTHORIZED):
        return {"expires_at": None, "expires_by_default": False}
    if row.expires_at is None and one.expires_in_s is not None:
        by_default = later(row.now, timedelta(seconds=one.expires_in_s))
        return {"expires_at": by_default, "expires_by_default": True}
    return {"expires_at": row.expires_at, "expires_by_default": row.expires_by_default}


def end_captures(transaction: Transaction, ends: list[CaptureEnd]) -> None:
    """Write the ends of captures; their charges are locked."""
    rows: list[Mapping[str, Any]] = [
        {
            "id": one.id,
            "state": State.FAILED if one.failure_code else State.SUCCEEDED,
            "failure_code": one.failure_code,
            "processor_code": one.processor_code,
        }
        for one in ends
    ]
    if rows:
        transaction.execute(_END_CAPTURES, {"ends": as_rows(rows)})


# --- The statement, built once ---

_captures = table_of(Capture)
_ends = given(
    "ends",
    [_captures.c[name] for name in ("id", "state", "failure_code", "processor_code")],
)
_END_CAPTURES = (
    update(_captures)
    .where(_captures.c.id == _ends.c.id, _captures.c.state == State.PENDING.value)
    .values(
        state=_ends.c.state,
        failure_code=_ends.c.failure_code,
        processor_code=_ends.c.processor_code,
        settled_at=func.now(),
    )
)
