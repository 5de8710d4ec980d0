"""Where a page of a list ended, and what comes after it: by creation time, then by id.

The next page is found by the index from there: the thousandth costs as much as the first, and no
row is shown twice while new ones arrive. A cursor belongs to its list: with other filters, or in
the other order, it would silently show a part of another one.
"""

import base64
import binascii
import hashlib
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Literal, Protocol

from sqlalchemy import ColumnElement, Table, and_, or_

from infra.billing.contract.ids import is_id
from payments.payment_errors import InvalidRequest

Order = Literal["asc", "desc"]


class Listed(Protocol):
    """A row of a list."""

    @property
    def id(self) -> str: ...

    @property
    def created_at(self) -> datetime: ...


def ordered(table: Table, order: Order = "desc") -> tuple[ColumnElement[Any], ...]:
    """The columns that order a list; `desc` is newest first."""
    columns = (table.c.created_at, table.c.id)  # and ids, as several rows may share a moment
    return tuple(c.desc() if order == "desc" else c.asc() for c in columns)


def behind(
    table: Table,
    cursor: str,
    *,
    prefix: str,
    filters: Mapping[str, Any],
    order: Order = "desc",
) -> ColumnElement[bool]:
    """What comes after the cursor of a page of ids with this prefix, in the list with these filters
    and this order. Raises InvalidRequest."""
    return behind_place(table, *place(cursor, prefix=prefix, filters=filters, order=order), order)


def place(
    cursor: str, *, prefix: str | None, filters: Mapping[str, Any], order: Order = "desc"
) -> tuple[datetime, str]:
    """Where the previous page ended: when its last row was created, and its public id, with any
    prefix if none is given. Raises InvalidRequest."""
    return _read(cursor, prefix, _digest(filters, order))


def behind_place(
    table: Table, at: datetime, id_: str | int, order: Order = "desc"
) -> ColumnElement[bool]:
    """What comes after the row that was created then and has this id in its table."""
    created_at, ids = table.c.created_at, table.c.id
    # Only the first condition is used to enter the index.
    if order == "desc":
        return and_(created_at <= at, or_(created_at < at, ids < id_))
    return and_(created_at >= at, or_(created_at > at, ids > id_))


def after(row: Listed, *, filters: Mapping[str, Any], order: Order = "desc") -> str:
    """The cursor of the page after this row, the last one of its page."""
    at = row.created_at.astimezone(UTC).isoformat()
    place = json.dumps([at, row.id, _digest(filters, order)])
    return base64.urlsafe_b64encode(place.encode()).decode().rstrip("=")


def _digest(filters: Mapping[str, Any], order: Order) -> str:
    """Identifies a list by its filters and order; a filter that allows any value doesn't count."""
    asked = {name: _plain(value) for name, value in filters.items() if value is not None}
    return hashlib.sha256(json.dumps([asked, order], sort_keys=True).encode()).hexdigest()[:12]


def _plain(value: object) -> str:
    # The same moment in another zone is the same moment.
    return value.astimezone(UTC).isoformat() if isinstance(value, datetime) else str(value)


def _read(cursor: str, prefix: str | None, digest: str) -> tuple[datetime, str]:
    try:
        at, id_, of = json.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
        moment = datetime.fromisoformat(at)
        is_known = isinstance(id_, str) if prefix is None else is_id(id_, prefix)
        if moment.tzinfo is None or not is_known:
            raise ValueError
    except (ValueError, TypeError, RecursionError, binascii.Error):
        raise InvalidRequest(
            "cursor must be the next_cursor of the page before", param="cursor"
        ) from None
    if of != digest:
        raise InvalidRequest(
            "cursor belongs to a list with other filters or another order; send it with those that"
            " it came with, or begin without it",
            param="cursor",
        )
    return moment, id_
