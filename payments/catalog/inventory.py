"""Stock that is counted by hand: up when goods come in, down when they leave without a charge.

Done once per key, as counting a delivery twice would be wrong.
"""

from sqlalchemy import BigInteger, bindparam, func, or_, select, update
from sqlalchemy.dialects.postgresql import insert

from infra.billing.contract.ids import fingerprint
from infra.billing.contract.limits import QUANTITY_MAX
from infra.billing.contract.requests.inventory_request import InventoryRequest
from models import InventoryChange
from models.base import id_among, table_of
from models.rows import InventoryChangeRow, PriceRow, ProductRow
from payments.access import audit_log
from payments.catalog.price_locks import PRICES, find, hold, products
from payments.catalog.stock import CHANGED, tell, too_few
from payments.parsing import judged
from payments.payment_errors import InvalidRequest, InventoryUnlimited, KeyReused
from payments.transaction import Transaction, first


def adjust(
    transaction: Transaction, name: str, request: InventoryRequest
) -> tuple[PriceRow, ProductRow, bool]:
    """Count the stock of a price (its id or lookup key) up or down, once per key.

    Returns the price, its product, and whether anything changed: False for a repeat, even if the
    lookup key has moved since. Raises NotFound, KeyReused, InventoryUnlimited,
    InsufficientInventory, InvalidRequest.
    """
    asked = fingerprint({"price": name, "change": request.change})
    if (known := _known(transaction, request, asked)) is not None:
        return *_of(transaction, known), False
    judged(request)
    price = hold(transaction, name)
    # Again: a repeat that waited for the lock must find the first request's change.
    if (known := _known(transaction, request, asked)) is not None:
        return *_of(transaction, known), False
    attempt = transaction.connection.begin_nested()
    changed = _change(transaction, price, request)
    change = {
        "id": request.id,
        "price_id": price.id,
        "producer": request.producer,
        "idempotency_key": request.idempotency_key,
        "fingerprint": asked,
        "change": request.change,
        "available_after": changed.quantity_available,
    }
    if transaction.execute(_REMEMBER, change).first() is None:
        # Another price was counted under this key a moment ago: by another request, or by this one
        # through a lookup key that has moved.
        attempt.rollback()
        if (known := _known(transaction, request, asked)) is not None:
            return *_of(transaction, known), False
        raise KeyReused(param="idempotency_key")
    attempt.commit()
    product = products(transaction, [price.product_id])[price.product_id]
    tell(transaction, [changed], {product.id: product})
    before, after = ({"quantity_available": row.quantity_available} for row in (price, changed))
    audit_log.record(transaction, "price.inventory", price.id, before=before, after=after)
    return changed, product, True


def _known(
    transaction: Transaction, request: InventoryRequest, asked: str
) -> InventoryChangeRow | None:
    """The change that was made under this key already. Raises KeyReused."""
    known = first(transaction.connection, InventoryChangeRow, _KNOWN, {"ids": [request.id]})
    if known is not None and known.fingerprint != asked:
        raise KeyReused(param="idempotency_key")
    return known


def _of(transaction: Transaction, change: InventoryChangeRow) -> tuple[PriceRow, ProductRow]:
    """The price that was counted, in its present state, and its product, whatever the name that was
    sent means now."""
    return find(transaction.connection, change.price_id)


def _change(transaction: Transaction, price: PriceRow, request: InventoryRequest) -> PriceRow:
    changes = {"price_id": price.id, "change": request.change}
    if rows := transaction.read(PriceRow, _ADJUST, changes):
        return rows[0]
    available = price.quantity_available
    if available is None:
        raise InventoryUnlimited(param="quantity")
    if request.change > 0:
        raise InvalidRequest(
            f"quantity: there are {available}; with so many more it would be past {QUANTITY_MAX}",
            param="quantity",
        )
    raise too_few(available, request.quantity)


# --- The statements, built once ---

_changes = table_of(InventoryChange)
_after = PRICES.c.quantity_available + bindparam("change", type_=BigInteger)
_ADJUST = (
    update(PRICES)
    .where(
        PRICES.c.id == bindparam("price_id"),
        _after >= 0,
        # Stock that charges return may exceed the limit; it can still be counted down.
        or_(bindparam("change", type_=BigInteger) < 0, _after <= QUANTITY_MAX),
    )
    .values(quantity_available=_after, **CHANGED)
    .returning(PRICES, func.now().label("now"))
)
_KNOWN = select(_changes).where(id_among(_changes.c.id))
_REMEMBER = insert(_changes).on_conflict_do_nothing().returning(_changes.c.id)
