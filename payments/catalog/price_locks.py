"""Prices by their names, read or locked until the end of the transaction.

A name is an id or a lookup key. Prices are locked before all charges and refunds
(`payments.lifecycle.locks`), and products after prices: first those without stock, then by id, with
one statement. Locks on lookup keys (`lock_lookup_keys`) come before prices.
"""

from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import (
    BigInteger,
    Connection,
    Executable,
    String,
    bindparam,
    cast,
    func,
    select,
    union_all,
)
from sqlalchemy.dialects.postgresql import ARRAY, REGCLASS

from infra.billing.contract.ids import is_price_id
from infra.billing.contract.texts import is_storable
from models import Price, Product
from models.base import id_among, table_of
from models.rows import PriceRow, ProductRow, row_of
from payments.payment_errors import NotFound
from payments.transaction import Transaction

# A lookup key that moves while we wait for its former price is looked up again; the last time with
# a lock on the key.
TRIES = 4

PRICES, PRODUCTS = table_of(Price), table_of(Product)


# In one statement, since a price and its product may be deleted between two.
WITH_PRODUCT = select(PRICES, *(c.label(f"product.{c.name}") for c in PRODUCTS.c)).join(
    PRODUCTS, PRODUCTS.c.id == PRICES.c.product_id
)


def find(connection: Connection, name: str) -> tuple[PriceRow, ProductRow]:
    """A price by its name, in its present state, and its product. Raises NotFound."""
    by = PRICES.c.id if is_price_id(name) else PRICES.c.lookup_key
    row = connection.execute(WITH_PRODUCT.where(by == name)).first() if is_storable(name) else None
    if row is None:
        raise no_price()
    return apart(row)


def find_all(
    connection: Connection, names: Iterable[str]
) -> dict[str, tuple[PriceRow, ProductRow]]:
    """Prices and their products in their present state, by name, as far as they exist."""
    wanted = {name for name in names if is_storable(name)}
    found: dict[str, tuple[PriceRow, ProductRow]] = {}
    for row in connection.execute(_ALL, {"names": sorted(wanted)}):
        both = apart(row)
        found |= {name: both for name in (row.id, row.lookup_key) if name in wanted}
    return found


def apart(row: Sequence[Any]) -> tuple[PriceRow, ProductRow]:
    """The price and the product of a row of WITH_PRODUCT."""
    of_price, of_both = len(PRICES.c), len(PRICES.c) + len(PRODUCTS.c)
    return _price_of(row[:of_price]), _product_of(row[of_price:of_both])


def hold(transaction: Transaction, name: str, *, to_delete: bool = False) -> PriceRow:
    """The row of a price, locked: no other transaction changes or sells it. Raises NotFound.

    `to_delete` takes a stronger lock: no other transaction may refer to it any more.
    """
    row = _held(transaction, {name}, _DELETE if to_delete else _HOLD).get(name)
    if row is None:
        raise no_price()
    return row


def hold_all(transaction: Transaction, names: Iterable[str]) -> dict[str, PriceRow]:
    """Like `hold`, for several; by name, as far as they exist."""
    return _held(transaction, set(names), _HOLD)


def hold_to_sell(transaction: Transaction, names: Iterable[str]) -> dict[str, PriceRow]:
    """Lock prices that are about to be charged; by name, as far as they exist.

    Those with stock are locked exclusively, since it is counted down. The others are only protected
    from deletion: any number of transactions may sell them at once, without blocking one that
    archives them or moves their lookup key, which then takes effect after these sales.
    """
    return _held(transaction, set(names), _SELL)


def hold_free(transaction: Transaction, ids: Iterable[str]) -> set[str]:
    """Lock those of these prices that are not locked, without waiting; returns which these are."""
    wanted = sorted(set(ids))
    return set(transaction.execute(_HOLD_FREE, {"ids": wanted}).scalars())


def products(
    transaction: Transaction, ids: Iterable[str], *, held: bool = False
) -> dict[str, ProductRow]:
    """Products by their ids; `held`: protected from deletion until the transaction ends. A product
    with a locked price can't be deleted anyway."""
    wanted = sorted(set(ids))
    if not wanted:
        return {}
    statement = _HOLD_PRODUCTS if held else _READ_PRODUCTS
    rows = transaction.read(ProductRow, statement, {"ids": wanted})
    return {row.id: row for row in rows}


