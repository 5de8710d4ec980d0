"""What may be asked: the checks of charges and refunds that run before anything is sent.

The service checks the same and says the same, in the same order; a contract test holds the two
equal.
"""

from typing import Any

from infra.billing.contract.card_data import CARD_DATA, holds_card_data, is_card_number
from infra.billing.contract.limits import EXPIRES_MAX_S
from infra.billing.contract.money import AMOUNT_MAX
from infra.billing.contract.texts import PRODUCER_MUST, is_producer
from infra.billing.errors import InvalidRequest
from infra.billing.fields import (
    ahead,
    choice,
    flag,
    given,
    id_of,
    integer,
    long_text,
    optional_text,
    refuse,
    required,
    text,
    wrong,
)
from infra.billing.fields import metadata as checked_metadata
from infra.billing.money import currency_code, minor_amount


def charge_fields(
    *,
    amount: object,
    currency: object,
    price_id: object,
    quantity: object,
    expected_amount: object,
    customer_id: object,
    payment_method_id: object,
    idempotency_key: object,
    reference: object,
    description: object,
    metadata: object,
    scheduled_at: object,
    expires_in_s: object,
) -> dict[str, Any]:
    """The fields of a charge, checked; absent ones left out. Raises InvalidRequest."""
    # In the order in which the service looks at them, so that both name the same field first.
    key = text("idempotency_key", idempotency_key)
    metadata = checked_metadata(metadata)
    price = optional_text("price_id", price_id)
    units = _quantity(quantity, price)
    code = None if _goes_without("currency", currency, price) else currency_code(currency)
    minor = None if _goes_without("amount", amount, price) else minor_amount(amount, currency=code)
    return given(
        idempotency_key=key,
        amount=minor,
        currency=code,
        price_id=price,
        quantity=units,
        expected_amount=_expected_amount(expected_amount, price),
        customer_id=optional_text("customer_id", customer_id),
        payment_method_id=_payment_method(payment_method_id),
        reference=optional_text("reference", reference),
        description=long_text("description", description),
        scheduled_at=ahead("scheduled_at", scheduled_at),
        expires_in_s=None
        if expires_in_s is None
        else integer("expires_in_s", expires_in_s, least=1, most=EXPIRES_MAX_S),
        metadata=metadata,
    )


def cancel_fields(*, charge_id: object, reason: object) -> dict[str, Any]:
    """The fields of a cancellation, checked; absent ones left out. Raises InvalidRequest."""
    return given(
        charge_id=id_of("charge_id", charge_id, "ch_", "a charge"),
        reason=long_text("reason", reason),
    )


def refund_fields(
    *,
    charge_id: object,
    amount: object,
    idempotency_key: object,
    reason: object,
    if_pending: object,
    if_missing: object,
    expected_refunded_amount: object,
    restock: object,
    restock_quantity: object,
    metadata: object,
) -> dict[str, Any]:
    """The fields of a refund, checked; absent ones left out. Raises InvalidRequest."""
    return given(
        idempotency_key=text("idempotency_key", idempotency_key),
        metadata=checked_metadata(metadata),
        charge_id=id_of("charge_id", charge_id, "ch_", "a charge"),
        amount=None if amount is None else minor_amount(amount),
        reason=long_text("reason", reason),
        if_pending=None
        if if_pending is None
        else choice("if_pending", if_pending, ("wait", "reject")),
        if_missing=None
        if if_missing is None
        else choice("if_missing", if_missing, ("wait", "reject")),
        expected_refunded_amount=None
        if expected_refunded_amount is None
        else integer(
            "expected_refunded_amount", expected_refunded_amount, least=0, most=AMOUNT_MAX
        ),
        # Not to restock is what every refund is that says nothing of it.
        restock=flag("restock", restock) or None,
        restock_quantity=_restock_quantity(restock_quantity, restock, amount),
    )


def producer_name(value: object) -> str:
    """Who asks: part of every id, so it must never change. Raises InvalidRequest."""
    if not isinstance(value, str):
        raise wrong("producer", "string_type")
    if not is_producer(value):
        refuse("producer", PRODUCER_MUST)
    if holds_card_data(value):
        raise InvalidRequest(f"producer {CARD_DATA}", param="producer")
    return value


def _quantity(value: object, price: str | None) -> int | None:
    if value is None:
        if price is None:
            return None
        raise InvalidRequest(
            "quantity is required with price_id: how many units of it", param="quantity"
        )
    if price is None:
        raise InvalidRequest(
            "quantity counts the units of a price; send price_id, too", param="quantity"
        )
    return integer("quantity", value, least=1)


def _goes_without(param: str, value: object, price: str | None) -> bool:
    """Whether the field is absent, and rightly so: the price says what it costs."""
    if price is None:
        if value is None and param == "currency":
            raise InvalidRequest(
                "currency is required,"
                " unless you send price_id and quantity in place of amount and currency",
                param=param,
            )
        required(param, value)
        return False
    if value is not None:
        raise InvalidRequest(
            f"{param} is what the price says; send price_id and quantity, or amount and currency",
            param=param,
        )
    return True


def _expected_amount(value: object, price: str | None) -> int | None:
    if value is None:
        return None
    if price is None:
        raise InvalidRequest(
            "expected_amount is held against what a price comes to; send price_id, too",
            param="expected_amount",
        )
    return integer("expected_amount", value, least=1, most=AMOUNT_MAX)


def _payment_method(value: object) -> str | None:
    checked = optional_text("payment_method_id", value)
    if checked is not None and is_card_number(checked):
        raise InvalidRequest(f"payment_method_id {CARD_DATA}", param="payment_method_id")
    return checked


def _restock_quantity(value: object, restock: object, amount: object) -> int | None:
    if value is not None and not restock:
        raise InvalidRequest(
            "restock_quantity is how many units come back; send restock=true, too",
            param="restock_quantity",
        )
    if value is None and restock and amount is not None:
        raise InvalidRequest(
            "restock_quantity is required for a refund of an amount: how many units come back",
            param="restock_quantity",
        )
    return None if value is None else integer("restock_quantity", value, least=1)
