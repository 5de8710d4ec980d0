"""The feed: every event in one order, for those who read instead of being told.

Positions are given when an event is written, and transactions become visible in another order.
Whoever read past a position whose transaction was still open would never see that event. So a page
ends before the first position that is missing, unless it is missing for good: a transaction that
took a position has written something before, so it has a number below any `mark` that is made
after the gap was seen, and once all below the mark have ended, the gap is what a rollback left.

Who sees one producer's events only reads a part of it (`read_part`), with the same positions. The
positions of others' events are passed over by the cursor, which so never lags behind.

Events leave when they have been kept for their time (`payments.keeping.retention`), some of them
later than those around them. The feed begins behind the last that has left: whoever reads on from
before it has missed some, and is told.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, bindparam, func, literal, select, text, union_all

from models import Event, Retention
from models.base import table_of
from models.rows import EventRow
from payments.access.scopes import EVERYBODY
from payments.errors import EventsGone
from payments.transaction import read as rows_of

POSITION_MAX = 2**63 - 1
# So many positions of the index are counted in well under a millisecond.
COUNTED_MAX = 1_000


def beginning(connection: Connection) -> int:
    """The position behind which the feed begins: that of the last event that has left."""
    return int(connection.execute(_GONE).scalar_one())


def require_kept(connection: Connection, *, after: int) -> None:
    """Raise EventsGone when events behind `after` have left. To be asked once they were read, as
    they may leave meanwhile."""
    if after < (gone := beginning(connection)):
        raise EventsGone(
            f"events up to position {gone} have been kept for their time: you have missed those"
            " behind your `after`. Read the objects that you keep as they stand now, then go on"
            " with after=0",
            param="after",
            kept_after=gone,
        )


def read(
    connection: Connection, *, after: int, limit: int, until: int = POSITION_MAX
) -> list[EventRow]:
    """Up to `limit` events in the order of their positions, behind `after`, up to `until`."""
    bounds = {"after": after, "until": until, "limit": limit}
    return rows_of(connection, EventRow, _READ, bounds)


@dataclass(frozen=True, slots=True)
class Part:
    """Events of one producer, and those that are everybody's, behind some position.

    Between them lie the events of others. `through`: the last position that the part covers;
    `is_whole`: no position up to there is missing.
    """

    rows: Sequence[EventRow]
    has_more: bool
    through: int
    is_whole: bool


def read_part(
    connection: Connection, *, producer: str, after: int, limit: int, until: int = POSITION_MAX
) -> Part:
    """Up to `limit` events that a producer may see, behind `after`, up to `until`.

    Asks several times: the connection must show one moment.
    """
    last = min(connection.execute(_LAST).scalar_one(), until)
    bounds = {"producer": producer, "after": after, "until": last, "limit": limit + 1}
    found = rows_of(connection, EventRow, _READ_PART, bounds)
    rows = found[:limit]
    through = rows[-1].position if len(found) > limit else max(last, after)
    # Whether others' events are all there is counted only where that is cheap; `is_settled` tells,
    # too.
    is_whole = through - after <= COUNTED_MAX and (
        connection.execute(_COUNT, {"after": after, "until": through}).scalar_one()
        == through - after
    )
    return Part(rows, len(found) > limit, through, is_whole)


def last_before_gap(connection: Connection, *, after: int) -> int:
    """The last position behind `after` before which none is missing, of those that are near."""
    near = rows_of(connection, EventRow, _NEAR, {"after": after, "limit": COUNTED_MAX})
    whole = before_gap(near, after=after)
    return whole[-1].position if whole else after


def before_gap(rows: Sequence[EventRow], *, after: int) -> Sequence[EventRow]:
    """The events before the first position that is missing behind `after`."""
    gaps = (i for i, row in enumerate(rows) if row.position != after + 1 + i)
    return rows[: next(gaps, len(rows))]


def mark(connection: Connection) -> int:
    """A number above those of all transactions that have written anything so far."""
    return int(connection.execute(_MARK).scalar_one())


def is_settled(connection: Connection, below: int) -> bool:
    """Whether all transactions with numbers below this one have ended."""
    return bool(connection.execute(_SETTLED, {"below": below}).scalar_one())


def item(row: EventRow) -> str:
    """An event of the feed as JSON: its id, its position, and the webhook's body to the letter."""
    return f'{{"id":"{row.id}","position":{row.position},{row.body[1:]}'


_events, _retention = table_of(Event), table_of(Retention)
_READ = (
    select(_events.c.id, _events.c.position, _events.c.body)
    .where(_events.c.position > bindparam("after"), _events.c.position <= bindparam("until"))
    .order_by(_events.c.position)
    .limit(bindparam("limit"))
)
_GONE = select(func.coalesce(func.max(_retention.c.gone), 0)).where(_retention.c.name == "events")
_LAST = select(func.coalesce(func.max(_events.c.position), 0))


def _of(producer: Any) -> Any:
    """The producer's next events, read from the index in their order."""
    return (
        select(_events.c.id, _events.c.position, _events.c.body)
        .where(
            _events.c.producer == producer,
            _events.c.position > bindparam("after"),
            _events.c.position <= bindparam("until"),
        )
        .order_by(_events.c.position)
        .limit(bindparam("limit"))
    )


# Two reads in order, merged: one of both names would read all of them before it could sort.
_part = union_all(
    _of(bindparam("producer")).subquery().select(), _of(literal(EVERYBODY)).subquery().select()
).subquery()
_READ_PART = select(_part).order_by(_part.c.position).limit(bindparam("limit"))
_between = (_events.c.position > bindparam("after"), _events.c.position <= bindparam("until"))
_COUNT = select(func.count()).select_from(_events).where(*_between)
_NEAR = (
    select(_events.c.position)
    .where(_events.c.position > bindparam("after"))
    .order_by(_events.c.position)
    .limit(bindparam("limit"))
)
_MARK = text("SELECT CAST(CAST(pg_current_xact_id() AS text) AS bigint)")
_SETTLED = text(
    "SELECT CAST(CAST(pg_snapshot_xmin(pg_current_snapshot()) AS text) AS bigint) >= :below"
)
