"""The stock of prices that charges reserve.

It is counted down in the transaction that accepts a charge, and reserved by the charge: sold when
the charge succeeds, returned when it fails, held while that is open. Each change is one conditional
UPDATE with its bound in the WHERE.

available + held + sold − restocked = initial + what was changed by hand (`billing verify`).
"""

from collections.abc import Collection, Mapping, Sequence

from sqlalchemy import String, bindparam, case, func, insert, select, union, update
from sqlalchemy.dialects.postgresql import ARRAY

from models import Refund, Reservation
from models.base import as_rows, given, id_among, table_of
from models.rows import ChargeRow, PriceRow, ProductRow, RefundRow, ReservationRow
from models.states import State
from payments.access.scopes import EVERYBODY
from payments.catalog.catalog_views import price_view
from payments.catalog.price_locks import PRICES, products
from payments.payment_errors import InsufficientInventory, NothingToRestock
from payments.transaction import Transaction
from payments.webhooks.outbox import Fact, publish


def reserve(
    transaction: Transaction, charges: Sequence[ChargeRow], products: Mapping[str, ProductRow]
) -> None:
    """Count down what these charges reserve. Their prices have stock, are locked, and have enough;
    `products` are those of the prices, by id.

    Raises InsufficientInventory otherwise: callers must have checked.
    """
    if not charges:
        return
    charges = sorted(charges, key=lambda row: row.id)
    rows = [
        {"charge_id": row.id, "price_id": row.price_id, "quantity": row.quantity} for row in charges
    ]
    sold = [(row.price_id or "", -(row.quantity or 0)) for row in charges]
    if len(_count(transaction, sold, of=products)) != len({row.price_id for row in charges}):
        raise InsufficientInventory
    transaction.execute(_RESERVE, {"new": as_rows(rows)})


def follow(transaction: Transaction, moved: Mapping[str, State]) -> None:
    """Sell what charges reserved if they succeeded, and return it if they failed: once, as only
    reservations that are still `held` change. This transaction has locked the charges, and before
    them the prices (`hold_prices_of`)."""
    if not moved:
        return
    rows = [
        {"charge_id": id_, "state": "sold" if to is State.SUCCEEDED else "released"}
        for id_, to in sorted(moved.items())
    ]
    settled = transaction.read(ReservationRow, _FOLLOW, {"moved": as_rows(rows)})
    _count(
        transaction, [(row.price_id, row.quantity) for row in settled if row.state == "released"]
    )


def restock(transaction: Transaction, refunds: Sequence[RefundRow]) -> None:
    """Put back on sale what came back with these refunds, which have just succeeded."""
    # Several refunds of one charge may succeed at once; an UPDATE changes a row only once.
    units: dict[str, int] = {}
    for row in refunds:
        if row.restock and row.restock_quantity:
            units[row.charge_id] = units.get(row.charge_id, 0) + row.restock_quantity
    if not units:
        return
    back = [{"charge_id": id_, "quantity": n} for id_, n in sorted(units.items())]
    returned = transaction.read(ReservationRow, _RESTOCK, {"back": as_rows(back)})
    _count(transaction, [(row.price_id, units[row.charge_id]) for row in returned])
    charges = {row.charge_id for row in returned}
    ids = [row.id for row in refunds if row.restock and row.charge_id in charges]
    transaction.execute(_RESTOCKED, {"ids": ids})


def hold_prices_of(
    transaction: Transaction, *, charges: Sequence[str] = (), refunds: Sequence[str] = ()
) -> None:
    """Lock the prices whose stock may come back when these charges fail, or these refunds succeed:
    all with one statement, and before any charge (see `payments.lifecycle.locks`)."""
    if charges or refunds:
        transaction.execute(_HOLD, {"ids": list(charges), "refund_ids": list(refunds)})


def units_out(transaction: Transaction, charge_ids: Collection[str]) -> dict[str, int]:
    """How many units of these charges may still come back: those that no succeeded or reserved
    refund brings back already. The charges are locked."""
    if not charge_ids:
        return {}
    rows = transaction.read(tuple[str, int], _UNITS_OUT, {"ids": list(charge_ids)})
    return {charge_id: int(units) for charge_id, units in rows}


def to_restock(asked: int | None, charge_id: str, out: dict[str, int]) -> int:
    """How many units a refund brings back; counts them down in `out`. Raises NothingToRestock."""
    available = out.get(charge_id, 0)
    units = available if asked is None else asked
    if units > available or units == 0:
        raise NothingToRestock(
            f"{available} units of this charge can come back: ask for no more, or don't restock",
            param="restock" if asked is None else "restock_quantity",
            available=available,
            requested=asked,
        )
    out[charge_id] = available - units
    return units


