"""How products and prices look from outside: in HTTP, webhooks, CLI and SDK alike."""

from collections.abc import Mapping
from typing import Any

from models.rows import PriceRow, ProductRow
from payments.catalog import currencies
from payments.catalog.quotes import Terms
from payments.views import moment


def product_view(row: ProductRow) -> dict[str, Any]:
    """The public `Product` of a row of `products`."""
    return {
        "id": row.id,
        "object": "product",
        "name": row.name,
        "description": row.description,
        "active": row.active,
        "livemode": row.livemode,
        "metadata": row.metadata,
        "created_at": moment(row.created_at),
        "updated_at": moment(row.updated_at),
    }


def price_view(row: PriceRow, product: ProductRow) -> dict[str, Any]:
    """The public `Price` of a row of `prices`, with its product and its currency."""
    return {
        "id": row.id,
        "object": "price",
        "product_id": row.product_id,
        "nickname": row.nickname,
        "active": row.active,
        "livemode": row.livemode,
        "type": row.type,
        "billing_scheme": row.billing_scheme,
        "unit_amount": _digits(row.unit_amount),
        "recurring": row.recurring,
        "tiers": row.tiers and [_tier(one) for one in row.tiers],
        "tiers_mode": row.tiers_mode,
        "transform_quantity": row.transform_quantity,
        "currency_id": currencies.id_of(row.currency),
        "currency_code": row.currency,
        "lookup_key": row.lookup_key,
        "quantity_available": row.quantity_available,
        "metadata": row.metadata,
        "created_at": moment(row.created_at),
        "updated_at": moment(row.updated_at),
        "product": product_view(product),
        "currency": currencies.view(row.currency),
    }


def quote_view(terms: Terms) -> dict[str, Any]:
    """The public `Quote` of what so many units of a price cost."""
    return {
        "object": "quote",
        "price_id": terms.price_id,
        "quantity": terms.quantity,
        "amount": terms.amount,
        "currency": terms.currency,
        "lines": terms.lines,
    }


def deleted_view(row: ProductRow | PriceRow, kind: str) -> dict[str, Any]:
    """What is left to say of what was deleted."""
    return {"id": row.id, "object": kind, "deleted": True}


def _tier(one: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "up_to": "inf" if one["up_to"] is None else one["up_to"],
        "unit_amount": _digits(one["unit_amount"]),
        "flat_amount": _digits(one["flat_amount"]),
    }


def _digits(amount: int | None) -> str | None:
    return None if amount is None else str(amount)
