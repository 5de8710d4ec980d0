"""The sandbox in tests: orders for it, and a way to let its time pass without waiting."""

from dataclasses import replace
from datetime import timedelta
from itertools import count

from sqlalchemy import Connection, Engine, select, text

from infra.billing.contract.ids import id_from_key
from payments.processors import statements
from payments.processors.port import Movement, Order
from payments.processors.sandbox import ledger

_numbers = count(1)


def a_charge(payment_method_id: str | None = "pm_card_visa", **changes: object) -> Order:
    """A charge of USD 10.00 that nobody has sent yet."""
    order = Order(
        id=id_from_key("charge", producer="tests", key=str(next(_numbers))),
        kind="charge",
        amount=1000,
        currency="USD",
        customer_id="cus_ada",
        payment_method_id=payment_method_id,
    )
    return replace(order, **changes)  # type: ignore[arg-type]


def a_refund(charge: Order, *, amount: int | None = None, **changes: object) -> Order:
    """A refund of `charge`, in full unless an amount is given, that nobody has sent yet."""
    order = Order(
        id=id_from_key("refund", producer="tests", key=str(next(_numbers))),
        kind="refund",
        amount=charge.amount if amount is None else amount,
        currency=charge.currency,
        charge_id=charge.id,
        charge_reference=charge.reference,
    )
    return replace(order, **changes)  # type: ignore[arg-type]


def a_capture(charge: Order, *, amount: int | None = None, **changes: object) -> Order:
    """A capture of `charge`, of all that it is for unless an amount is given, that nobody has sent
    yet. It takes the last of it, unless `final` says otherwise."""
    order = Order(
        id=id_from_key("capture", producer="tests", key=str(next(_numbers))),
        kind="capture",
        amount=charge.amount if amount is None else amount,
        currency=charge.currency,
        charge_id=charge.id,
        charge_reference=charge.reference,
    )
    return replace(order, **changes)  # type: ignore[arg-type]


def time_passes(engine: Engine, duration: timedelta) -> None:
    """Everything in the sandbox's books happened this much earlier; what is due falls due."""
    with engine.begin() as connection:
        for table, columns in {
            "sandbox_requests": ("turns_at", "capture_before", "created_at"),
            "sandbox_events": ("next_offer_at", "created_at"),
            "sandbox_ledger": ("moved_at",),
        }.items():
            earlier = ", ".join(f"{column} = {column} - :duration" for column in columns)
            # Names from the lines above; nothing here comes from outside.
            connection.execute(text(f"UPDATE {table} SET {earlier}"), {"duration": duration})


def moved(connection: Connection, order: Order) -> list[tuple[str, int]]:
    """Direction and amount of each movement of this very charge, capture or refund."""
    return [
        (movement.direction, movement.amount)
        for movement in movements_of(connection, order.charge_id or order.id)
        if movement.object_id == order.id
    ]


# What the sandbox says that it moved.
STATEMENTS = {"sandbox": ledger.statement()}


def movements_of(connection: Connection, charge_id: str) -> list[Movement]:
    """What moved for a charge and its refunds, in the order it happened."""
    moved = STATEMENTS["sandbox"].subquery()
    found = connection.execute(
        select(moved).where(moved.c.charge_id == charge_id).order_by(moved.c.moved_at)
    )
    return [Movement(*row) for row in found]


def moved_twice(connection: Connection) -> list[str]:
    """Ids of charges and refunds for which it moved money more than once."""
    return statements.moved_twice(connection, STATEMENTS)
