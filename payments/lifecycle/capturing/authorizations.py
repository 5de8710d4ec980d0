"""From an outcome to a move, for charges that are authorized first and captured by hand.

Pure, like `payments.lifecycle.settlement`, which asks here first. A processor's answer describes
the whole charge; whether the present capture was executed follows from the amount captured in all.
"""

from dataclasses import replace
from typing import Any

from models.rows import CaptureRow, ChargeRow
from models.states import Phase, State
from payments.lifecycle.backoff import Dice, look_up_delay_s
from payments.lifecycle.capturing.charge_columns import CaptureEnd
from payments.lifecycle.moving.moves import Move, ended
from payments.processors.outcomes import (
    Authorized,
    Canceled,
    Declined,
    Found,
    NotFound,
    Pending,
    Succeeded,
    Unavailable,
    Unknown,
)


def is_by_hand(row: Any) -> bool:
    """Whether this charge is captured by hand."""
    return getattr(row, "capture", None) == "manual"


def is_capturing(row: ChargeRow) -> bool:
    """Whether a capture is under way: then the phase is that of the capture."""
    is_authorized = row.state == State.PENDING and row.authorized_at is not None
    return is_authorized and row.phase != Phase.AUTHORIZED


def shows_no_capture(found: Found, before: int) -> bool:
    """Whether this answer says that a capture was not executed; `before` is the amount captured
    before it."""
    return isinstance(found, NotFound) or (
        isinstance(found, Authorized) and found.captured <= before
    )


def is_old_news(row: ChargeRow, found: Found, capture: CaptureRow | None) -> bool:
    """Whether a report describes the charge as it was before its authorization or its capture.
    Reports come late, and in any order."""
    if row.authorized_at is None:
        return False
    if isinstance(found, Authorized) and capture is not None:
        return found.captured < _wanted(row, capture)
    return isinstance(found, Pending | Declined)


def understood(row: Any, found: Found, capture: CaptureRow | None, *, verb: str) -> Found:
    """The answer, corrected if it can't be true or says that the capture was not executed."""
    if isinstance(found, Authorized) and not is_by_hand(row):
        return Unknown("adapter_error")  # It was to be captured at once, not only authorized.
    if not is_by_hand(row) or not isinstance(found, Authorized | Succeeded):
        return found
    if found.captured is not None and not _is_possible(row, found):
        return Unknown("adapter_error")
    if capture is None or isinstance(found, Succeeded) or found.captured >= _wanted(row, capture):
        return found
    return NotFound() if verb == "look_up" else Unknown("not_executed")


def _is_possible(row: ChargeRow, found: Authorized | Succeeded) -> bool:
    captured, least = found.captured or 0, 1 if isinstance(found, Succeeded) else 0
    return max(least, row.amount_captured or 0) <= captured <= row.amount


def _wanted(row: ChargeRow, capture: CaptureRow) -> int:
    """The amount captured in all once this capture is executed."""
    return (row.amount_captured or 0) + capture.amount


def decide_by_hand(
    row: ChargeRow, found: Found, capture: CaptureRow | None, *, verb: str, dice: Dice
) -> Move | None:
    """The move of a charge that is captured by hand; None if the rules of other charges apply.
    `capture` is the one under way."""
    match found:
        case Succeeded():
            return _taken(row, found, capture, verb)
        case Authorized(reference, captured) if captured == row.amount:
            # Nothing is left to capture, whatever the processor calls that.
            return _taken(row, Succeeded(reference, captured), capture, verb)
        case Authorized():
            return _set_aside(row, found, capture, verb, dice)
        case Canceled(reference):
            return released(row, capture, verb, reference)
        case Declined() if capture is not None and verb != "cancel":
            end = CaptureEnd(capture.id, found.code, found.processor_code)
            return _still_set_aside(row, verb, "declined", dice, end, code=found.processor_code)
        case Declined(reference=reference) if row.authorized_at is not None:
            return released(row, capture, verb, reference)
    if row.phase != Phase.AUTHORIZED:
        return None
    match found:
        case NotFound():
            return Move(row, Phase.NEEDS_REVIEW, verb, "not_found")
        case Pending(reason=reason):
            return _still_set_aside(row, verb, "pending", dice, code=reason)
        case Unavailable(reason):
            return _still_set_aside(row, verb, "unavailable", dice, code=reason)
        case Unknown(reason):
            return _still_set_aside(row, verb, "unknown", dice, code=reason)
    return None


def back_to_authorized(move: Move, capture: CaptureRow, dice: Dice) -> Move:
    """The move for a capture that failed: the charge does not end, as its money is still
    authorized."""
    end = CaptureEnd(capture.id, move.failure_code)
    again = _still_set_aside(move.row, move.verb, move.outcome, dice, end, code=move.code)
    return replace(again, detail=move.detail)


def released(
    row: ChargeRow, capture: CaptureRow | None, verb: str, reference: str | None, **more: Any
) -> Move:
    """The move of a charge whose authorization is over. What was captured before stays."""
    code = row.cancel_code or ("expired" if _is_over(row) else "canceled")
    end = None if capture is None else CaptureEnd(capture.id, code)
    if row.amount_captured:
        return Move(row, State.SUCCEEDED, verb, "released", capture=end, **more)
    return ended(row, verb, code, processor_reference=reference, capture=end, **more)


def _is_over(row: ChargeRow) -> bool:
    return row.capture_before is not None and row.capture_before <= row.now


def _taken(row: ChargeRow, found: Succeeded, capture: CaptureRow | None, verb: str) -> Move:
    """Everything that will ever be captured was, perhaps by hand at the processor."""
    wanted = row.amount if capture is None else _wanted(row, capture)
    captured = wanted if found.captured is None else found.captured
    end = None
    if capture is not None:
        # A queued capture was not sent: all that was asked of the processor is to end the charge.
        is_unsent = verb == "cancel" and row.phase == Phase.IN_FLIGHT
        took_it = captured >= _wanted(row, capture) and not is_unsent
        end = CaptureEnd(capture.id, None if took_it else "canceled")
    return Move(
        row,
        State.SUCCEEDED,
        verb,
        "succeeded",
        processor_reference=found.reference,
        amount_captured=captured,
        capture=end,
        fees=found.fees,
    )


def _set_aside(
    row: ChargeRow, found: Authorized, capture: CaptureRow | None, verb: str, dice: Dice
) -> Move:
    """It can be captured, or what is left of it can."""
    end = None if capture is None else CaptureEnd(capture.id)
    outcome = "authorized" if end is None else "succeeded"
    move = _still_set_aside(row, verb, outcome, dice, end)
    return replace(
        move,
        processor_reference=found.reference,
        amount_captured=found.captured,
        capture_before=found.capture_before,
    )


def _still_set_aside(
    row: Any, verb: str, outcome: str, dice: Dice, end: CaptureEnd | None = None, **more: Any
) -> Move:
    """Nothing is due until it is captured; a cancellation that was asked for is tried again."""
    retries, next_in_s = 0, None
    is_unanswered = verb == "look_up" and outcome in ("unavailable", "unknown")
    if row.cancel_requested_at is not None or is_unanswered:
        retries = row.retries + 1
        next_in_s = look_up_delay_s(retries, dice=dice)
    return Move(
        row, Phase.AUTHORIZED, verb, outcome, retries=retries, next_in_s=next_in_s, capture=end,
        **more,
    )  # fmt: skip
