"""How things stand: what waits and for how long, what is late, and which receivers fail.

For people and monitors that look now and then. Every query reads what is pending, by its partial
index, or the newest rows; none reads what is finished.
"""

from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import TypeVar

from sqlalchemy import Connection, TextClause, text

from models.rows import columns_of
from payments.kinds import KINDS
from payments.transaction import Transaction

T = TypeVar("T")

# What is due is taken up within a second or two; after a minute workers are too few, or none.
LATE_S = 60.0
# The sweep wakes what is due every ten seconds (payments.lifecycle.sweeps), if there is one.
UNSWEPT_S = 30.0
# A sweep comes every second; the rest is for a machine that is out of breath.
SWEEPS_STOPPED_S = 10.0
# As many deliveries tell how a receiver does.
RECENT = 5_000
# Past this many, how many more makes no difference.
COUNT_MAX = 10_000


@dataclass(frozen=True, slots=True)
class Pile:
    """What is pending and in nobody's hands, by phase. Ages are in seconds, from the first call of
    the processor on: a charge may have been scheduled for long before."""

    kind: str
    phase: str
    count: int
    oldest_s: float


@dataclass(frozen=True, slots=True)
class Late:
    """What should have been taken up: due for LATE_S, or under a lease that ended UNSWEPT_S ago."""

    kind: str
    overdue: int
    overdue_s: float
    # Of those, the ones that no sweep has woken lately.
    unswept: int
    stale_leases: int


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """What is pending and names a processor that is not among ours: no worker takes it up."""

    processor: str
    kind: str
    count: int
    oldest_s: float


@dataclass(frozen=True, slots=True)
class Receiver:
    """An enabled endpoint: what waits for it, and how its newest deliveries went."""

    endpoint_id: str
    waiting: int
    waiting_s: float
    overdue_s: float
    is_unswept: bool
    delivered: int
    failing: int
    given_up: int
    last_answer: str | None


def piles(connection: Connection) -> list[Pile]:
    """What is pending, by kind and phase."""
    return _read(connection, Pile, _PILES)


def late(connection: Connection, processors: Collection[str]) -> list[Late]:
    """What is late of what names one of `processors`, by kind; up to COUNT_MAX of each."""
    parameters = {
        "late": LATE_S,
        "unswept": UNSWEPT_S,
        "most": COUNT_MAX,
        "processors": list(processors),
    }
    return _read(connection, Late, _LATE, **parameters)


def elsewhere(connection: Connection, processors: Collection[str]) -> list[Elsewhere]:
    """What waits for a processor that is none of `processors`, by its name and by kind."""
    return _read(connection, Elsewhere, _ELSEWHERE, processors=list(processors))


def receivers(connection: Connection) -> list[Receiver]:
    """Every enabled endpoint."""
    parameters = {"recent": RECENT, "late": LATE_S, "unswept": UNSWEPT_S, "most": COUNT_MAX}
    return _read(connection, Receiver, _RECEIVERS, **parameters)


def quarantined(connection: Connection) -> int:
    """Messages in quarantine that nobody has released or dismissed."""
    return int(connection.execute(_QUARANTINED).scalar_one())


def note_sweep(transaction: Transaction, name: str) -> None:
    """Say that this sweep has been made, to be seen by `swept_ago_s`."""
    transaction.execute(_NOTE_SWEEP, {"name": name})


def swept_ago_s(connection: Connection, name: str = "payments") -> float | None:
    """Seconds since this sweep was last made by anybody; None when it never was."""
    ago_s = connection.execute(_SWEPT, {"name": name}).scalar_one_or_none()
    return None if ago_s is None else max(0.0, float(ago_s))


def _read(
    connection: Connection, of: Callable[..., T], statement: TextClause, **parameters: object
) -> list[T]:
    return [of(**columns_of(row)) for row in connection.execute(statement, parameters)]


# --- The statements ---


def _of_each_kind(statement: str) -> TextClause:
    """The statement over charges and over refunds, put together from names of ours only."""
    return text(
        " UNION ALL ".join(
            statement.replace("KIND", f"'{kind.name}'").replace("TABLE", kind.table.name)
            for kind in KINDS.values()
        )
    )


_PILES = _of_each_kind("""
    SELECT KIND AS kind, phase, count(*) AS count,
           extract(epoch FROM now() - min(coalesce(first_called_at, created_at)))::float AS oldest_s
    FROM TABLE WHERE state = 'pending' AND lease_token IS NULL GROUP BY phase
""")
_LATE = _of_each_kind("""
    SELECT KIND AS kind, count(*) AS overdue,
           coalesce(extract(epoch FROM now() - min(next_attempt_at)), 0)::float AS overdue_s,
           count(*) FILTER (WHERE woken_at IS NULL
               OR woken_at < now() - :unswept * interval '1 second') AS unswept,
           (SELECT count(*) FROM (
               SELECT FROM TABLE WHERE lease_token IS NOT NULL
               AND lease_expires_at < now() - :unswept * interval '1 second' LIMIT :most
           ) AS stale) AS stale_leases
    FROM (SELECT next_attempt_at, woken_at FROM TABLE
          WHERE state = 'pending' AND lease_token IS NULL
            AND next_attempt_at < now() - :late * interval '1 second'
            AND processor = ANY(:processors)
          ORDER BY next_attempt_at LIMIT :most) AS due
""")
_ELSEWHERE = _of_each_kind("""
    SELECT processor, KIND AS kind, count(*) AS count,
           extract(epoch FROM now() - min(created_at))::float AS oldest_s
    FROM TABLE WHERE state = 'pending' AND processor <> ALL(:processors) GROUP BY processor
""")
_RECEIVERS = text("""
    WITH recent AS MATERIALIZED (
        SELECT id, endpoint_id, state, attempts, attempts_before FROM deliveries
        ORDER BY id DESC LIMIT :recent
    )
    SELECT e.id AS endpoint_id, w.waiting, w.waiting_s, w.overdue_s,
           w.overdue_s > :late
               AND (e.woken_at IS NULL OR e.woken_at < now() - :unswept * interval '1 second')
               AND (e.drain_expires_at IS NULL OR e.drain_expires_at < now()) AS is_unswept,
           r.delivered, r.failing, r.given_up, l.last_answer
    FROM webhook_endpoints e
    CROSS JOIN LATERAL (
        SELECT count(*) AS waiting,
               coalesce(extract(epoch FROM now() - min(created_at)), 0)::float AS waiting_s,
               greatest(coalesce(extract(epoch FROM now() - min(next_attempt_at)), 0), 0)::float
                   AS overdue_s
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
_QUARANTINED = text("SELECT count(*) FROM quarantined_messages WHERE released_at IS NULL")
_NOTE_SWEEP = text(
    "INSERT INTO heartbeats (name, at) VALUES (:name, now())"
    " ON CONFLICT (name) DO UPDATE SET at = excluded.at"
)
_SWEPT = text("SELECT extract(epoch FROM now() - at)::float FROM heartbeats WHERE name = :name")
