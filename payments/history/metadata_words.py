"""Charges and refunds by words of their metadata, newest first.

Words have an index that knows no order. So they are looked for among the newest first. Where those
don't do, it is estimated how many have them (by the statistics of migration 0047): the few that
have a rare word are read by the index, and sorted; a word of many is looked for as far back as one
page may look, and the next page goes on from there.
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

# What so many have at most is rare, and so is what this part of all have at most: of a word that it
# has never seen, PostgreSQL says that one in 200 has it.
RARE_MAX, RARE_PART_MAX = 5_000, 0.006
# Among so many of the newest a page looks for what is not rare, at least and at most, and among so
# many times those that should do.
LOOKED_AT_MIN, LOOKED_AT_MAX, SPARE = 200, 20_000, 2
# When the last row of the page before was made, and its id.
Place = tuple[datetime, str]


@dataclass(frozen=True, slots=True)
class Looked:
    """What has the words, newest first; and until when it was looked for, None = to the end."""

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
    """What has these words in its metadata, or this name with this value: up to `limit` of them."""
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
    """What has them among the newest that `access` sees, and since when those are; None: all."""
    since = _since(connection, kind, access, behind, newest)
    return _found(connection, kind, typed, access, behind, since, limit, by_index=False), since


def _how_many(connection: Connection, kind: Searchable, typed: Typed) -> tuple[float, float]:
    """How many of all have these words, and how many there are, as statistics say."""
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
    # Apart from the order: to walk through all by their moments would compute words of each.
    hits = kind.finds(where, *bounds, access=access).cte("hits").prefix_with("MATERIALIZED")
    statement = select(hits)
    if behind is not None:
        at, last = behind
        statement = statement.where(or_(hits.c.created_at < at, hits.c.id.collate("C") < last))
    order = (hits.c.created_at.desc(), hits.c.id.collate("C").desc())
    return connection.execute(statement.order_by(*order).limit(limit)).all()


def _in_metadata(kind: Searchable, typed: Typed, *, by_index: bool) -> ColumnElement[bool]:
    metadata = kind.table.c.metadata
    # Among the newest, a word that millions have is not to be looked up among all: an expression
    # that the index doesn't have is computed for each of them, five microseconds.
    of_words = metadata if by_index else metadata.op("||")(text("'{}'::jsonb"))
    # As the partial index has it.
    there = metadata != text("'{}'::jsonb")
    if typed.pair is not None:
        name, value = typed.pair
        is_so = metadata.op("@>")(cast(literal(json_text({name: value}), Text), JSONB))
        return there & is_so & _has_words(of_words, value)
    return there & _has_words(of_words, typed.text)


def _has_words(metadata: ColumnElement[Any], words: str) -> ColumnElement[bool]:
    """Whether the values have all of these words: as the index has them (migration 0041)."""
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
    """Since when `access` sees so many, from the place on; None if it sees fewer."""
    created_at = kind.table.c.created_at
    statement = select(created_at).order_by(created_at.desc()).offset(newest - 1).limit(1)
    if kind.owner is not None:
        statement = statement.where(access.sees_where(kind.owner))
    if behind is not None:
        at, last = behind
        # Behind what was looked for in vain (`last` is empty) nothing of that moment is left.
        statement = statement.where(created_at <= at if last else created_at < at)
    since: datetime | None = connection.scalar(statement)
    return since


# A plan alone: nothing is read.
_ESTIMATES = {
    name: text(f"""
        EXPLAIN (FORMAT JSON)
        SELECT FROM {name}s WHERE metadata <> '{{}}'::jsonb
           AND jsonb_to_tsvector('simple'::regconfig, metadata, '["string"]'::jsonb)
               @@ plainto_tsquery('simple'::regconfig, CAST(:words AS text))
        UNION ALL SELECT FROM {name}s
    """)  # noqa: S608  # names of ours
    for name in ("charge", "refund")
}
