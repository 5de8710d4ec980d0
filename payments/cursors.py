"""Where a page of a list ended, and what comes behind: by the moment of creation, then by the id.

The next page is found by the index from there: the thousandth costs what the first one does, and
nothing is shown twice while new rows arrive.
"""

import base64
import binascii
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Literal

from sqlalchemy import ColumnElement, Table, and_, or_

from models.ids import is_id
from payments.errors import InvalidRequest

Order = Literal["asc", "desc"]


def ordered(table: Table, order: Order = "desc") -> tuple[ColumnElement[Any], ...]:
    """What a list is ordered by; `desc` is newest first."""
    columns = (table.c.created_at, table.c.id)  # ids, as many may share a moment
    return tuple(c.desc() if order == "desc" else c.asc() for c in columns)


def behind(table: Table, cursor: str, *, prefix: str, order: Order = "desc") -> ColumnElement[bool]:
    """What comes behind the cursor of a page of ids with this prefix. Raises InvalidRequest."""
    at, id_ = _read(cursor, prefix)
    created_at, ids = table.c.created_at, table.c.id
    # The first condition alone is what the index is entered by.
    if order == "desc":
        return and_(created_at <= at, or_(created_at < at, ids < id_))
    return and_(created_at >= at, or_(created_at > at, ids > id_))


def after(row: Mapping[Any, Any]) -> str:
    """The cursor of the page that follows this row, the last of its own."""
    place = json.dumps([row["created_at"].astimezone(UTC).isoformat(), row["id"]])
    return base64.urlsafe_b64encode(place.encode()).decode().rstrip("=")


def _read(cursor: str, prefix: str) -> tuple[datetime, str]:
    try:
        at, id_ = json.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
        moment = datetime.fromisoformat(at)
        if moment.tzinfo is None or not is_id(id_, prefix):
            raise ValueError
    except (ValueError, TypeError, RecursionError, binascii.Error):
        raise InvalidRequest(
            "cursor must be the next_cursor of the page before", param="cursor"
        ) from None
    return moment, id_
