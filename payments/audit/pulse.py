"""The present activity: the newest charges by minute, and how they ended.

For a page that is open all day, so it reads only the newest rows by their index, however many there
are.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection, case, func, select

from models.states import State
from payments.access.scopes import Access, owner_in
from payments.kinds import CHARGE

# How many of the newest are counted; some 10 ms.
NEWEST = 10_000
MINUTES = 60
_MINUTE = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class Minute:
    """The charges that were made in one minute, by their present state."""

    at: datetime
    succeeded: int
    failed: int
    pending: int


@dataclass(frozen=True, slots=True)
class Declines:
    """How many of the newest charges failed with this code."""

    code: str
    count: int


@dataclass(frozen=True, slots=True)
class Pulse:
    """The last MINUTES, oldest first, without gaps; the reasons why the newest failed, the most
    frequent first; how many charges were counted, and whether there were more in that time."""

    minutes: Sequence[Minute]
    declines: Sequence[Declines]
    counted: int
    is_part: bool


def take(connection: Connection, *, access: Access) -> Pulse:
    """The pulse, of the charges that `access` sees."""
    table = CHARGE.table
    this_minute = connection.scalar(select(func.date_trunc("minute", func.now())))
    assert isinstance(this_minute, datetime)
    since = this_minute - _MINUTE * (MINUTES - 1)
    newest = (
        select(
            func.date_trunc("minute", table.c.created_at).label("at"),
            table.c.state,
            table.c.failure_code,
        )
        .where(access.sees_where(owner_in(table)), table.c.created_at >= since)
        .order_by(table.c.created_at.desc())
        .limit(NEWEST)
        .subquery()
    )
    by_minute = select(
        newest.c.at,
        *(
            func.sum(case((newest.c.state == state.value, 1), else_=0)).label(state.value)
            for state in (State.SUCCEEDED, State.FAILED, State.PENDING)
        ),
    ).group_by(newest.c.at)
    by_code = (
        select(newest.c.failure_code, func.count())
        .where(newest.c.state == State.FAILED.value, newest.c.failure_code.is_not(None))
        .group_by(newest.c.failure_code)
        .order_by(func.count().desc(), newest.c.failure_code)
    )
    found = {row[0]: Minute(*row) for row in connection.execute(by_minute)}
    minutes = [
        found.get(at) or Minute(at, 0, 0, 0) for at in (since + _MINUTE * n for n in range(MINUTES))
    ]
    counted = sum(one.succeeded + one.failed + one.pending for one in found.values())
    declines = [Declines(*row) for row in connection.execute(by_code)]
    return Pulse(minutes, declines, counted, is_part=counted >= NEWEST)
