"""Writes that return nothing but what they wake, combined into one statement.

A settlement writes an attempt, an event with its deliveries, postings, and makes what waited for it
due: a round trip, a parse and a plan for each would be half of its cost. As parts of one statement
(`WITH … AS (INSERT …)`) they share one of each. All parts see the database as it was before the
statement, so none may need what another writes.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal, TypeAlias

from sqlalchemy import CTE, Select, false, literal_column, null, select, union_all

# What has work to do now: the sets of `payments.transaction.Wakes`.
Woken = Literal["endpoints", "charges", "refunds"]


@dataclass(frozen=True, eq=False, slots=True)
class Write:
    """One part. Its names, and those of its parameters, must be unique among the parts; nor may a
    parameter be named like a column of a written table, as SQLAlchemy would take it for that.

    `ctes` are its statements, in their order; `wakes` selects the `id` of each object that it
    wakes, of the kind `woken`.
    """

    ctes: Sequence[CTE]
    woken: Woken | None = None
    wakes: Select[tuple[str]] | None = None


# With its parameters.
Part: TypeAlias = tuple[Write, dict[str, Any]]


@cache
def statement_of(parts: tuple[Write, ...]) -> Any:
    """One statement of these parts, each with all its rows. Its result rows: which set, and the id
    of an object to wake. Raises ValueError for a part that is there twice."""
    if len(set(parts)) < len(parts):
        raise ValueError("a part is written once in a statement: give it all its rows at once")
    wakes = [
        select(
            literal_column(f"'{part.woken}'").label("woken"), part.wakes.cte(f"{part.woken}_due")
        )
        for part in parts
        if part.wakes is not None
    ]
    wakes_nothing = select(null().label("woken"), null().label("id")).where(false())
    statement: Any = union_all(*wakes) if wakes else wakes_nothing
    for part in parts:
        for cte in part.ctes:
            statement = statement.add_cte(cte)
    return statement
