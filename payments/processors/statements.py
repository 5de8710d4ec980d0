"""What processors say that they moved: their statements, read beside our own tables.

A statement is a query, so it is read in the same snapshot as the tables that it is compared with,
and a processor with millions of movements costs no more than a join.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import (
    BigInteger,
    Connection,
    DateTime,
    Select,
    String,
    Subquery,
    cast,
    false,
    func,
    literal,
    null,
    or_,
    select,
    union_all,
)
from sqlalchemy.dialects import postgresql

from payments.processors.port import KeepsStatement, Movement, Processor

# By the names of the processors that keep one.
Statements = Mapping[str, Select[Any]]


@dataclass(frozen=True, slots=True)
class Total:
    """What moved in one currency, in minor units."""

    charged: int
    refunded: int
    reversed: int


def statements_of(processors: Mapping[str, Processor]) -> Statements:
    """The statements of those processors that keep one."""
    return {
        name: processor.statement()
        for name, processor in processors.items()
        if isinstance(processor, KeepsStatement)
    }


def movements_of(
    connection: Connection, statement: Select[Any], object_id: str, *, charge_id: str
) -> list[Movement]:
    """What moved for this charge, with its captures, or for this refund, in the order of time.
    `charge_id` is the charge itself, or that of the refund."""
    moved = statement.subquery()
    is_its_own: Any = moved.c.object_id == object_id
    if object_id == charge_id:
        is_its_own = or_(is_its_own, moved.c.direction == "capture")
    rows = connection.execute(
        select(*_columns(moved))
        .where(moved.c.charge_id == charge_id, is_its_own)
        .order_by(moved.c.moved_at)
    )
    return [Movement(*row) for row in rows]


def totals(connection: Connection, statements: Statements) -> dict[str, Total]:
    """What moved per currency, at all processors that keep a statement."""
    if not statements:
        return {}
    moved = _everything(statements).subquery()

    def total(*directions: str) -> Any:
        # sum() of bigint is numeric; amounts are whole numbers, so are their sums.
        amount = func.sum(moved.c.amount).filter(moved.c.direction.in_(directions))
        return cast(func.coalesce(amount, 0), BigInteger)

    per_currency = select(
        moved.c.currency, total("charge", "capture"), total("refund"), total("reversal")
    ).group_by(moved.c.currency)
    return {currency: Total(*sums) for currency, *sums in connection.execute(per_currency)}


def moved_twice(connection: Connection, statements: Statements) -> list[str]:
    """Ids of charges and refunds for which money moved more than once, at one processor or at
    several. There should be none."""
    if not statements:
        return []
    moved = _everything(statements).subquery()
    twice = (
        select(moved.c.object_id)
        .group_by(moved.c.object_id, moved.c.direction)
        .having(func.count() > 1)
        .order_by(moved.c.object_id)
        .distinct()
    )
    return list(connection.execute(twice).scalars())


def as_sql(statements: Statements) -> str:
    """All movements as SQL: the columns of Movement, and `processor`. No rows if there are no
    statements."""
    compiled = (_everything(statements) if statements else _NOTHING).compile(
        dialect=postgresql.dialect(),  # type: ignore[no-untyped-call]
        compile_kwargs={"literal_binds": True},
    )
    return str(compiled)


def _everything(statements: Statements) -> Any:
    kept = {name: statement.subquery() for name, statement in statements.items()}
    return union_all(
        *(
            select(literal(name).label("processor"), *_columns(moved))
            for name, moved in kept.items()
        )
    )


def _columns(moved: Subquery) -> Sequence[Any]:
    return [moved.c[name] for name in Movement.__slots__]


_texts = ("processor", "object_id", "charge_id", "reference", "direction", "currency")
_NOTHING = select(
    *(cast(null(), String).label(name) for name in _texts),
    cast(null(), BigInteger).label("amount"),
    cast(null(), DateTime(timezone=True)).label("moved_at"),
).where(false())
