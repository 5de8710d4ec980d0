"""Prices: created, renamed, archived, and deleted if they were never charged.

What a price costs never changes. A new price can take over the lookup key of the old one in one
step, so a charge by the key uses one of the two at every moment.
"""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import String, bindparam, exists, func, or_, select, update
from sqlalchemy.dialects.postgresql import insert

from infra.billing.contract.requests.price_request import PriceChanges, PriceRequest
from models import Charge, Reservation
from models.base import as_rows, given, table_of
from models.rows import PriceRow, ProductRow
from payments.access import audit_log
from payments.access.scopes import EVERYBODY
from payments.catalog.catalog_views import price_view
from payments.catalog.changes import merged, refuse_deleted
from payments.catalog.price_locks import (
    PRICES,
    hold,
    hold_all,
    lock_lookup_keys,
    no_price,
    products,
)
from payments.parsing import judged
from payments.payment_errors import (
    InvalidRequest,
    KeyReused,
    LookupKeyInUse,
    PriceInUse,
    ProductInactive,
)
from payments.transaction import Transaction, first
from payments.webhooks.outbox import Fact, publish


def create(
    transaction: Transaction, request: PriceRequest, *, livemode: bool
) -> tuple[PriceRow, bool]:
    """The price, and whether it is new: False for a repeat.

    Raises KeyReused, LookupKeyInUse, ProductInactive; InvalidRequest if there is no such product.
    """
    if (known := _known(transaction, request)) is not None:
        return known, False
    judged(request)
    lock_lookup_keys(transaction, _given(request.lookup_key))
    holder = _holder(transaction, request.lookup_key)
    # Again: a repeat that waited for the lock must find the first request's price, and not take the
    # key away from it.
    if (known := _known(transaction, request)) is not None:
        return known, False
    if holder is not None and not request.transfer_lookup_key:
        raise _in_use(holder)
    product = products(transaction, [request.product_id], held=True).get(request.product_id)
    if product is None:
        raise InvalidRequest("there is no product with this id", param="product_id")
    if not product.active:
        raise ProductInactive(
            "the product is archived; make it active before it gets new prices", param="product_id"
        )
    if holder is not None:
        _write(transaction, holder, {"lookup_key": None})
    new = as_rows([columns(request, livemode=livemode)])
    made = transaction.read(PriceRow, _INSERT, {"new": new})
    if not made:  # The same request a moment ago, or another with this key.
        if (known := _known(transaction, request)) is not None:
            return known, False
        raise LookupKeyInUse(param="lookup_key")
    price = made[0]
    refuse_deleted(transaction, "price", price.id)
    _tell(transaction, "price.created", price, product)
    audit_log.record(transaction, "price.create", price.id, after=price_view(price, product))
    return price, True


def shown(transaction: Transaction, price: PriceRow) -> dict[str, Any]:
    """The public `Price` of a row of `prices`, with its product as it is now."""
    return price_view(price, products(transaction, [price.product_id])[price.product_id])


def change(transaction: Transaction, name: str, changes: PriceChanges) -> PriceRow:
    """Change what was sent, and leave the rest.

    Raises NotFound, InvalidRequest, LookupKeyInUse.
    """
    new = changes.given()
    transfers = new.pop("transfer_lookup_key", False)
    key = new.get("lookup_key")
    names = {name, *_given(key)}
    lock_lookup_keys(transaction, names)
    held = hold_all(transaction, names)
    price = held.get(name)
    if price is None:
        raise no_price()
    holder = held.get(key) if key is not None else None
    if holder is not None and holder.id != price.id:
        if not transfers:
            raise _in_use(holder)
        _write(transaction, holder, {"lookup_key": None})
    if "metadata" in new:
        new["metadata"] = merged(price.metadata, new["metadata"])
    return _write(transaction, price, new)


def archive(transaction: Transaction, name: str) -> PriceRow:
    """Accept no new charges; pending ones go on. Raises NotFound."""
    return _write(transaction, hold(transaction, name), {"active": False})


