"""Charges and refunds by words of their metadata, newest first.

The index of words has no order. So words are first searched among the newest rows. If that does not
find enough, the statistics of migration 0047 estimate how many rows have them: rows with a rare
word are read by the index, and sorted; a frequent word is searched as far back as one page may
look, and the next page continues from there.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, Text, cast, func, literal, or_, select, text
from sqlalchemy.dialects.postgresql import JSONB, REGCONFIG

from models.base import json_text
from payments.access.scopes import Access
from payments.history.search_text import Typed
from payments.history.searchable import Searchable

# A word is rare if at most this many rows have it, or at most this share of all: for a word that it
# has never seen, PostgreSQL estimates one row in 200.
RARE_MAX, RARE_PART_MAX = 5_000, 0.006
# How many of the newest rows a page searches for a frequent word, at least and at most, as a
# multiple of the rows that should be enough.
LOOKED_AT_MIN, LOOKED_AT_MAX, SPARE = 200, 20_000, 2
# When the last row of the previous page was created, and its id.
Place = tuple[datetime, str]


@dataclass(frozen=True, slots=True)
class Looked:
    """The matches, newest first; and back to when was searched, None = to the end."""

    rows: Sequence[Any]
    until: datetime | None = None


def by_metadata(
    connection: Connection,
    kind: Searchable,
    typed: Typed,
    access: Access,
    behind: Place | None,
    limit: int,
) -> Looked:
    """Rows with these words in their metadata, or this name with this value: up to `limit` of
    them."""
    rows, since = _among(connection, kind, typed, access, behind, LOOKED_AT_MIN, limit)
    if since is None or len(rows) == limit:
        return Looked(rows)
    having, everything = _how_many(connection, kind, typed)
    if having <= max(RARE_MAX, RARE_PART_MAX * everything):
        return Looked(_found(connection, kind, typed, access, behind, None, limit, by_index=True))
    should_do = int(SPARE * limit * everything / having)
    for newest in sorted({max(2 * LOOKED_AT_MIN, min(should_do, LOOKED_AT_MAX)), LOOKED_AT_MAX}):
        rows, since = _among(connection, kind, typed, access, behind, newest, limit)
        if since is None or len(rows) == limit:
            return Looked(rows)
    return Looked(rows, since)


def _among(
    connection: Connection,
    kind: Searchable,
    typed: Typed,
    access: Access,
    behind: Place | None,
    newest: int,
    limit: int,
) -> tuple[Sequence[Any], datetime | None]:
    """The matches among the newest that `access` sees, and since when those are; None: all."""
    since = _since(connection, kind, access, behind, newest)
    return _found(connection, kind, typed, access, behind, since, limit, by_index=False), since


def _how_many(connection: Connection, kind: Searchable, typed: Typed) -> tuple[float, float]:
    """How many rows have these words, and how many there are in all, by the statistics."""
    words = typed.text if typed.pair is None else typed.pair[1]
    (plan,) = connection.execute(_ESTIMATES[kind.type], {"words": words}).scalar_one()
    having, everything = (part["Plan Rows"] for part in plan["Plan"]["Plans"])
    return having, everything


def _found(
    connection: Connection,
    kind: Searchable,
    typed: Typed,
    access: Access,
    behind: Place | None,
    since: datetime | None,
    limit: int,
    *,
    by_index: bool,
) -> Sequence[Any]:
    created_at = kind.table.c.created_at
    where = _in_metadata(kind, typed, by_index=by_index)
    bounds = [] if since is None else [created_at >= since]
    if behind is not None:
        bounds.append(created_at <= behind[0])
    # Separate from the order: walking all rows by time would extract the words of each.
    hits = kind.finds(where, *bounds, access=access).cte("hits").prefix_with("MATERIALIZED")
    statement = select(hits)
    if behind is not None:
        at, last = behind
        statement = statement.where(or_(hits.c.created_at < at, hits.c.id.collate("C") < last))
    order = (hits.c.created_at.desc(), hits.c.id.collate("C").desc())
    return connection.execute(statement.order_by(*order).limit(limit)).all()


def _in_metadata(kind: Searchable, typed: Typed, *, by_index: bool) -> ColumnElement[bool]:
    metadata = kind.table.c.metadata
    # For the newest rows, a word of millions must not be looked up in the index: an expression that
    # the index doesn't have is computed for each row instead, in five microseconds.
    of_words = metadata if by_index else metadata.op("||")(text("'{}'::jsonb"))
    # To match the partial index.
    there = metadata != text("'{}'::jsonb")
    if typed.pair is not None:
        name, value = typed.pair
        is_so = metadata.op("@>")(cast(literal(json_text({name: value}), Text), JSONB))
        return there & is_so & _has_words(of_words, value)
    return there & _has_words(of_words, typed.text)


def _has_words(metadata: ColumnElement[Any], words: str) -> ColumnElement[bool]:
    """Whether the values have all of these words: in the form of the index (migration 0041)."""
    simple = cast(text("'simple'"), REGCONFIG)
    values = func.jsonb_to_tsvector(
        text("'simple'::regconfig"), metadata, text("'[\"string\"]'::jsonb")
    )
    return values.op("@@")(func.plainto_tsquery(simple, cast(words, Text)))


def _since(
    connection: Connection,
    kind: Searchable,
    access: Access,
    behind: Place | None,
    newest: int,
) -> datetime | None:
    """Since when `access` sees this many rows, from the place on; None if it sees fewer."""
    created_at = kind.table.c.created_at
    statement = select(created_at).order_by(created_at.desc()).offset(newest - 1).limit(1)
    if kind.owner is not None:
        statement = statement.where(access.sees_where(kind.owner))
    if behind is not None:
        at, last = behind
        # After a search without a result (`last` is empty), nothing of that moment is left.
        statement = statement.where(created_at <= at if last else created_at < at)
    since: datetime | None = connection.scalar(statement)
    return since


# Only a plan: nothing is read.
_ESTIMATES = {
    name: text(f"""
        EXPLAIN (FORMAT JSON)
        SELECT FROM {name}s WHERE metadata <> '{{}}'::jsonb
           AND jsonb_to_tsvector('simple'::regconfig, metadata, '["string"]'::jsonb)
               @@ plainto_tsquery('simple'::regconfig, CAST(:words AS text))
        UNION ALL SELECT FROM {name}s
    """)  # noqa: S608  # our own names
    for name in ("charge", "refund")
}
