"""What happened to prices and their stock, for the stories that people ask for."""

from collections.abc import Iterator, Sequence
from typing import Any

from sqlalchemy import Connection, Select, func, select

from models import InventoryChange, Reservation
from models.base import id_among, table_of
from payments.amounts import in_words
from payments.entries import Entry
from payments.prices.holding import PRICES
from payments.transaction import Row

# A price may have been changed and sold millions of times; a story tells the latest.
LATEST = 100


def of_charge(connection: Connection, charge_id: str) -> Iterator[Entry]:
    """What a charge held of its price's stock, and what became of it."""
    for row in _rows(connection, _HELD, [charge_id]):
        units, price_id = _units(row["quantity"]), row["price_id"]
        facts = {"price_id": price_id, "quantity": row["quantity"]}
        held = {**facts, "stock": "held"}
        yield Entry(row["created_at"], "stock", charge_id, f"{units} of {price_id} held", held)
        if row["settled_at"] is not None:
            ends = {"sold": "sold", "released": "given back"}
            text = f"{units} of {price_id} {ends[row['state']]}"
            facts["stock"] = row["state"]
            yield Entry(row["settled_at"], "stock", charge_id, text, facts)


def with_key(connection: Connection, lookup_key: str) -> list[str]:
    """The id of the price that has this lookup key, if there is one."""
    found = select(PRICES.c.id).where(PRICES.c.lookup_key == lookup_key)
    return list(connection.execute(found).scalars())


def of_prices(connection: Connection, ids: Sequence[str]) -> Iterator[Entry]:
    """How prices were made, how their stock was counted by hand, and how they stand."""
    for row in _rows(connection, _PRICES, ids):
        yield _made(row)
        for change in _rows(connection, _CHANGES, [row["id"]]):
            text = (
                f"{change['change']:+d} by {change['producer']}, {change['available_after']} left"
            )
            facts = {
                name: change[name]
                for name in ("change", "available_after", "producer", "idempotency_key")
            }
            yield Entry(change["created_at"], "stock", row["id"], text, facts)
        yield _now(connection, row)


def _made(row: Row) -> Entry:
    tiered = row["unit_amount"] is None
    what = f"{row['tiers_mode']} tiers" if tiered else in_words(row["unit_amount"], row["currency"])
    text = (
        f"price of {row['product_id']}, {what}, made by {row['producer']} under the key"
        f" {row['idempotency_key']!r}"
    )
    if row["initial_quantity"] is not None:
        text += f", with {row['initial_quantity']} in stock"
    names = ("producer", "idempotency_key", "product_id", "lookup_key", "initial_quantity")
    facts = {name: row[name] for name in names if row[name] is not None}
    return Entry(row["created_at"], "request", row["id"], text, facts)


def _now(connection: Connection, row: Row) -> Entry:
    text = "now active" if row["active"] else "now archived"
    facts = {"active": row["active"], "quantity_available": row["quantity_available"]}
    if row["quantity_available"] is not None:
        (sums,) = _rows(connection, _SUMS, [row["id"]])
        facts |= {name: int(sums[name]) for name in ("held", "sold", "restocked")}
        text += (
            f", {row['quantity_available']} left, {facts['held']} held by charges,"
            f" {facts['sold']} sold"
        )
        if facts["restocked"]:
            text += f" and {facts['restocked']} of these back"
    return Entry(row["now"], "now", row["id"], text, facts)


def _units(quantity: int) -> str:
    return "1 unit" if quantity == 1 else f"{quantity} units"


def _rows(connection: Connection, statement: Select[Any], ids: Sequence[str]) -> list[Row]:
    return [dict(row) for row in connection.execute(statement, {"ids": list(ids)}).mappings()]


# --- The statements, built once ---

_reservations, _changes = table_of(Reservation), table_of(InventoryChange)
_HELD = select(_reservations).where(id_among(_reservations.c.charge_id))
_PRICES = select(PRICES, func.now().label("now")).where(id_among(PRICES.c.id))
_CHANGES = (
    select(_changes)
    .where(id_among(_changes.c.price_id))
    .order_by(_changes.c.created_at.desc())
    .limit(LATEST)
)
_quantity = func.sum(_reservations.c.quantity)
_SUMS = select(
    func.coalesce(_quantity.filter(_reservations.c.state == "held"), 0).label("held"),
    func.coalesce(_quantity.filter(_reservations.c.state == "sold"), 0).label("sold"),
    func.coalesce(func.sum(_reservations.c.restocked), 0).label("restocked"),
).where(id_among(_reservations.c.price_id))