def too_few(available: int, requested: int) -> InsufficientInventory:
    """The refusal with the stock available and the quantity requested."""
    return InsufficientInventory(
        f"{available} are left, and {requested} were asked for; ask for no more than there are",
        param="quantity",
        available=available,
        requested=requested,
    )


def _count(
    transaction: Transaction,
    differences: Sequence[tuple[str, int]],
    of: Mapping[str, ProductRow] | None = None,
) -> list[PriceRow]:
    """Count prices up or down by these differences, of which a price may have several, and publish
    the new counts."""
    if not differences:
        return []
    sums: dict[str, int] = {}
    for price_id, more in differences:
        sums[price_id] = sums.get(price_id, 0) + more
    changes = [{"id": id_, "quantity_available": n} for id_, n in sorted(sums.items())]
    changed = transaction.read(PriceRow, _COUNT, {"changes": as_rows(changes)})
    tell(transaction, changed, of)
    return changed


def tell(
    transaction: Transaction, prices: Sequence[PriceRow], of: Mapping[str, ProductRow] | None = None
) -> None:
    """Publish the stock of these prices; `of` are their products, if known."""
    of = of or products(transaction, [row.product_id for row in prices])
    publish(
        transaction,
        [
            Fact(
                "price.inventory_changed",
                row.id,
                row.sequence,
                price_view(row, of[row.product_id]),
                row.now,
                EVERYBODY,
            )
            for row in prices
        ],
    )


# --- The statements, built once ---

_reservations, _refunds = table_of(Reservation), table_of(Refund)
_changes = given("changes", [PRICES.c.id, PRICES.c.quantity_available])
_left = PRICES.c.quantity_available + _changes.c.quantity_available
CHANGED = {"sequence": PRICES.c.sequence + 1, "updated_at": func.clock_timestamp()}
_COUNT = (
    update(PRICES)
    .where(PRICES.c.id == _changes.c.id, _left >= 0)
    .values(quantity_available=_left, **CHANGED)
    .returning(PRICES, func.now().label("now"))
)

_new = given("new", [_reservations.c[n] for n in ("charge_id", "price_id", "quantity")])
_RESERVE = insert(_reservations).from_select(
    ["charge_id", "price_id", "quantity"],
    select(_new.c.charge_id, _new.c.price_id, _new.c.quantity),
    include_defaults=False,  # the table's own
)
_moved = given("moved", [_reservations.c.charge_id, _reservations.c.state])
_FOLLOW = (
    update(_reservations)
    .where(_reservations.c.charge_id == _moved.c.charge_id, _reservations.c.state == "held")
    .values(state=_moved.c.state, settled_at=func.now())
    .returning(_reservations)
)
_back = given("back", [_reservations.c.charge_id, _reservations.c.quantity])
_RESTOCK = (
    update(_reservations)
    .where(
        _reservations.c.charge_id == _back.c.charge_id,
        _reservations.c.state == "sold",
        _reservations.c.restocked + _back.c.quantity <= _reservations.c.quantity,
    )
    .values(restocked=_reservations.c.restocked + _back.c.quantity)
    .returning(_reservations)
)
_RESTOCKED = (
    update(_refunds).where(id_among(_refunds.c.id)).values(restocked=_refunds.c.restock_quantity)
)
_of_refunds = select(_refunds.c.charge_id).where(
    _refunds.c.id == func.any(bindparam("refund_ids", type_=ARRAY(String)))
)
# A charge's price and a refund's charge never change.
_of_these = select(_reservations.c.price_id).where(
    _reservations.c.charge_id.in_(
        union(select(func.unnest(bindparam("ids", type_=ARRAY(String)))), _of_refunds)
    )
)
_HOLD = (
    select(PRICES.c.id)
    .where(PRICES.c.id.in_(_of_these))
    .order_by(PRICES.c.id)
    .with_for_update(key_share=True)
)
# A refund that came before its charge takes no units until it reserves its amount, as only then
# their number is known.
_takes_units = (_refunds.c.state == State.PENDING.value) & _refunds.c.reserved
_comes_back = case(
    (_takes_units, func.coalesce(_refunds.c.restock_quantity, 0)), else_=_refunds.c.restocked
)
_UNITS_OUT = (
    select(
        _reservations.c.charge_id,
        (_reservations.c.quantity - func.coalesce(func.sum(_comes_back), 0)).label("units"),
    )
    .join(
        _refunds,
        (_refunds.c.charge_id == _reservations.c.charge_id) & _refunds.c.restock,
        isouter=True,
    )
    .where(id_among(_reservations.c.charge_id), _reservations.c.state != "released")
    .group_by(_reservations.c.charge_id, _reservations.c.quantity)
)
