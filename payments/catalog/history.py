"""The history of products, prices and their stock, for timelines."""

import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import Connection, func, select

from models import Event, InventoryChange, Refund, Reservation
from models.base import id_among, table_of
from models.rows import (
    EventRow,
    InventoryChangeRow,
    PriceRow,
    ProductRow,
    RefundRow,
    ReservationRow,
)
from payments.catalog.catalog_views import price_view
from payments.catalog.costs import costs
from payments.catalog.price_locks import PRICES, PRODUCTS, WITH_PRODUCT, apart
from payments.timeline_entries import Entry, facts_of
from payments.transaction import read

# A price may have been changed and sold millions of times; a timeline has the latest.
LATEST = 100
# The fields of a price that may change, as in its events.
_CHANGES_TOLD = ("active", "lookup_key", "nickname")


def of_charge(connection: Connection, charge_id: str) -> Iterator[Entry]:
    """The stock that a charge reserved, and what happened to it."""
    for row in read(connection, ReservationRow, _HELD, {"ids": [charge_id]}):
        held_units, price_id = units(row.quantity), row.price_id
        facts = {"price_id": price_id, "quantity": row.quantity}
        held = {**facts, "stock": "held"}
        yield Entry(row.created_at, "stock", charge_id, f"{held_units} of {price_id} held", held)
        if row.settled_at is not None:
            text = f"{held_units} of {price_id} {row.state}"
            facts["stock"] = row.state
            yield Entry(row.settled_at, "stock", charge_id, text, facts)


def with_key(connection: Connection, lookup_key: str) -> list[str]:
    """The id of the price with this lookup key, if there is one."""
    found = select(PRICES.c.id).where(PRICES.c.lookup_key == lookup_key)
    return list(connection.execute(found).scalars())


def of_products(connection: Connection, ids: Sequence[str]) -> Iterator[Entry]:
    """How products were created, and their present state."""
    for row in read(connection, ProductRow, _PRODUCTS, {"ids": list(ids)}):
        text = f"product {row.name!r}, {_made_by(row)}"
        facts = facts_of(row, "name", "producer", "idempotency_key")
        yield Entry(row.created_at, "request", row.id, text, facts)
        count = connection.scalar(_PRICES_OF, {"ids": [row.id]}) or 0
        text = f"now {_standing(row)}, with {'1 price' if count == 1 else f'{count} prices'}"
        yield Entry(row.now, "now", row.id, text, {"active": row.active, "prices": count})


def of_prices(connection: Connection, ids: Sequence[str]) -> Iterator[Entry]:
    """How prices were created, how their stock was counted and sold, and their present state."""
    for both in connection.execute(_PRICES, {"ids": list(ids)}):
        row, product = apart(both)
        yield _made(row, product)
        yield from _counted(connection, row.id)
        yield from _sold(connection, row.id)
        yield _now(connection, row, product, both.now)


def latest_events(connection: Connection, price_ids: Sequence[str]) -> list[EventRow]:
    """The last events of these prices, each price's in order; deleted prices included."""
    events = [read(connection, EventRow, _EVENTS, {"ids": [id_]}) for id_ in sorted(set(price_ids))]
    return [event for of_one in events for event in reversed(of_one)]


def left_out(events: Sequence[EventRow]) -> Iterator[Entry]:
    """A note about the events before the first of these."""
    firsts = {event.object_id: event for event in reversed(events)}
    for event in firsts.values():
        if event.sequence > 1:
            count = event.sequence - 1
            text = f"{count} earlier event{'s are' if count > 1 else ' is'} not told here"
            yield Entry(event.created_at, "event", event.object_id, text, {"left_out": count})


def beyond_type(event: EventRow, before: EventRow | None) -> str:
    """What an event of a price says beyond its type; `before` is the previous one."""
    now = _data(event)
    if event.type == "price.inventory_changed":
        return f": {now.get('quantity_available')} left"
    if before is None or event.type == "price.deleted":
        return ""
    old = _data(before)
    changes = [
        f"{name} is {_quoted(now.get(name))}"
        for name in _CHANGES_TOLD
        if old.get(name) != now.get(name)
    ]
    if old.get("metadata") != now.get("metadata"):
        changes.append("metadata changed")
    return f": {', '.join(changes)}" if changes else ""


def _made(row: PriceRow, product: ProductRow) -> Entry:
    what = costs(price_view(row, product), brief=True)
    text = f"price of {product.name!r} ({row.product_id}), {what}, {_made_by(row)}"
    if row.initial_quantity is not None:
        text += f", with {row.initial_quantity} in stock"
    names = ("producer", "idempotency_key", "product_id", "lookup_key", "initial_quantity")
    facts = {name: known for name, known in facts_of(row, *names).items() if known is not None}
    return Entry(row.created_at, "request", row.id, text, facts)


