"""What a move writes of charges only: what their customers have to do, how long they may take, and
what was captured of them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import Boolean, Column, Float, and_, case, false, func, null, or_, true, update

from models import Capture
from models.base import as_rows, given, seconds, table_of
from models.rows import as_charge
from models.states import Phase, State
from payments.kinds import CHARGE
from payments.processors.advice import advised
from payments.transaction import Transaction

if TYPE_CHECKING:
    from payments.lifecycle.moves import Move


@dataclass(frozen=True, slots=True)
class CaptureEnd:
    """What became of the capture that was under way: it took its money, or it failed."""

    id: str
    failure_code: str | None = None
    processor_code: str | None = None


def told_of_authorized(one: "Move") -> str | None:
    """What the world is told of a charge whose money is set aside, or still is."""
    row = as_charge(one.row)
    if one.capture is not None and one.capture.failure_code is not None:
        return "capture_failed"
    if (one.amount_captured or 0) > (row.amount_captured or 0):
        return "captured"
    return "authorized" if row.authorized_at is None else None


def columns_of_charge(one: "Move") -> dict[str, Any]:
    """What its customer has to do is known while it waits for that, and no longer; an answer that
    does not come says nothing of it."""
    says_nothing = one.to is Phase.AWAITING_CUSTOMER and one.outcome != "pending"
    advice = None if one.failure_code is None else one.advice or advised(one.failure_code)
    wait = None if advice is None else advice.retry_after
    asks_for_capture = one.verb == "capture" and one.to is Phase.QUEUED and one.extra_attempt
    return {
        "next_action": as_charge(one.row).next_action if says_nothing else one.next_action,
        "expires_in_s": one.expires_in_s,
        "failure_advice": advice and advice.advice,
        "retry_in_s": wait and wait.total_seconds(),
        "amount_captured": one.amount_captured,
        "capture_before": one.capture_before,
        # Why the last capture failed is known until the next one is asked for.
        "tells_of_capture": asks_for_capture or one.capture is not None,
        "fee": one.fees and one.fees.fee,
        "net": one.fees and one.fees.net,
        "settlement_currency": one.fees and one.fees.currency,
        "capture_failure_code": None if one.capture is None else one.capture.failure_code,
    }


def end_captures(transaction: Transaction, ends: list[CaptureEnd]) -> None:
    """Write what became of captures; the charges are held."""
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


# --- The columns and their values, built once ---

_t = CHARGE.table
COLUMNS: list[Column[Any]] = [
    _t.c.next_action,
    Column("expires_in_s", Float),
    _t.c.failure_advice,
    Column("retry_in_s", Float),
    _t.c.amount_captured,
    _t.c.capture_before,
    Column("tells_of_capture", Boolean),
    _t.c.capture_failure_code,
    _t.c.fee,
    _t.c.net,
    _t.c.settlement_currency,
]


def values_of(new: Any) -> dict[str, Any]:
    """What is written of a charge that is moved by the row `new`."""
    is_authorized = new.c.phase == Phase.AUTHORIZED.value
    return {
        "next_action": new.c.next_action,
        "failure_advice": new.c.failure_advice,
        "retry_at": func.now() + seconds(new.c.retry_in_s),
        "amount_captured": func.coalesce(new.c.amount_captured, _t.c.amount_captured),
        "authorized_at": case(
            (is_authorized, func.coalesce(_t.c.authorized_at, func.now())),
            else_=_t.c.authorized_at,
        ),
        "capture_before": func.coalesce(new.c.capture_before, _t.c.capture_before),
        "capture_failure_code": case(
            (new.c.tells_of_capture, new.c.capture_failure_code),
            else_=_t.c.capture_failure_code,
        ),
        **{
            name: func.coalesce(new.c[name], _t.c[name])
            for name in ("fee", "net", "settlement_currency")
        },
        **_expiry(new, is_authorized),
    }


def _expiry(new: Any, is_authorized: Any) -> dict[str, Any]:
    """Until when a charge may take. The wait for a customer has an end by default, which goes with
    the wait, unless it was reached; an end that was asked for stays until the money is set aside:
    from then on it is the authorization that ends."""
    waits_no_more = and_(
        _t.c.expires_by_default,
        new.c.state == State.PENDING.value,
        new.c.next_action.is_(None),
    )
    is_over = and_(_t.c.cancel_requested_at.is_(None), or_(waits_no_more, is_authorized))
    is_set = and_(_t.c.expires_at.is_(None), new.c.expires_in_s.is_not(None))
    by_default = func.now() + seconds(new.c.expires_in_s)
    return {
        "expires_at": case((is_over, null()), else_=func.coalesce(_t.c.expires_at, by_default)),
        "expires_by_default": case(
            (is_over, false()), (is_set, true()), else_=_t.c.expires_by_default
        ),
    }


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