def delete(transaction: Transaction, name: str) -> PriceRow:
    """Delete it for good. Raises NotFound, PriceInUse."""
    price = hold(transaction, name, to_delete=True)
    if transaction.execute(_USED, {"id": price.id}).scalar():
        raise PriceInUse(param="id")
    _tell(transaction, "price.deleted", price, sequence=price.sequence + 1)
    audit_log.record(transaction, "price.delete", price.id, before=shown(transaction, price))
    transaction.execute(PRICES.delete().where(PRICES.c.id == price.id))
    return price


def _known(transaction: Transaction, request: PriceRequest) -> PriceRow | None:
    """The price that was created under this key already. Raises KeyReused."""
    made = first(transaction.connection, PriceRow, select(PRICES).where(PRICES.c.id == request.id))
    if made is not None and made.fingerprint != request.fingerprint:
        raise KeyReused(param="idempotency_key", price_id=request.id)
    return made


def _holder(transaction: Transaction, lookup_key: str | None) -> PriceRow | None:
    """The price that has this key, locked."""
    if lookup_key is None:
        return None
    return hold_all(transaction, [lookup_key]).get(lookup_key)


def _given(lookup_key: str | None) -> tuple[str, ...]:
    return () if lookup_key is None else (lookup_key,)


def _in_use(holder: PriceRow) -> LookupKeyInUse:
    return LookupKeyInUse(
        f"the price {holder.id} has this lookup key; send transfer_lookup_key=true to move it",
        param="lookup_key",
        price_id=holder.id,
    )


def _write(transaction: Transaction, price: PriceRow, new: Mapping[str, Any]) -> PriceRow:
    """Write the changes, and publish them. The price is locked."""
    if all(getattr(price, name) == value for name, value in new.items()):
        return price
    statement = (
        update(PRICES)
        .where(PRICES.c.id == price.id)
        .values(**new, sequence=PRICES.c.sequence + 1, updated_at=func.clock_timestamp())
        .returning(PRICES, func.now().label("now"))
    )
    (changed,) = transaction.read(PriceRow, statement)
    is_archived = price.active and not changed.active
    _tell(transaction, "price.archived" if is_archived else "price.updated", changed)
    before, after = ({name: getattr(row, name) for name in new} for row in (price, changed))
    verb = "archive" if is_archived else "update"
    audit_log.record(transaction, f"price.{verb}", price.id, before=before, after=after)
    return changed


def _tell(
    transaction: Transaction,
    type_: str,
    price: PriceRow,
    product: ProductRow | None = None,
    *,
    sequence: int | None = None,
) -> None:
    of = product or products(transaction, [price.product_id])[price.product_id]
    view = price_view(price, of)
    number = price.sequence if sequence is None else sequence
    fact = Fact(type_, price.id, number, view, price.now, EVERYBODY)
    publish(transaction, [fact])


def columns(request: PriceRequest, *, livemode: bool) -> dict[str, Any]:
    """The requested price as a row of `prices`."""
    parts = request.recurring, request.transform_quantity
    recurring, transform = (one and one.model_dump() for one in parts)
    return {
        "id": request.id,
        "producer": request.producer,
        "idempotency_key": request.idempotency_key,
        "fingerprint": request.fingerprint,
        "livemode": livemode,
        "active": request.active,
        "metadata": request.metadata,
        "product_id": request.product_id,
        "nickname": request.nickname,
        "type": request.type,
        "billing_scheme": request.billing_scheme,
        "currency": request.currency,
        "unit_amount": request.unit_amount,
        "recurring": recurring,
        "tiers": request.tiers and [tier.stored() for tier in request.tiers],
        "tiers_mode": request.tiers_mode,
        "transform_quantity": transform,
        "lookup_key": request.lookup_key,
        "quantity_available": request.quantity_available,
        "initial_quantity": request.quantity_available,
    }


# --- The statements, built once ---

_charges, _reservations = table_of(Charge), table_of(Reservation)
_names = tuple(c.name for c in PRICES.c if c.name not in ("created_at", "updated_at", "sequence"))
_new = given("new", [PRICES.c[name] for name in _names])
_INSERT = (
    insert(PRICES)
    .from_select(list(_names), select(*(_new.c[n] for n in _names)), include_defaults=False)
    .on_conflict_do_nothing()
    .returning(PRICES, func.now().label("now"))
)
_id = bindparam("id", type_=String)
_USED = select(
    or_(exists().where(_charges.c.price_id == _id), exists().where(_reservations.c.price_id == _id))
)
