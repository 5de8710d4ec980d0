"""Prices by their names, read or held until the end of the transaction.

A name is an id or a lookup key. Prices are held before all charges and refunds (`payments.locks`),
and products after prices.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Connection, String, bindparam, func, select, union_all
from sqlalchemy.dialects.postgresql import ARRAY

from models import Price, Product
from models.base import id_among, table_of
from models.ids import MADE_PREFIXES, is_id
from payments.errors import NotFound
from payments.transaction import Row, Transaction

# A lookup key that moves while we wait for the price that had it is looked up again, with nothing
# held. One that somebody moves so many times meanwhile is nobody's.
TRIES = 10

PRICES, PRODUCTS = table_of(Price), table_of(Product)


# In one statement, since a price and its product may be deleted between two.
WITH_PRODUCT = select(PRICES, *(c.label(f"product.{c.name}") for c in PRODUCTS.c)).join(
    PRODUCTS, PRODUCTS.c.id == PRICES.c.product_id
)


def find(connection: Connection, name: str) -> tuple[Row, Row]:
    """A price by its name, as it stands, and its product. Raises NotFound."""
    by = PRICES.c.id if is_id(name, MADE_PREFIXES["price"]) else PRICES.c.lookup_key
    row = connection.execute(WITH_PRODUCT.where(by == name)).mappings().first()
    if row is None:
        raise no_price()
    return apart(row)


def apart(row: Mapping[Any, Any]) -> tuple[Row, Row]:
    """The price and the product of a row of WITH_PRODUCT."""
    price = {c.name: row[c.name] for c in PRICES.c}
    return price, {c.name: row[f"product.{c.name}"] for c in PRODUCTS.c}


def hold(transaction: Transaction, name: str, *, to_delete: bool = False) -> Row:
    """The row of a price, which nobody else changes or sells from now on. Raises NotFound.

    To delete it is more: nobody may refer to it any more.
    """
    row = _held(transaction, {name}, _DELETE if to_delete else _HOLD).get(name)
    if row is None:
        raise no_price()
    return row


def hold_all(transaction: Transaction, names: Iterable[str]) -> dict[str, Row]:
    """Like `hold`, for several; by name, and those that there are."""
    return _held(transaction, set(names), _HOLD)


def hold_to_sell(transaction: Transaction, names: Iterable[str]) -> dict[str, Row]:
    """Prices that something is about to be charged by; by name, and those that there are.

    Those with stock are ours alone, since we count it down. The others may be sold by several at
    once, but neither archived nor deleted meanwhile.
    """
    return _held(transaction, set(names), _SELL)


def products(transaction: Transaction, ids: Iterable[str], *, held: bool = False) -> dict[str, Row]:
    """Products by their ids; `held`: neither archived nor deleted until we are done."""
    wanted = sorted(set(ids))
    if not wanted:
        return {}
    rows = transaction.rows(_HOLD_PRODUCTS if held else _READ_PRODUCTS, {"ids": wanted})
    return {row["id"]: row for row in rows}


def _held(transaction: Transaction, names: set[str], statement: Any) -> dict[str, Row]:
    tries = 0
    while True:
        tries += 1
        with _to_be_let_go(transaction, names) as let_go:
            ids = _ids(transaction, names)
            if not ids:
                return {}
            rows = transaction.rows(statement, {"ids": sorted(set(ids.values()))})
            by_id = {row["id"]: row for row in rows}
            found = {
                name: by_id[id_]
                for name, id_ in ids.items()
                if id_ in by_id and name in (id_, by_id[id_]["lookup_key"])
            }
            # An id that isn't there now never will be; a key may have gone to another price.
            if tries == TRIES or all(name in found or _is_price_id(name) for name in ids):
                return found
            let_go()


@contextmanager
def _to_be_let_go(transaction: Transaction, names: set[str]) -> Iterator[Callable[[], None]]:
    """Holds until the end of the transaction what is held in it, unless that is let go: whoever
    kept one price and took another later could meet somebody who does it the other way round."""
    if all(_is_price_id(name) for name in names):
        yield lambda: None
        return
    savepoint = transaction.connection.begin_nested()
    with savepoint:
        yield savepoint.rollback


def _ids(transaction: Transaction, names: set[str]) -> dict[str, str]:
    ids = {name: name for name in names if _is_price_id(name)}
    keys = sorted(names - ids.keys())
    if keys:
        rows = transaction.rows(_BY_KEY, {"keys": keys})
        ids |= {row["lookup_key"]: row["id"] for row in rows}
    return ids


def _is_price_id(name: str) -> bool:
    return is_id(name, MADE_PREFIXES["price"])


def no_price() -> NotFound:
    return NotFound("there is no price with this id or lookup key", param="id")


# --- The statements, built once ---

_now = func.now().label("now")
_BY_KEY = select(PRICES.c.id, PRICES.c.lookup_key).where(
    PRICES.c.lookup_key == func.any(bindparam("keys", type_=ARRAY(String)))
)
# Which of the two a price is never changes. The unlimited come first, for everybody: who sells
# shares them, and takes those with stock in a step of its own.
_unlimited = PRICES.c.quantity_available.is_(None)
_wanted = select(PRICES, _now).where(id_among(PRICES.c.id)).order_by(_unlimited.desc(), PRICES.c.id)
_HOLD = _wanted.with_for_update(key_share=True)
_DELETE = _wanted.with_for_update()


def _sell_statement() -> Any:
    shared = _wanted.where(_unlimited).with_for_update(read=True).cte("shared")
    counted = _wanted.where(~_unlimited).with_for_update(key_share=True).cte("counted")
    return union_all(select(shared), select(counted))


_SELL = _sell_statement()
_READ_PRODUCTS = select(PRODUCTS).where(id_among(PRODUCTS.c.id))
_HOLD_PRODUCTS = _READ_PRODUCTS.order_by(PRODUCTS.c.id).with_for_update(read=True)