def _counted(connection: Connection, price_id: str) -> Iterator[Entry]:
    for change in read(connection, InventoryChangeRow, _CHANGES, {"ids": [price_id]}):
        text = (
            f"{change.change:+d} by hand, by the producer {change.producer!r},"
            f" {change.available_after} left"
        )
        facts = facts_of(change, "change", "available_after", "producer", "idempotency_key")
        yield Entry(change.created_at, "stock", price_id, text, facts)


def _sold(connection: Connection, price_id: str) -> Iterator[Entry]:
    """The stock that charges reserved of it, and what happened to it."""
    rows = read(connection, ReservationRow, _SALES, {"ids": [price_id]})
    if len(rows) == LATEST:
        text = "what was sold before is not told here"
        yield Entry(rows[-1].created_at, "stock", price_id, text)
    for row in rows:
        count, charge_id = units(row.quantity), row.charge_id
        facts = {"charge_id": charge_id, "quantity": row.quantity}
        held = {**facts, "stock": "held"}
        yield Entry(row.created_at, "stock", price_id, f"{count} held for {charge_id}", held)
        if row.settled_at is not None:
            ends = {"sold": "sold with", "released": "released by"}
            text = f"{count} {ends[row.state]} {charge_id}"
            yield Entry(row.settled_at, "stock", price_id, text, {**facts, "stock": row.state})
    charge_ids = [row.charge_id for row in rows]
    for refund in read(connection, RefundRow, _BACK, {"ids": charge_ids}):
        text = f"{units(refund.restocked)} of {refund.charge_id} back with {refund.id}"
        facts = {"refund_id": refund.id, "quantity": refund.restocked, "stock": "back"}
        if refund.settled_at is not None:  # whatever has come back is settled
            yield Entry(refund.settled_at, "stock", price_id, text, facts)


def _now(connection: Connection, row: PriceRow, product: ProductRow, now: datetime) -> Entry:
    text = f"now {_standing(row)}"
    if row.active and not product.active:
        text += ", but its product is archived"
    facts = {"active": row.active, "quantity_available": row.quantity_available}
    if row.quantity_available is not None:
        sums = _Sums(*map(int, connection.execute(_SUMS, {"ids": [row.id]}).one()))
        facts |= sums._asdict()
        text += f", {row.quantity_available} left, {sums.held} held by charges, {sums.sold} sold"
        if sums.restocked:
            text += f" and {sums.restocked} of these back"
    return Entry(now, "now", row.id, text, facts)


def _made_by(row: ProductRow | PriceRow) -> str:
    return f"made by the producer {row.producer!r} under the key {row.idempotency_key!r}"


def _standing(row: ProductRow | PriceRow) -> str:
    return "active" if row.active else "archived"


def _data(event: EventRow) -> Mapping[str, Any]:
    data: Mapping[str, Any] = json.loads(event.body)["data"]
    return data


def _quoted(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return "unset" if value is None else repr(value)


def units(quantity: int) -> str:
    """`1 unit`, `3 units`."""
    return "1 unit" if quantity == 1 else f"{quantity} units"


class _Sums(NamedTuple):
    """How many units of a price are in each state."""

    held: int
    sold: int
    restocked: int


# --- The statements, built once ---

_reservations, _changes, _refunds, _events = (
    table_of(model) for model in (Reservation, InventoryChange, Refund, Event)
)
_now_too = func.now().label("now")
_HELD = select(_reservations).where(id_among(_reservations.c.charge_id))
_PRODUCTS = select(PRODUCTS, _now_too).where(id_among(PRODUCTS.c.id))
_PRICES_OF = select(func.count()).select_from(PRICES).where(id_among(PRICES.c.product_id))
_PRICES = WITH_PRODUCT.add_columns(_now_too).where(id_among(PRICES.c.id))
_EVENTS = (
    select(_events)
    .where(id_among(_events.c.object_id))
    .order_by(_events.c.sequence.desc())
    .limit(LATEST)
)
_CHANGES = (
    select(_changes)
    .where(id_among(_changes.c.price_id))
    .order_by(_changes.c.created_at.desc())
    .limit(LATEST)
)
_SALES = (
    select(_reservations)
    .where(id_among(_reservations.c.price_id))
    .order_by(_reservations.c.created_at.desc())
    .limit(LATEST)
)
_BACK = (
    select(_refunds)
    .where(id_among(_refunds.c.charge_id), _refunds.c.restocked > 0)
    .order_by(_refunds.c.settled_at)
)
_quantity = func.sum(_reservations.c.quantity)
_SUMS = select(
    func.coalesce(_quantity.filter(_reservations.c.state == "held"), 0).label("held"),
    func.coalesce(_quantity.filter(_reservations.c.state == "sold"), 0).label("sold"),
    func.coalesce(func.sum(_reservations.c.restocked), 0).label("restocked"),
).where(id_among(_reservations.c.price_id))
