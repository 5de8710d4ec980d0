"""What may be asked: the checks that run before anything is sent.

The service checks the same and says the same, in the same order; a contract test holds the two
equal. Values never appear in a refusal unless they are short numbers or codes.
"""

import re
from collections.abc import Mapping
from typing import Any, TypeGuard, TypeVar

from infra.billing.errors import InvalidRequest
from infra.billing.money import AMOUNT_MAX, currency_code, minor_amount

KEY_MAX = TEXT_MAX = 255
LONG_TEXT_MAX = 1000
METADATA_KEYS_MAX, METADATA_KEY_MAX, METADATA_VALUE_MAX = 50, 40, 500

_PRODUCER = re.compile(r"[A-Za-z0-9._-]{1,64}")
_CARD_NUMBER = re.compile(r"[0-9][0-9 -]{11,21}[0-9]")
_SURROGATE = re.compile("[\ud800-\udfff]")
_CONTROL = re.compile("[\x00-\x1f\x7f]")

T = TypeVar("T")


def charge_fields(
    *,
    amount: object,
    currency: object,
    customer_id: object,
    payment_method_id: object,
    idempotency_key: object,
    reference: object,
    description: object,
    metadata: object,
) -> dict[str, Any]:
    """The fields of a charge, checked; absent ones left out. Raises InvalidRequest."""
    # In the order in which the service looks at them, so that both name the same field first.
    key = text("idempotency_key", idempotency_key)
    checked_metadata = _metadata(metadata)
    code = currency_code(_required("currency", currency))
    return _given(
        idempotency_key=key,
        amount=minor_amount(_required("amount", amount), currency=code),
        currency=code,
        customer_id=_optional_text("customer_id", customer_id),
        payment_method_id=_payment_method(payment_method_id),
        reference=_optional_text("reference", reference),
        description=_long_text("description", description),
        metadata=checked_metadata,
    )


def refund_fields(
    *,
    charge_id: object,
    amount: object,
    idempotency_key: object,
    reason: object,
    if_pending: object,
    expected_refunded_amount: object,
    metadata: object,
) -> dict[str, Any]:
    """The fields of a refund, checked; absent ones left out. Raises InvalidRequest."""
    return _given(
        idempotency_key=text("idempotency_key", idempotency_key),
        metadata=_metadata(metadata),
        charge_id=_charge_id(charge_id),
        amount=None if amount is None else minor_amount(amount),
        reason=_long_text("reason", reason),
        if_pending=_if_pending(if_pending),
        expected_refunded_amount=_expected(expected_refunded_amount),
    )


def producer_name(value: object) -> str:
    """Who asks: part of every id, so it must never change. Raises InvalidRequest."""
    if not isinstance(value, str):
        raise InvalidRequest("producer must be text", param="producer")
    if not _PRODUCER.fullmatch(value):
        raise InvalidRequest(
            "producer: must be 1 to 64 letters, digits, dots, dashes or underscores",
            param="producer",
        )
    return value


def text(param: str, value: object, *, length_min: int = 1, length_max: int = TEXT_MAX) -> str:
    """`value` as a text that the service can keep. Raises InvalidRequest."""
    value = _required(param, value)
    if not _is_text(value):
        raise InvalidRequest(f"{param} must be text", param=param)
    return _storable(param, value, length_min, length_max)


def _is_text(value: object) -> TypeGuard[str]:
    # A lone surrogate is no character in any encoding.
    return isinstance(value, str) and not _SURROGATE.search(value)


def _storable(param: str, value: str, length_min: int, length_max: int) -> str:
    if len(value) < length_min:
        _refuse(param, f"string should have at least {_characters(length_min)}")
    if len(value) > length_max:
        _refuse(param, f"string should have at most {_characters(length_max)}")
    if _CONTROL.search(value):
        _refuse(param, "must not contain control characters")
    return value


def _optional_text(param: str, value: object) -> str | None:
    return None if value is None else text(param, value)


def _long_text(param: str, value: object) -> str | None:
    return None if value is None else text(param, value, length_min=0, length_max=LONG_TEXT_MAX)


def _metadata(value: object) -> dict[str, str] | None:
    if value is None:
        return None
    wrong = "metadata must be an object of text values"
    if not isinstance(value, Mapping):
        raise InvalidRequest(wrong, param="metadata")
    for name, one in value.items():
        if not _is_text(name) or not _is_text(one):
            raise InvalidRequest(wrong, param="metadata")
        _storable("metadata", name, 1, METADATA_KEY_MAX)
        _storable("metadata", one, 0, METADATA_VALUE_MAX)
    if len(value) > METADATA_KEYS_MAX:
        _refuse(
            "metadata",
            f"dictionary should have at most {METADATA_KEYS_MAX} items after validation, not more",
        )
    return dict(value)


def _payment_method(value: object) -> str | None:
    checked = _optional_text("payment_method_id", value)
    if checked is not None and _is_card_number(checked):
        _refuse(
            "payment_method_id",
            "must be the processor's id of a payment method (pm_…), never a card number",
        )
    return checked


def _charge_id(value: object) -> str:
    checked = text("charge_id", value)
    if not checked.startswith("ch_"):
        _refuse("charge_id", "must be the id of a charge (ch_…)")
    return checked


def _if_pending(value: object) -> str | None:
    if value is not None and value not in ("wait", "reject"):
        _refuse("if_pending", "input should be 'wait' or 'reject'")
    return None if value is None else str(value)


def _expected(value: object) -> int | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int):
        raise InvalidRequest(
            "expected_refunded_amount must be an integer", param="expected_refunded_amount"
        )
    if value < 0:
        _refuse("expected_refunded_amount", "input should be greater than or equal to 0")
    if value > AMOUNT_MAX:
        _refuse("expected_refunded_amount", f"input should be less than or equal to {AMOUNT_MAX}")
    return value


def _required(param: str, value: T | None) -> T:
    if value is None:
        raise InvalidRequest(f"{param} is required", param=param)
    return value


def _given(**fields: Any) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value is not None}


def _refuse(param: str, what: str) -> None:
    raise InvalidRequest(f"{param}: {what}", param=param)


def _characters(count: int) -> str:
    return "1 character" if count == 1 else f"{count} characters"


def _is_card_number(value: str) -> bool:
    """Whether it reads as a card number: 13 to 19 digits, right check digit (ISO/IEC 7812)."""
    if not _CARD_NUMBER.fullmatch(value):
        return False
    digits = [int(c) for c in value if c.isdigit()][::-1]
    doubled = [d if i % 2 == 0 else sum(divmod(2 * d, 10)) for i, d in enumerate(digits)]
    return 13 <= len(digits) <= 19 and sum(doubled) % 10 == 0
