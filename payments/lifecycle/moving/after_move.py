"""What a move changes of a row, computed before it is written.

The row is locked, and its `now` is the time of the transaction, so the database has nothing left to
find out. Therefore one statement can write the row, its event and its postings.
"""

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, TypeVar

from models.states import State, phase_of, state_of

if TYPE_CHECKING:
    from payments.lifecycle.moving.moves import Move

T = TypeVar("T")


def after(one: "Move", *, has_event: bool) -> dict[str, Any]:
    """The columns that charges and refunds share, as the move leaves them. `has_event`: it
    publishes an event."""
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
        # If the clock was set back, it must not be settled before it was made.
        "settled_at": max(now, in_utc(row.created_at)) if isinstance(one.to, State) else None,
        **UNLEASED,
    }


# The lease is over.
UNLEASED: dict[str, None] = dict.fromkeys(
    ("woken_at", "lease_token", "lease_expires_at", "leased_at", "worker")
)


def known(value: T | None, otherwise: T | None) -> T | None:
    """The value, or the other one if it is None."""
    return otherwise if value is None else value


def later(at: datetime, wait: timedelta | None) -> datetime | None:
    """The moment `wait` after `at`; None if there is no wait."""
    return None if wait is None else in_utc(at) + wait


def in_utc(at: datetime) -> datetime:
    """The moment in UTC, where arithmetic is safe: with another zone (the database's URL may set
    one) Python adds to local wall-clock time, which is wrong across a change of clocks."""
    return at.astimezone(UTC)
