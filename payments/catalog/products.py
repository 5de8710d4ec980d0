"""Products: created, changed, archived, and deleted while they have no prices."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, func, select, update
from sqlalchemy.dialects.postgresql import insert

from infra.billing.contract.ids import MADE_PREFIXES, is_id
from infra.billing.contract.requests.product_request import ProductChanges, ProductRequest
from models.rows import ProductRow
from payments.access import audit_log
from payments.catalog.catalog_views import product_view
from payments.catalog.changes import merged, refuse_deleted
from payments.catalog.price_locks import PRICES, PRODUCTS
from payments.parsing import judged
from payments.payment_errors import KeyReused, NotFound, ProductInUse
from payments.transaction import Transaction, first


def create(
    transaction: Transaction, request: ProductRequest, *, livemode: bool
) -> tuple[ProductRow, bool]:
    """The product, and whether it is new: False for a repeat. Raises KeyReused, and the refusals of
    a new one."""
    if request.against is not None and (known := _known(transaction, request)) is not None:
        return known, False
    judged(request)
    values = {
        "id": request.id,
        "producer": request.producer,
        "idempotency_key": request.idempotency_key,
        "fingerprint": request.fingerprint,
        "livemode": livemode,
        "name": request.name,
        "description": request.description,
        "active": request.active,
        "metadata": request.metadata,
    }
    statement = insert(PRODUCTS).values(values).on_conflict_do_nothing().returning(PRODUCTS)
    if made := transaction.read(ProductRow, statement):
        refuse_deleted(transaction, "product", request.id)
        audit_log.record(transaction, "product.create", made[0].id, after=product_view(made[0]))
        return made[0], True
    # If it was deleted a moment ago, the answer is that it doesn't exist.
    return _known(transaction, request) or get(transaction.connection, request.id), False


def _known(transaction: Transaction, request: ProductRequest) -> ProductRow | None:
    """The product that was created under this key already. Raises KeyReused."""
    made = _find(transaction.connection, request.id)
    if made is not None and made.fingerprint != request.fingerprint:
        raise KeyReused(param="idempotency_key", product_id=request.id)
    return made


def get(connection: Connection, id_: str) -> ProductRow:
    """The product in its present state. Raises NotFound."""
    row = _find(connection, id_) if is_id(id_, MADE_PREFIXES["product"]) else None
    if row is None:
        raise NotFound("there is no product with this id", param="id")
    return row


def _find(connection: Connection, id_: str) -> ProductRow | None:
    return first(connection, ProductRow, select(PRODUCTS).where(PRODUCTS.c.id == id_))


def change(transaction: Transaction, id_: str, changes: ProductChanges) -> ProductRow:
    """Change what was sent, and leave the rest. Raises NotFound, InvalidRequest."""
    row = _hold(transaction, id_)
    new = changes.given()
    if "metadata" in new:
        new["metadata"] = merged(row.metadata, new["metadata"])
    return _write(transaction, row, new)


def archive(transaction: Transaction, id_: str) -> ProductRow:
    """Accept no new prices, and no new charges by its prices. What is pending goes on."""
    return _write(transaction, _hold(transaction, id_), {"active": False})


def delete(transaction: Transaction, id_: str) -> ProductRow:
    """Delete it for good. Raises NotFound, ProductInUse."""
    row = _hold(transaction, id_, to_delete=True)
    if transaction.execute(select(PRICES.c.id).where(PRICES.c.product_id == id_).limit(1)).first():
        raise ProductInUse(param="id")
    transaction.execute(PRODUCTS.delete().where(PRODUCTS.c.id == id_))
    audit_log.record(transaction, "product.delete", id_, before=product_view(row))
    return row


def _hold(transaction: Transaction, id_: str, *, to_delete: bool = False) -> ProductRow:
    get(transaction.connection, id_)
    statement = select(PRODUCTS).where(PRODUCTS.c.id == id_)
    rows = transaction.read(ProductRow, statement.with_for_update(key_share=not to_delete))
    if not rows:  # deleted a moment ago
        raise NotFound("there is no product with this id", param="id")
    return rows[0]


def _write(transaction: Transaction, row: ProductRow, new: Mapping[str, Any]) -> ProductRow:
    if all(getattr(row, name) == value for name, value in new.items()):
        return row
    statement = (
        update(PRODUCTS)
        .where(PRODUCTS.c.id == row.id)
        .values(**new, updated_at=func.clock_timestamp())
        .returning(PRODUCTS)
    )
    (changed,) = transaction.read(ProductRow, statement)
    verb = "archive" if row.active and not changed.active else "update"
    before, after = product_view(row), product_view(changed)
    audit_log.record(transaction, f"product.{verb}", row.id, before=before, after=after)
    return changed
