"""What a promise is: a query that finds violations, and how long a state may last before it counts
as one."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Literal


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a state may last before it counts."""

    # The sweep comes every second; thirty are the promise of recovery after a crash.
    lease: timedelta = timedelta(seconds=30)
    # What is due and not claimed: workers are down, or far too few.
    due: timedelta = timedelta(minutes=1)
    # Most unknown outcomes are looked up within seconds; after an hour a person should look.
    unknown: timedelta = timedelta(hours=1)
    # A refund that the bank returned, until the processor has reported it.
    report: timedelta = timedelta(minutes=2)
    # A transaction that began before an endpoint existed may commit events after it.
    fan_out: timedelta = timedelta(minutes=1)

    @property
    def parameters(self) -> Mapping[str, Any]:
        return {name: getattr(self, name) for name in self.__slots__}


@dataclass(frozen=True, slots=True)
class Invariant:
    """A promise. `among` says what is checked, as a FROM clause; an error means that money or
    events went wrong, a warning that a person should look."""

    name: str
    promise: str
    among: str
    broken_by: str
    level: Literal["error", "warning"] = "error"


# What several queries read, by the name that they use.
SETS = """
objects AS NOT MATERIALIZED (
    SELECT 'charge' AS kind, id, producer, producer AS owner, idempotency_key, state, phase,
           sequence, lease_token, lease_expires_at, next_attempt_at, first_called_at, created_at,
           failure_code FROM charges
    UNION ALL
    SELECT 'refund', id, producer, coalesce(charge_producer, producer), idempotency_key, state,
           phase, sequence, lease_token, lease_expires_at, next_attempt_at, first_called_at,
           created_at, failure_code FROM refunds
),
numbered AS NOT MATERIALIZED (
    SELECT id, sequence, created_at FROM objects
    UNION ALL SELECT id, sequence, created_at FROM prices
    UNION ALL SELECT id, sequence, created_at FROM disputes
),
-- What has been kept for its time and has left (payments.keeping.retention): up to which position
-- and which moment, within a minute, events may have; up to which delivery its posts may have.
gone AS NOT MATERIALIZED (
    SELECT coalesce(max(gone) FILTER (WHERE name = 'events'), 0) AS events_through,
           coalesce(max(gone_before) + interval '1 minute', '-infinity') AS before,
           coalesce(max(gone) FILTER (WHERE name = 'delivery_attempts'), 0) AS deliveries_through
    FROM retention
)
"""
