"""Writes of which nothing is read but whom they wake, put together into one statement.

A settlement writes an attempt, an event with its deliveries, postings, and what waited for it is
due: a round trip, a parse and a plan for each would be half of what it costs. As parts of one
statement (`WITH … AS (INSERT …)`) they are one of each. All parts see the database as it was before
the statement, so none may need what another writes.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal, TypeAlias

from sqlalchemy import CTE, Select, false, literal_column, null, select, union_all

# Who has something to do now: the sets of `payments.transaction.Wakes`.
Woken = Literal["endpoints", "charges", "refunds"]


@dataclass(frozen=True, eq=False, slots=True)
class Write:
    """One part. Its names, and those of its parameters, are no other part's; nor are parameters
    called as a column of a table that is written, for which SQLAlchemy would take them.

    `ctes` are its statements, in their order; `wakes` selects the `id` of each that it wakes, who
    are `woken`.
    """

    ctes: Sequence[CTE]
    woken: Woken | None = None
    wakes: Select[tuple[str]] | None = None


# With its parameters.
Part: TypeAlias = tuple[Write, dict[str, Any]]


@cache
def statement_of(parts: tuple[Write, ...]) -> Any:
    """One statement of these parts, each of which has all its rows. Its own rows: which set, and
    the id of one to wake. Raises ValueError for a part that is there twice."""
    if len(set(parts)) < len(parts):
        raise ValueError("a part is written once in a statement: give it all its rows at once")
    wakes = [
        select(
            literal_column(f"'{part.woken}'").label("woken"), part.wakes.cte(f"{part.woken}_due")
        )
        for part in parts
        if part.wakes is not None
    ]
    nobody = select(null().label("woken"), null().label("id")).where(false())
    statement: Any = union_all(*wakes) if wakes else nobody
    for part in parts:
        for cte in part.ctes:
            statement = statement.add_cte(cte)
    return statement
