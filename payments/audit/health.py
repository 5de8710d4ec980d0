"""How things stand: what waits and for how long, what is late, and which receivers fail.

For people and monitors that look now and then. Every query reads what is pending, by its partial
index, or the newest rows; none reads what is finished.
"""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import TypeVar

from sqlalchemy import Connection, TextClause, text

from models.rows import columns_of
from payments.kinds import KINDS
from payments.transaction import Transaction
from payments.webhooks.pacing.local_faults import TOLD_S

T = TypeVar("T")

# What is due is taken up within a second or two; after a minute workers are too few, or none.
LATE_S = 60.0
# The sweep wakes what is due every ten seconds (payments.lifecycle.sweeps), if there is one.
UNSWEPT_S = 30.0
# A sweep comes every second; the rest is for a machine that is out of breath.
SWEEPS_STOPPED_S = 10.0
# As many deliveries tell how a receiver does.
RECENT = 5_000
# As many charges tell in which mode a processor was used last.
NEWEST = 100
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
class OtherMode:
    """Charges and refunds of live mode at a processor that is set up for test mode, or the other
    way round: so many wait, and of the newest charges there are so many."""

    processor: str
    livemode: bool
    waiting: int
    newest: int


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
    # Since its first failure behind its last success; None when that was the last.
    failing_s: float | None
    # For how much longer it is left alone, and why.
    held_back_s: float
    held_back_because: str | None
    # What kept us from sending lately (`payments.webhooks.pacing.local_words`), and how long ago.
    local_fault: str | None
    local_fault_s: float | None


@dataclass(frozen=True, slots=True)
class DisabledByItself:
    """An endpoint that no person disabled: it said that it is gone, or failed for days."""

    endpoint_id: str
    because: str
    waiting: int


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


def in_other_mode(connection: Connection, modes: Mapping[str, bool]) -> list[OtherMode]:
    """What is of another mode than its processor; `modes` says of each whether it is live."""
    parameters = {"names": list(modes), "modes": list(modes.values()), "recent": NEWEST}
    return _read(connection, OtherMode, _OTHER_MODE, **parameters)


def receivers(connection: Connection) -> list[Receiver]:
    """Every enabled endpoint."""
    parameters = {
        "recent": RECENT,
        "late": LATE_S,
        "unswept": UNSWEPT_S,
        "most": COUNT_MAX,
        "told": TOLD_S,
    }
    return _read(connection, Receiver, _RECEIVERS, **parameters)


def disabled_by_themselves(connection: Connection) -> list[DisabledByItself]:
    """Endpoints that somebody has to look at: what waits for them waits until they are enabled."""
    return _read(connection, DisabledByItself, _DISABLED, most=COUNT_MAX)


def quarantined(connection: Connection) -> int:
    """Messages in quarantine that nobody has released or dismissed."""
    return int(connection.execute(_QUARANTINED).scalar_one())


def note_sweeps(transaction: Transaction, *names: str) -> None:
    """Say that these sweeps have been made, to be seen by `swept_ago_s`."""
    transaction.execute(_NOTE_SWEEPS, {"names": sorted(names)})


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
_OTHER_MODE = text("""
    WITH modes AS (
        SELECT * FROM unnest(CAST(:names AS text[]), CAST(:modes AS boolean[])) m (name, is_live)
    ), waiting AS (
        SELECT processor, livemode FROM charges WHERE state = 'pending'
        UNION ALL SELECT processor, livemode FROM refunds WHERE state = 'pending'
    ), newest AS (
        SELECT processor, livemode FROM charges ORDER BY created_at DESC LIMIT :recent
    )
    SELECT name AS processor, NOT is_live AS livemode, waiting, newest FROM (
        SELECT name, is_live,
               (SELECT count(*) FROM waiting
                WHERE processor = name AND livemode <> is_live) AS waiting,
               (SELECT count(*) FROM newest
                WHERE processor = name AND livemode <> is_live) AS newest
        FROM modes
    ) counted WHERE waiting + newest > 0 ORDER BY name
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
                   min(next_attempt_at), e.held_back_until)), 0), 0)::float AS overdue_s
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
_QUARANTINED = text("SELECT count(*) FROM quarantined_messages WHERE released_at IS NULL")
_NOTE_SWEEPS = text(
    # In one order, so that two that note wait for each other in none.
    "INSERT INTO heartbeats (name, at) SELECT unnest(CAST(:names AS text[])), now()"
    " ON CONFLICT (name) DO UPDATE SET at = excluded.at"
)
_SWEPT = text("SELECT extract(epoch FROM now() - at)::float FROM heartbeats WHERE name = :name")
