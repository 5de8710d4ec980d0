"""What is pending: how much, for how long, what is late, and what no worker here can process.

For people who look now and then, and for monitors that ask every few seconds: each statement reads
partial indexes, up to COUNT_MAX entries of each, as fast for ten million rows as for ten.
"""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import TypeVar

from sqlalchemy import Connection, TextClause, text

from models.rows import columns_of
from payments.kinds import KINDS

T = TypeVar("T")

# Past this many, how many more makes no difference.
COUNT_MAX = 10_000
# What is due is claimed within a second or two; after a minute there are too few workers, or none.
LATE_S = 60.0
# The sweep wakes what is due every ten seconds (payments.lifecycle.sweeps), if there is one.
UNSWEPT_S = 30.0
# How many charges show in which mode a processor was used last.
NEWEST = 100


@dataclass(frozen=True, slots=True)
class Pile:
    """What is pending, by phase. Ages are in seconds: for a leased row since its claim; otherwise
    since the first call of the processor, as a charge may have been scheduled long before.
    `is_part`: there are more than were counted."""

    kind: str
    phase: str
    count: int
    oldest_s: float
    is_part: bool


@dataclass(frozen=True, slots=True)
class Late:
    """What should have been claimed: due for LATE_S, or with a lease that ended UNSWEPT_S ago."""

    kind: str
    overdue: int
    overdue_s: float
    # How many of those no sweep has woken lately.
    unswept: int
    stale_leases: int


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """What is pending for a processor that is not set up here: no worker claims it."""

    processor: str
    kind: str
    count: int
    oldest_s: float


@dataclass(frozen=True, slots=True)
class OtherMode:
    """Charges and refunds of live mode at a processor that is set up for test mode, or vice versa:
    how many wait, and how many are among the newest charges."""

    processor: str
    livemode: bool
    waiting: int
    newest: int


def piles(connection: Connection) -> list[Pile]:
    """What is pending, by kind and phase."""
    return read(connection, Pile, _PILES, most=COUNT_MAX)


def late(connection: Connection, processors: Collection[str]) -> list[Late]:
    """What is late at one of `processors`, by kind; up to COUNT_MAX of each."""
    parameters = {
        "late": LATE_S,
        "unswept": UNSWEPT_S,
        "most": COUNT_MAX,
        "processors": list(processors),
    }
    return read(connection, Late, _LATE, **parameters)


def elsewhere(connection: Connection, processors: Collection[str]) -> list[Elsewhere]:
    """What waits for a processor not in `processors`, by its name and by kind."""
    return read(connection, Elsewhere, _ELSEWHERE, processors=list(processors), most=COUNT_MAX)


def in_other_mode(connection: Connection, modes: Mapping[str, bool]) -> list[OtherMode]:
    """What has another mode than its processor; `modes` says of each whether it is live."""
    parameters = {"names": list(modes), "modes": list(modes.values())}
    bounds = {"recent": NEWEST, "most": COUNT_MAX}
    return read(connection, OtherMode, _OTHER_MODE, **parameters, **bounds)


def read(
    connection: Connection, of: Callable[..., T], statement: TextClause, **parameters: object
) -> list[T]:
    """The rows of a statement whose columns are named like the fields of `of`."""
    return [of(**columns_of(row)) for row in connection.execute(statement, parameters)]


# --- The statements ---