def _held(transaction: Transaction, names: set[str], statement: Executable) -> dict[str, PriceRow]:
    if all(map(is_price_id, names)):  # ids never move to another price
        return _try(transaction, names, statement)[0]
    for _ in range(TRIES - 1):
        attempt = transaction.connection.begin_nested()
        found, moved = _try(transaction, names, statement)
        if not moved:
            attempt.commit()
            return found
        # Release what is locked already: the next try may need another order.
        attempt.rollback()
    lock_lookup_keys(transaction, names)
    return _try(transaction, names, statement)[0]


def lock_lookup_keys(transaction: Transaction, names: Iterable[str]) -> None:
    """Lock these lookup keys before any price is locked: waits for transactions that give them to
    prices, and none moves them until this one ends. Selling by a key, or removing it, needs no such
    lock."""
    for name in sorted(filter(_may_be_key, names)):
        transaction.execute(_LOCK_LOOKUP_KEY, {"lookup_key": name})


def _try(
    transaction: Transaction, names: set[str], statement: Executable
) -> tuple[dict[str, PriceRow], bool]:
    """What was found and locked, and whether a key has moved since it was looked up."""
    ids = _ids(transaction, names)
    if not ids:
        return {}, False
    rows = transaction.read(PriceRow, statement, {"ids": sorted(set(ids.values()))})
    by_id = {row.id: row for row in rows}
    found: dict[str, PriceRow] = {}
    for name, id_ in ids.items():
        row = by_id.get(id_)
        if row is not None and name in (row.id, row.lookup_key):
            found[name] = row
    return found, any(name not in found and not is_price_id(name) for name in ids)


def _ids(transaction: Transaction, names: set[str]) -> dict[str, str]:
    ids = {name: name for name in names if is_price_id(name)}
    keys = sorted(filter(_may_be_key, names))
    if keys:
        ids |= dict(transaction.read(tuple[str, str], _BY_KEY, {"keys": keys}))
    return ids


def _may_be_key(name: str) -> bool:
    # A name that can't be stored belongs to no price, and the database would reject the query.
    return not is_price_id(name) and is_storable(name)


def no_price() -> NotFound:
    """The refusal of a name that no price has."""
    return NotFound("there is no price with this id or lookup key", param="id")


# --- The statements, built once ---

_price_of, _product_of = row_of(PRICES), row_of(PRODUCTS)
_now = func.now().label("now")
_BY_KEY = select(PRICES.c.lookup_key, PRICES.c.id).where(
    PRICES.c.lookup_key == func.any(bindparam("keys", type_=ARRAY(String)))
)
# Whether a price has stock never changes.
_unlimited = PRICES.c.quantity_available.is_(None)
_wanted = select(PRICES, _now).where(id_among(PRICES.c.id)).order_by(_unlimited.desc(), PRICES.c.id)
# The table is part of the lock: advisory locks are shared by the whole database, and another of its
# schemas may hold another installation with the same lookup keys.
_LOCK_LOOKUP_KEY = select(
    func.pg_advisory_xact_lock(
        func.hashtextextended(
            bindparam("lookup_key", type_=String), cast(cast(PRICES.name, REGCLASS), BigInteger)
        )
    )
)
_HOLD = _wanted.with_for_update(key_share=True)
_names = func.any(bindparam("names", type_=ARRAY(String)))
_ALL = WITH_PRODUCT.where((PRICES.c.id == _names) | (PRICES.c.lookup_key == _names))
_HOLD_FREE = (
    select(PRICES.c.id)
    .where(id_among(PRICES.c.id))
    .order_by(PRICES.c.id)
    .with_for_update(key_share=True, skip_locked=True)
)
_DELETE = _wanted.with_for_update()


def _sell_statement() -> Executable:
    shared = _wanted.where(_unlimited).with_for_update(read=True, key_share=True).cte("shared")
    counted = _wanted.where(~_unlimited).with_for_update(key_share=True).cte("counted")
    return union_all(select(shared), select(counted))


_SELL = _sell_statement()
_READ_PRODUCTS = select(PRODUCTS).where(id_among(PRODUCTS.c.id))
_HOLD_PRODUCTS = _READ_PRODUCTS.order_by(PRODUCTS.c.id).with_for_update(read=True, key_share=True)
