"""What a move changes of a row, worked out before it is written.

The row is held, and its `now` is the moment of the transaction: nothing is left for the database to
find out. So an event can tell, and the ledger can post, in the same statement that writes the row.
"""

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, TypeVar

from models.states import State, phase_of, state_of

if TYPE_CHECKING:
    from payments.lifecycle.moving.moves import Move

T = TypeVar("T")


def after(one: "Move", *, has_event: bool) -> dict[str, Any]:
    """The columns of either kind, as the move leaves them. `has_event`: it publishes an event."""
    row, now = one.row, in_utc(one.row.now)
    phase = phase_of(one.to)
    wait = None if one.next_in_s is None else timedelta(seconds=one.next_in_s)
    return {
        "state": state_of(one.to).value,
        "phase": phase and phase.value,
        "sequence": row.sequence + (1 if has_event else 0),
        "attempts": row.attempts + (1 if one.extra_attempt else 0),
        "retries": one.retries,
        "next_attempt_at": later(now, wait),
        "first_called_at": None if one.is_unsent else row.first_called_at,
        "failure_code": one.failure_code,
        "failure_message": one.failure_message,
        "processor_code": known(one.processor_code, row.processor_code),
        "processor_reference": known(one.processor_reference, row.processor_reference),
        # A clock that was set back must not have it settled before it was made.
        "settled_at": max(now, in_utc(row.created_at)) if isinstance(one.to, State) else None,
        **UNLEASED,
    }


# Nobody works on it any more.
UNLEASED: dict[str, None] = dict.fromkeys(
    ("woken_at", "lease_token", "lease_expires_at", "leased_at", "worker")
)


def known(value: T | None, otherwise: T | None) -> T | None:
    """The value, or the other one if it is None."""
    return otherwise if value is None else value


def later(at: datetime, wait: timedelta | None) -> datetime | None:
    """So much later; None for no wait."""
    return None if wait is None else in_utc(at) + wait


def in_utc(at: datetime) -> datetime:
    """The moment in UTC, where one can reckon with it: in a time zone, which the database's URL may
    set, Python adds to what a clock on the wall shows, also in a night in which it is set back."""
    return at.astimezone(UTC)
