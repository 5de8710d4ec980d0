"""Looking up disputes: one by its id, or a list page by page, newest first."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, select

from infra.billing.contract.ids import DISPUTE_PREFIX, PREFIXES, is_id
from infra.billing.contract.limits import LIMIT_MAX
from models import Dispute
from models.base import table_of
from models.rows import DisputeRow
from models.states import DisputeState
from payments.access.scopes import OPERATOR, Access
from payments.cursors import after, behind, ordered
from payments.errors import InvalidRequest, NotFound
from payments.transaction import read

FILTERS = ("state", "charge_id")


@dataclass(frozen=True, slots=True)
class Page:
    """Some rows, and the cursor of the next page; None at the end."""

    rows: list[DisputeRow]
    next_cursor: str | None


def get(connection: Connection, id_: str, *, access: Access = OPERATOR) -> DisputeRow:
    """The dispute with this id. Raises NotFound, also for what `access` doesn't see."""
    rows: list[DisputeRow] = []
    if is_id(id_, DISPUTE_PREFIX):
        rows = read(connection, DisputeRow, select(_t).where(_t.c.id == id_))
    if not rows or not access.sees(rows[0].producer):
        raise NotFound("there is no dispute with this id", param="id")
    return rows[0]


def page(
    connection: Connection,
    *,
    filters: Mapping[str, Any] | None = None,
    limit: int = 20,
    cursor: str | None = None,
    access: Access = OPERATOR,
    until: Any = None,
) -> Page:
    """Of what `access` sees, up to `limit` (1 to 100) rows, newest first, from where `cursor` says.
    `filters`: those of FILTERS; `until` as in `payments.lifecycle.reading.page`. Raises
    InvalidRequest."""
    if not 1 <= limit <= LIMIT_MAX:
        raise InvalidRequest(f"limit must be from 1 to {LIMIT_MAX}, not {limit}", param="limit")
    filters = {name: value for name, value in (filters or {}).items() if value is not None}
    _check(filters)
    statement = (
        select(_t)
        .where(
            access.sees_where(_t.c.producer),
            *(_t.c[name] == value for name, value in filters.items()),
        )
        .order_by(*ordered(_t))
        .limit(limit + 1)  # One more than asked for tells whether there is a next page.
    )
    if until is not None:
        statement = statement.where(_t.c.created_at < until)
    if cursor is not None:
        statement = statement.where(behind(_t, cursor, prefix=DISPUTE_PREFIX, filters=filters))
    rows = read(connection, DisputeRow, statement)
    more = len(rows) > limit
    return Page(rows[:limit], after(rows[limit - 1], filters=filters) if more else None)


def every(connection: Connection, *, filters: Mapping[str, Any]) -> Iterator[DisputeRow]:
    """All rows, newest first, as `page` reads them; never more than a page of them in memory."""
    cursor: str | None = None
    while True:
        found = page(connection, filters=filters, limit=LIMIT_MAX, cursor=cursor)
        yield from found.rows
        cursor = found.next_cursor
        if cursor is None:
            return


def _check(filters: Mapping[str, Any]) -> None:
    for name, value in filters.items():
        if name not in FILTERS:
            fields = ", ".join(FILTERS)
            raise InvalidRequest(f"{name} is not a filter; the filters are: {fields}", param=name)
        if name == "state" and value not in list(DisputeState):
            raise InvalidRequest(f"state must be one of {', '.join(DisputeState)}", param=name)
        if name == "charge_id" and not is_id(value, PREFIXES["charge"]):
            raise InvalidRequest("charge_id must be the id of a charge (ch_…)", param=name)


_t = table_of(Dispute)
TABLE = _t.name
