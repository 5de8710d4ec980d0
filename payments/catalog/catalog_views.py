"""Products and prices as they are shown: in HTTP, webhooks, CLI and SDK alike."""

from collections.abc import Mapping
from typing import Any

from infra.billing.contract.objects import Deleted, Price, Product, Quote
from models.rows import PriceRow, ProductRow
from payments.catalog import currencies
from payments.views import view_of, view_of_value


def price_view(row: PriceRow, product: ProductRow) -> dict[str, Any]:
    """The public `Price` of a row of `prices`, with its product and its currency."""
    return _price_alone(row) | {"product": product_view(product)}


def deleted_view(row: ProductRow | PriceRow, kind: str) -> dict[str, Any]:
    """What is shown of a deleted product or price."""
    return _deleted(row) | {"object": kind}


def _tier(one: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "up_to": "inf" if one["up_to"] is None else one["up_to"],
        "unit_amount": _digits(one["unit_amount"]),
        "flat_amount": _digits(one["flat_amount"]),
    }


def _digits(amount: int | None) -> str | None:
    return None if amount is None else str(amount)


product_view = view_of(Product)
_price_alone = view_of(
    Price,
    unit_amount=lambda row: _digits(row.unit_amount),
    tiers=lambda row: row.tiers and [_tier(one) for one in row.tiers],
    currency_id=lambda row: currencies.id_of(row.currency),
    currency_code="currency",
    currency=lambda row: currencies.view(row.currency),
    product=lambda _: None,  # from another row
)
# The fields of the terms that a price gives for a quantity.
quote_view = view_of_value(Quote)
_deleted = view_of(Deleted, object=lambda _: None, deleted=lambda _: True)
