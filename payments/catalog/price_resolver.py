"""What charges by price cost, and whether there is enough stock."""

from collections.abc import Iterable

from sqlalchemy import Connection

from infra.billing.contract.requests.charge_request import ChargeRequest
from models.rows import ChargeRow, PriceRow, ProductRow
from payments.catalog.price_locks import find_all, hold_to_sell, products
from payments.catalog.quotes import Terms, quote
from payments.catalog.stock import reserve, too_few
from payments.payment_errors import InvalidRequest, PriceInactive, ProductInactive, Refused
from payments.transaction import Transaction


class PriceResolver:
    """Computes the terms of charges by price; it locks their prices until the transaction ends."""

    def __init__(self, transaction: Transaction, by_price: Iterable[ChargeRequest]) -> None:
        self._transaction = transaction
        names = {one.price_id for one in by_price if one.price_id is not None}
        self._prices = hold_to_sell(transaction, names)
        of = [price.product_id for price in self._prices.values()]
        self._products = products(transaction, of)
        self._left = {
            price.id: price.quantity_available
            for price in self._prices.values()
            if price.quantity_available is not None
        }
        self._taken: list[ChargeRow] = []
        self._divided = dict(self._left)
        self._quotes: dict[tuple[str, int], Terms] = {}

    def divide(self) -> None:
        """Start again with what is left: stock that was offered but not taken is available
        again."""
        self._divided = dict(self._left)

    def comes_to(self, request: ChargeRequest) -> Terms | None:
        """The terms, regardless of stock; None if the price can't give any."""
        price, quantity = self._named(request)
        try:
            return None if price is None else self._quote(price, quantity)
        except Refused:
            return None  # `terms` raises what is wrong with the price.

    def terms(self, request: ChargeRequest) -> Terms:
        """The terms of the charge. Stock is given in the order of the calls, while there is enough.

        Raises InvalidRequest, PriceInactive, ProductInactive, InsufficientInventory.
        """
        price, quantity = self._named(request)
        if price is None:
            raise _no_price()
        if (refused := _not_for_sale(price, self._products[price.product_id])) is not None:
            raise refused
        terms = self._quote(price, quantity)
        available = self._divided.get(price.id)
        if available is not None:
            if quantity > available:
                raise too_few(available, quantity)
            self._divided[price.id] = available - quantity
        return terms

    def take(self, charges: Iterable[ChargeRow]) -> None:
        """Set aside the stock for these new charges."""
        for row in charges:
            if row.price_id in self._left and row.quantity is not None:
                self._left[row.price_id] -= row.quantity
                self._taken.append(row)

    def close(self) -> None:
        """Reserve the stock that was set aside."""
        reserve(self._transaction, self._taken, self._products)

    def _named(self, request: ChargeRequest) -> tuple[PriceRow | None, int]:
        if request.price_id is None or request.quantity is None:
            raise ValueError("no price, or none of it")  # a request with an amount
        return self._prices.get(request.price_id), request.quantity

    def _quote(self, price: PriceRow, quantity: int) -> Terms:
        known = self._quotes.get((price.id, quantity))
        if known is not None:
            return known
        terms = quote(price, quantity)
        if terms.amount == 0:
            raise InvalidRequest(
                f"quantity: {quantity} of this price cost nothing, and nothing can't be"
                " charged; ask for more",
                param="quantity",
            )
        self._quotes[price.id, quantity] = terms
        return terms


def not_for_sale(connection: Connection, names: Iterable[str]) -> dict[str, Refused]:
    """Which of these prices, by name, accept no charges now, and why; regardless of stock."""
    refused: dict[str, Refused] = {}
    wanted = set(names)
    there = find_all(connection, wanted)
    for name in wanted:
        both = there.get(name)
        why = _no_price() if both is None else _not_for_sale(*both)
        if why is not None:
            refused[name] = why
    return refused


def _no_price() -> Refused:
    return InvalidRequest("there is no price with this id or lookup key", param="price_id")


def _not_for_sale(price: PriceRow, product: ProductRow) -> Refused | None:
    if not price.active:
        return PriceInactive(param="price_id")
    return None if product.active else ProductInactive(param="price_id")
