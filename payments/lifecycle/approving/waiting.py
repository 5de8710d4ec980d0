"""Looking up what waits for a second person, and what they decided: newest first."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, get_args

from sqlalchemy import Connection, func, literal, select

from infra.billing.contract.ids import APPROVAL_PREFIX, is_id
from infra.billing.contract.limits import LIMIT_MAX
from infra.billing.contract.objects import Approval as Shown
from infra.billing.contract.texts import is_storable
from infra.billing.contract.words import ApprovalState
from models import Approval
from models.base import table_of
from models.rows import ApprovalRow
from payments.cursors import after, behind, ordered
from payments.errors import InvalidRequest, NotFound
from payments.transaction import first, read
from payments.views import view_of

FILTERS = ("state", "object_id")
STATES = get_args(ApprovalState)
# Of how many that wait the number is told.
COUNT_MAX = 1000

view = view_of(Shown)


@dataclass(frozen=True, slots=True)
class Page:
    """Some rows, and the cursor of the next page; None at the end."""

    rows: list[ApprovalRow]
    next_cursor: str | None


@dataclass(frozen=True, slots=True)
class Waiting:
    """How many wait for a second person (COUNT_MAX at most), and the oldest for how long."""

    count: int
    oldest_s: float


def get(connection: Connection, id_: str) -> ApprovalRow:
    """The approval with this id. Raises NotFound."""
    found = None
    if is_id(id_, APPROVAL_PREFIX):
        found = first(connection, ApprovalRow, select(_t).where(_t.c.id == id_))
    if found is None:
        raise NotFound("there is no approval with this id", param="id")
    return found


def page(
    connection: Connection,
    *,
    filters: Mapping[str, Any] | None = None,
    limit: int = 20,
    cursor: str | None = None,
    until: datetime | None = None,
) -> Page:
    """Up to `limit` (1 to 100) rows, newest first, from where `cursor` says. `filters`: those of
    FILTERS; `until` as in `payments.lifecycle.reading.page`. Raises InvalidRequest."""
    if not 1 <= limit <= LIMIT_MAX:
        raise InvalidRequest(f"limit must be from 1 to {LIMIT_MAX}, not {limit}", param="limit")
    asked = {name: value for name, value in (filters or {}).items() if value is not None}
    statement = select(_t).order_by(*ordered(_t)).limit(limit + 1)
    for name, value in asked.items():
        if name not in FILTERS:
            fields = ", ".join(FILTERS)
            raise InvalidRequest(f"{name} is not a filter; the filters are: {fields}", param=name)
        if name == "state" and value not in STATES:
            raise InvalidRequest(f"state must be one of {', '.join(STATES)}", param=name)
        if not is_storable(value):
            raise InvalidRequest(f"{name} holds control characters", param=name)
        # Of states written out, not a parameter: a plan made for any can't use the partial index.
        said = literal(value, literal_execute=True) if name == "state" else value
        statement = statement.where(_t.c[name] == said)
    if until is not None:
        statement = statement.where(_t.c.created_at < until)
    if cursor is not None:
        statement = statement.where(behind(_t, cursor, prefix=APPROVAL_PREFIX, filters=asked))
    rows = read(connection, ApprovalRow, statement)
    more = len(rows) > limit
    return Page(rows[:limit], after(rows[limit - 1], filters=asked) if more else None)


def every(connection: Connection, *, filters: Mapping[str, Any]) -> Iterator[ApprovalRow]:
    """All rows, newest first, as `page` reads them; never more than a page of them in memory."""
    cursor: str | None = None
    while True:
        found = page(connection, filters=filters, limit=LIMIT_MAX, cursor=cursor)
        yield from found.rows
        cursor = found.next_cursor
        if cursor is None:
            return


def waiting(connection: Connection) -> Waiting:
    """What waits for a second person."""
    row = connection.execute(_WAITING).one()
    return Waiting(row.number, float(row.oldest_s or 0.0))


_t = table_of(Approval)
TABLE = _t.name
_open = (
    select(_t.c.created_at)
    .where(_t.c.state == literal("pending", literal_execute=True))
    .order_by(_t.c.created_at)
    .limit(COUNT_MAX)
    .subquery()
)
_WAITING = select(
    func.count().label("number"),
    func.extract("epoch", func.now() - func.min(_open.c.created_at)).label("oldest_s"),
).select_from(_open)