# Three indexes, up to COUNT_MAX of each: rows in doubt, by age; waiting rows, by when they are due;
# leased rows, by the end of the lease. If an index has other rows, too, ten times as many entries
# are read at most; `is_full`: there are more than that.
_PENDING = """
    (SELECT 1 AS part, phase, coalesce(first_called_at, created_at) AS since, created_at, processor,
            livemode, currency, false AS is_full
     FROM TABLE WHERE phase IN ('unknown', 'needs_review') ORDER BY created_at LIMIT :most)
    UNION ALL
    (SELECT 2, phase, coalesce(first_called_at, created_at), created_at, processor, livemode,
            currency, looked_at = 10 * :most
     FROM (SELECT *, count(*) OVER () AS looked_at
           FROM (SELECT * FROM TABLE WHERE state = 'pending' AND lease_token IS NULL
                 ORDER BY next_attempt_at LIMIT 10 * :most) AS first) AS due
     WHERE phase NOT IN ('unknown', 'needs_review') LIMIT :most)
    UNION ALL
    (SELECT 3, phase, leased_at, created_at, processor, livemode, currency, looked_at = 10 * :most
     FROM (SELECT *, count(*) OVER () AS looked_at
           FROM (SELECT * FROM TABLE WHERE lease_token IS NOT NULL
                 ORDER BY lease_expires_at LIMIT 10 * :most) AS first) AS held
     WHERE phase NOT IN ('unknown', 'needs_review') LIMIT :most)
"""


def of_each_kind(statement: str) -> TextClause:
    """The statement over charges and over refunds, composed of our own names only; PENDING in it is
    what is pending of each."""
    return text(_union(statement.replace("PENDING", _PENDING)))


def _union(statement: str) -> str:
    return " UNION ALL ".join(
        f"({statement})".replace("KIND", f"'{kind.name}'").replace("TABLE", kind.table.name)
        for kind in KINDS.values()
    )


_PILES = of_each_kind("""
    SELECT KIND AS kind, phase, count(*) AS count,
           greatest(0, extract(epoch FROM now() - min(since)))::float AS oldest_s,
           bool_or(is_full OR in_part = :most) AS is_part
    FROM (SELECT *, count(*) OVER (PARTITION BY part) AS in_part
          FROM (PENDING) AS pending) AS counted
    GROUP BY phase
""")
_LATE = of_each_kind("""
    SELECT KIND AS kind, count(*) AS overdue,
           coalesce(extract(epoch FROM now() - min(next_attempt_at)), 0)::float AS overdue_s,
           count(*) FILTER (WHERE woken_at IS NULL
               OR woken_at < now() - :unswept * interval '1 second') AS unswept,
           (SELECT count(*) FROM (
               SELECT FROM TABLE WHERE lease_token IS NOT NULL
               AND lease_expires_at < now() - :unswept * interval '1 second' LIMIT :most
           ) AS stale) AS stale_leases
    FROM (SELECT * FROM (
          SELECT next_attempt_at, woken_at, processor FROM TABLE
          WHERE state = 'pending' AND lease_token IS NULL
            AND next_attempt_at < now() - :late * interval '1 second'
          ORDER BY next_attempt_at LIMIT 10 * :most) AS first
    WHERE processor = ANY(:processors) LIMIT :most) AS due
""")
# A charge that is not claimed stays due, and so comes among the first.
_ELSEWHERE = of_each_kind("""
    SELECT processor, KIND AS kind, count(*) AS count,
           greatest(0, extract(epoch FROM now() - min(created_at)))::float AS oldest_s
    FROM (PENDING) AS pending WHERE processor <> ALL(:processors) GROUP BY processor
""")
_OTHER_MODE = text(
    """
    WITH modes AS (
        SELECT * FROM unnest(CAST(:names AS text[]), CAST(:modes AS boolean[])) m (name, is_live)
    ), waiting AS (
        PENDING
    ), newest AS (
        SELECT processor, livemode FROM charges ORDER BY created_at DESC LIMIT :recent
    )
    SELECT name AS processor, NOT is_live AS livemode, waiting, newest FROM (
        SELECT name, is_live,
               -- A refund that waits for its charge has no mode yet, nor a currency.
               (SELECT count(*) FROM waiting WHERE processor = name AND livemode <> is_live
                  AND currency IS NOT NULL) AS waiting,
               (SELECT count(*) FROM newest
                WHERE processor = name AND livemode <> is_live) AS newest
        FROM modes
    ) counted WHERE waiting + newest > 0 ORDER BY name
""".replace("PENDING", _union(_PENDING))
)
