"""The feed: every event in one order, for those who read instead of being told.

Positions are given when an event is written, and transactions become visible in another order.
Whoever read past a position whose transaction was still open would never see that event. So a page
ends before the first position that is missing, unless it is missing for good: a transaction that
took a position has written something before, so it has a number below any `mark` that is made
after the gap was seen, and once all below the mark have ended, the gap is what a rollback left.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, bindparam, select, text

from models import Event
from models.base import table_of

PAGE_MAX = 100
POSITION_MAX = 2**63 - 1

Row = Mapping[Any, Any]


def read(
    connection: Connection, *, after: int, limit: int, until: int = POSITION_MAX
) -> Sequence[Row]:
    """Up to `limit` events in the order of their positions, behind `after`, up to `until`."""
    bounds = {"after": after, "until": until, "limit": limit}
    return connection.execute(_READ, bounds).mappings().all()


def before_gap(rows: Sequence[Row], *, after: int) -> Sequence[Row]:
    """The events before the first position that is missing behind `after`."""
    gaps = (i for i, row in enumerate(rows) if row["position"] != after + 1 + i)
    return rows[: next(gaps, len(rows))]


def mark(connection: Connection) -> int:
    """A number above those of all transactions that have written anything so far."""
    return int(connection.execute(_MARK).scalar_one())


def is_settled(connection: Connection, below: int) -> bool:
    """Whether all transactions with numbers below this one have ended."""
    return bool(connection.execute(_SETTLED, {"below": below}).scalar_one())


def item(row: Row) -> str:
    """An event of the feed as JSON: its id, its position, and the webhook's body to the letter."""
    return f'{{"id":"{row["id"]}","position":{row["position"]},{row["body"][1:]}'


_events = table_of(Event)
_READ = (
    select(_events.c.id, _events.c.position, _events.c.body)
    .where(_events.c.position > bindparam("after"), _events.c.position <= bindparam("until"))
    .order_by(_events.c.position)
    .limit(bindparam("limit"))
)
_MARK = text("SELECT CAST(CAST(pg_current_xact_id() AS text) AS bigint)")
_SETTLED = text(
    "SELECT CAST(CAST(pg_snapshot_xmin(pg_current_snapshot()) AS text) AS bigint) >= :below"
)
