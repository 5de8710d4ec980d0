"""How the service is doing: failing receivers, quarantined messages, the last sweeps.

For people and monitors that look now and then. Every query reads what waits, by its partial index,
or the newest rows; none reads finished rows. Charges and refunds: `payments.audit.outstanding`.
"""

from dataclasses import dataclass

from sqlalchemy import Connection, text

from payments.audit.outstanding import COUNT_MAX, LATE_S, UNSWEPT_S, read
from payments.transaction import Transaction
from payments.webhooks.pacing.local_faults import TOLD_S

# A sweep comes every second; the rest is for an overloaded machine.
SWEEPS_STOPPED_S = 10.0
# How many deliveries show the health of a receiver.
RECENT = 5_000


@dataclass(frozen=True, slots=True)
class Receiver:
    """An enabled endpoint: what waits for it, and the results of its newest deliveries."""

    endpoint_id: str
    waiting: int
    waiting_s: float
    overdue_s: float
    is_unswept: bool
    delivered: int
    failing: int
    given_up: int
    last_answer: str | None
    # Since its first failure after its last success; None if the last one succeeded.
    failing_s: float | None
    # For how much longer it is held back, and why.
    held_back_s: float
    held_back_because: str | None
    # The fault on our side that lately prevented sending (`payments.webhooks.pacing.local_words`),
    # and how long ago.
    local_fault: str | None
    local_fault_s: float | None


@dataclass(frozen=True, slots=True)
class DisabledByItself:
    """An endpoint that was disabled automatically: it answered that it is gone, or failed for
    days."""

    endpoint_id: str
    because: str
    waiting: int


def receivers(connection: Connection) -> list[Receiver]:
    """Every enabled endpoint."""
    parameters = {
        "recent": RECENT,
        "late": LATE_S,
        "unswept": UNSWEPT_S,
        "most": COUNT_MAX,
        "told": TOLD_S,
    }
    return read(connection, Receiver, _RECEIVERS, **parameters)


def disabled_by_themselves(connection: Connection) -> list[DisabledByItself]:
    """Endpoints that a person has to look at: their deliveries wait until they are enabled."""
    return read(connection, DisabledByItself, _DISABLED, most=COUNT_MAX)


def quarantined(connection: Connection) -> int:
    """How many quarantined messages are neither released nor dismissed; up to COUNT_MAX."""
    return int(connection.execute(_QUARANTINED, {"most": COUNT_MAX}).scalar_one())


def note_sweeps(transaction: Transaction, *names: str) -> None:
    """Record that these sweeps were made, for `swept_ago_s`."""
    transaction.execute(_NOTE_SWEEPS, {"names": sorted(names)})


def swept_ago_s(connection: Connection, name: str = "payments") -> float | None:
    """Seconds since any process last made this sweep; None if it never was."""
    ago_s = connection.execute(_SWEPT, {"name": name}).scalar_one_or_none()
    return None if ago_s is None else max(0.0, float(ago_s))


# --- The statements ---

_RECEIVERS = text("""
    WITH recent AS MATERIALIZED (
        SELECT id, endpoint_id, state, attempts, attempts_before FROM deliveries
        ORDER BY id DESC LIMIT :recent
    )
    SELECT e.id AS endpoint_id, w.waiting, w.waiting_s, w.overdue_s,
           w.overdue_s > :late
               AND (e.woken_at IS NULL OR e.woken_at < now() - :unswept * interval '1 second')
               AND (e.drain_expires_at IS NULL OR e.drain_expires_at < now()) AS is_unswept,
           r.delivered, r.failing, r.given_up, l.last_answer,
           extract(epoch FROM now() - e.failing_since)::float AS failing_s,
           h.held_back_s, CASE WHEN h.held_back_s > 0 THEN e.held_back_because END
               AS held_back_because,
           CASE WHEN h.local_fault_s < :told THEN e.local_fault END AS local_fault,
           CASE WHEN h.local_fault_s < :told THEN h.local_fault_s END AS local_fault_s
    FROM webhook_endpoints e
    CROSS JOIN LATERAL (
        SELECT greatest(coalesce(extract(epoch FROM e.held_back_until - now()), 0), 0)::float
            AS held_back_s,
            extract(epoch FROM now() - e.local_fault_at)::float AS local_fault_s
    ) h
    CROSS JOIN LATERAL (
        SELECT count(*) AS waiting,
               coalesce(extract(epoch FROM now() - min(created_at)), 0)::float AS waiting_s,
               -- What is left alone is not late.
               greatest(coalesce(extract(epoch FROM now() - greatest(
                   min(next_attempt_at), CASE WHEN count(*) > 0 THEN e.held_back_until END)), 0),
                   0)::float AS overdue_s
        FROM (SELECT d.created_at, d.next_attempt_at FROM deliveries d
              WHERE d.endpoint_id = e.id AND d.state = 'pending'
              ORDER BY d.next_attempt_at LIMIT :most) AS first
    ) w
    CROSS JOIN LATERAL (
        SELECT count(*) FILTER (WHERE state = 'delivered') AS delivered,
               count(*) FILTER (WHERE state = 'pending' AND attempts > attempts_before) AS failing,
               count(*) FILTER (WHERE state = 'exhausted') AS given_up
        FROM recent WHERE endpoint_id = e.id
    ) r
    LEFT JOIN LATERAL (
        SELECT coalesce(a.status_code::text, a.error) AS last_answer
        FROM recent d JOIN delivery_attempts a ON a.delivery_id = d.id AND a.number = d.attempts
        WHERE d.endpoint_id = e.id AND d.state <> 'delivered' ORDER BY d.id DESC LIMIT 1
    ) l ON true
    WHERE e.state = 'enabled' ORDER BY e.id
""")
_DISABLED = text("""
    SELECT e.id AS endpoint_id, e.disabled_because AS because,
           (SELECT count(*) FROM (
               SELECT FROM deliveries d WHERE d.endpoint_id = e.id AND d.state = 'pending'
               LIMIT :most) AS pending) AS waiting
    FROM webhook_endpoints e
    WHERE e.state = 'disabled' AND e.disabled_because IS NOT NULL ORDER BY e.id
""")
_QUARANTINED = text(
    "SELECT count(*) FROM"
    " (SELECT FROM quarantined_messages WHERE released_at IS NULL LIMIT :most) AS looked_at"
)
_NOTE_SWEEPS = text(
    # Always in the same order, so that two transactions can't deadlock.
    "INSERT INTO heartbeats (name, at) SELECT unnest(CAST(:names AS text[])), now()"
    " ON CONFLICT (name) DO UPDATE SET at = excluded.at"
)
_SWEPT = text("SELECT extract(epoch FROM now() - at)::float FROM heartbeats WHERE name = :name")
