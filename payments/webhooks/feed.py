"""The feed: every event in one order, for services that poll.

Positions are assigned when an event is written, but transactions become visible in another order. A
reader that passed a position whose transaction was still open would never see that event. So a page
ends before the first missing position, unless that one is missing for good: a transaction that took
a position has written before, so its number is below any `mark` made after the gap was seen; once
all transactions below the mark have ended, the gap comes from a rollback.

A caller with access to one producer's events reads only a part of the feed (`read_part`), with the
same positions. The cursor skips the positions of others' events, so it never lags behind.

Events leave after their retention time (`payments.keeping.retention`), some of them later than
their neighbours. The feed begins after the last one that has left: a reader that continues from
before it has missed some, and gets an error.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, bindparam, func, literal, select, text, union_all

from models import Event, Retention
from models.base import table_of
from models.rows import EventRow
from payments.access.scopes import EVERYBODY
from payments.payment_errors import EventsGone
from payments.transaction import read as rows_of

POSITION_MAX = 2**63 - 1
# This many positions of the index are counted in well under a millisecond.
COUNTED_MAX = 1_000


def beginning(connection: Connection) -> int:
    """The position after which the feed begins: that of the last event that has left."""
    return int(connection.execute(_GONE).scalar_one())


def require_kept(connection: Connection, *, after: int) -> None:
    """Raise EventsGone if events after `after` have left. Call it after reading, as they may leave
    in the meantime."""
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
    """Up to `limit` events in the order of their positions, after `after`, up to `until`."""
    bounds = {"after": after, "until": until, "limit": limit}
    return rows_of(connection, EventRow, _READ, bounds)


@dataclass(frozen=True, slots=True)
class Part:
    """Events of one producer, and those for everybody, after some position.

    Events of others lie between them. `through`: the last position that the part covers;
    `is_whole`: no position up to there is missing.
    """

    rows: Sequence[EventRow]
    has_more: bool
    through: int
    is_whole: bool


def read_part(
    connection: Connection, *, producer: str, after: int, limit: int, until: int = POSITION_MAX
) -> Part:
    """Up to `limit` events that a producer may see, after `after`, up to `until`.

    Runs several queries: the connection must use one snapshot.
    """
    last = min(connection.execute(_LAST).scalar_one(), until)
    bounds = {"producer": producer, "after": after, "until": last, "limit": limit + 1}
    found = rows_of(connection, EventRow, _READ_PART, bounds)
    rows = found[:limit]
    through = rows[-1].position if len(found) > limit else max(last, after)
    # Whether others' events are complete is counted only if that is cheap; `is_settled` also tells.
    is_whole = through - after <= COUNTED_MAX and (
        connection.execute(_COUNT, {"after": after, "until": through}).scalar_one()
        == through - after
    )
    return Part(rows, len(found) > limit, through, is_whole)


def last_before_gap(connection: Connection, *, after: int) -> int:
    """The last position after `after` before which none is missing, within the next few."""
    near = rows_of(connection, EventRow, _NEAR, {"after": after, "limit": COUNTED_MAX})
    whole = before_gap(near, after=after)
    return whole[-1].position if whole else after


def before_gap(rows: Sequence[EventRow], *, after: int) -> Sequence[EventRow]:
    """The events before the first position that is missing after `after`."""
    gaps = (i for i, row in enumerate(rows) if row.position != after + 1 + i)
    return rows[: next(gaps, len(rows))]


def mark(connection: Connection) -> int:
    """A number above those of all transactions that have written anything so far."""
    return int(connection.execute(_MARK).scalar_one())


def is_settled(connection: Connection, below: int) -> bool:
    """Whether all transactions with numbers below this one have ended."""
    return bool(connection.execute(_SETTLED, {"below": below}).scalar_one())


def item(row: EventRow) -> str:
    """An event of the feed as JSON: its id, its position, and the exact body of the webhook."""
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


# Two ordered reads, merged: a single read for both names would have to read all rows to sort them.
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
