"""Charges and refunds by words of their metadata, newest first.

Words have an index that knows no order. So they are looked for among the newest, and among all when
they are rare there: then the few that there are can be sorted.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, Text, cast, func, literal, or_, select, text
from sqlalchemy.dialects.postgresql import JSONB, REGCONFIG

from models.base import json_text
from payments.access.scopes import Access
from payments.history.search_text import Typed
from payments.history.searchable import Searchable

# Among so many of the newest, then among more, then among all.
NEWEST = (5_000, 100_000, None)
# When the last row of the page before was made, and its id.
Place = tuple[datetime, str]


def by_metadata(
    connection: Connection,
    kind: Searchable,
    typed: Typed,
    access: Access,
    behind: Place | None,
    limit: int,
) -> Sequence[Any]:
    """What has these words in its metadata, or this name with this value."""
    where = _in_metadata(kind, typed)
    created_at = kind.table.c.created_at
    rows: Sequence[Any] = ()
    for newest in NEWEST:
        since = None if newest is None else _since(connection, kind, behind, newest)
        bounds = [] if since is None else [created_at >= since]
        if behind is not None:
            bounds.append(created_at <= behind[0])
        # Apart from the order: to walk through all by their moments would compute words of each.
        hits = kind.finds(where, *bounds, access=access).cte("hits").prefix_with("MATERIALIZED")
        statement = select(hits)
        if behind is not None:
            at, last = behind
            is_behind = or_(hits.c.created_at < at, hits.c.id.collate("C") < last)
            statement = statement.where(is_behind)
        order = (hits.c.created_at.desc(), hits.c.id.collate("C").desc())
        rows = connection.execute(statement.order_by(*order).limit(limit)).all()
        if since is None or len(rows) == limit:
            break
    return rows


def _in_metadata(kind: Searchable, typed: Typed) -> ColumnElement[bool]:
    metadata = kind.table.c.metadata
    # As the partial index has it.
    there = metadata != text("'{}'::jsonb")
    if typed.pair is not None:
        name, value = typed.pair
        is_so = metadata.op("@>")(cast(literal(json_text({name: value}), Text), JSONB))
        return there & is_so & _has_words(metadata, value)
    return there & _has_words(metadata, typed.text)


def _has_words(metadata: ColumnElement[Any], words: str) -> ColumnElement[bool]:
    """Whether the values have all of these words: as the index has them (migration 0041)."""
    simple = cast(text("'simple'"), REGCONFIG)
    values = func.jsonb_to_tsvector(
        text("'simple'::regconfig"), metadata, text("'[\"string\"]'::jsonb")
    )
    return values.op("@@")(func.plainto_tsquery(simple, cast(words, Text)))


def _since(
    connection: Connection, kind: Searchable, behind: Place | None, newest: int
) -> datetime | None:
    """Since when there are so many, from the place on; None if there are fewer."""
    created_at = kind.table.c.created_at
    statement = select(created_at).order_by(created_at.desc()).offset(newest - 1).limit(1)
    if behind is not None:
        statement = statement.where(created_at <= behind[0])
    since: datetime | None = connection.scalar(statement)
    return since
