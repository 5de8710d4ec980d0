"""The money that the sandbox moved: how it is written, and what it proves as a witness."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import BigInteger, Connection, Select, cast, func, insert, select
from sqlalchemy.orm import Session

from models.base import as_rows, given, id_among, table_of
from models.rows import SandboxRequestRow
from models.sandbox import SandboxMovement
from payments.processors.port import Movement
from payments.transaction import read

_LEDGER = table_of(SandboxMovement)

_NAMES = ("object_id", "charge_id", "reference", "direction", "amount", "currency")


_MOVED = given("moved", [_LEDGER.c[name] for name in _NAMES])
_MOVE = insert(_LEDGER).from_select(
    list(_NAMES), select(*(_MOVED.c[name] for name in _NAMES)), include_defaults=False
)


def _sum(*directions: str) -> Any:
    # sum() of bigint is numeric; amounts are whole numbers, so are their sums.
    moved = func.sum(_LEDGER.c.amount).filter(_LEDGER.c.direction.in_(directions))
    return cast(func.coalesce(moved, 0), BigInteger)


_REFUNDED = (
    select(_LEDGER.c.charge_id, (_sum("refund") - _sum("reversal")).label("refunded"))
    .where(id_among(_LEDGER.c.charge_id), _LEDGER.c.direction != "charge")
    .group_by(_LEDGER.c.charge_id)
)
_MOVED_FOR = (
    select(
        _LEDGER.c.object_id,
        _LEDGER.c.currency,
        (_sum("charge", "capture", "refund") - _sum("reversal")).label("amount"),
        func.count().label("movements"),
    )
    .group_by(_LEDGER.c.object_id, _LEDGER.c.currency)
    .order_by(_LEDGER.c.object_id)
)
# Each half has its own index.
_MOVED_FOR_THESE = _MOVED_FOR.where(
    (id_among(_LEDGER.c.charge_id) & (_LEDGER.c.direction == "charge"))
    | (id_among(_LEDGER.c.object_id) & (_LEDGER.c.direction != "charge"))
)


@dataclass(frozen=True, slots=True)
class Moved:
    """What moved for one charge, capture or refund, less reversals; 0 = it came back."""

    object_id: str
    currency: str
    amount: int
    # 1; 2 for a refund that came back. More means that money moved twice.
    movements: int


def statement() -> Select[Any]:
    """Everything that moved, in the form of the port."""
    return select(*(_LEDGER.c[name] for name in Movement.__slots__))


def moved_for(connection: Connection | Session, object_ids: Sequence[str]) -> dict[str, Moved]:
    """What moved for these charges and refunds; those for which nothing moved are left out."""
    rows = connection.execute(_MOVED_FOR_THESE, {"ids": list(object_ids)})
    return {row.object_id: Moved(*row) for row in rows}


def everything_moved(connection: Connection | Session) -> Iterator[Moved]:
    """What moved for every charge and refund, in the order of ids, a thousand rows at a time."""
    for row in connection.execute(_MOVED_FOR, execution_options={"yield_per": 1000}):
        yield Moved(*row)


def refunded(connection: Connection, charge_ids: Sequence[str]) -> dict[str, int]:
    """What was refunded of each charge so far; charges without refunds are left out."""
    return dict(read(connection, tuple[str, int], _REFUNDED, {"ids": list(charge_ids)}))


def movement(row: SandboxRequestRow, direction: str) -> dict[str, Any]:
    """The movement of a row of `sandbox_requests`."""
    of_row = {name: getattr(row, name) for name in _NAMES if name != "direction"}
    return of_row | {"direction": direction}


def move(connection: Connection, movements: Sequence[Mapping[str, Any]]) -> None:
    """Write movements down."""
    if movements:
        connection.execute(_MOVE, {"moved": as_rows(movements)})
