"""What may be shown of a request, whoever sent it: the one allow-list of logs, events and rows.

A foreign producer may write anything anywhere, including a card number into `charge_id` and an
e-mail address into the name of a field. So a value is shown only under a name that is listed here,
and only if it has the form that the name promises; a name, only if it has the form of one.
"""

import re
from collections.abc import Callable, Mapping
from typing import Any

from infra.billing.contract.card_data import holds_card_data, is_card_number
from infra.billing.contract.ids import is_id
from infra.billing.contract.limits import TEXT_MAX
from infra.billing.contract.money import AMOUNT_MAX, CARD_DIGITS_MIN
from infra.billing.contract.texts import field_name, is_producer

FIELDS_MAX = 50  # A request has a dozen; a message with a million must not fill a row.
IDS_MAX = 100  # A wake-up call names no more.
REST = "…"  # No field can have this name.

_CURRENCY = re.compile(r"[A-Za-z]{3}")


def redacted(fields: Mapping[str, Any]) -> dict[str, Any]:
    """The fields as they may be kept and shown: hidden values become their type (`<str>`), and
    names that are hidden, or past the first FIELDS_MAX, are only counted (`{"…": 3}`)."""
    shown: dict[str, Any] = {}
    for name, value in fields.items():
        if len(shown) == FIELDS_MAX:
            break
        if field_name(name) is not None:
            shown[name] = value if may_tell(name, value) else f"<{type(value).__name__}>"
    rest = len(fields) - len(shown)
    return shown | {REST: rest} if rest else shown


def may_tell(name: str, value: Any) -> bool:
    """Whether this value says nothing about a person, under this name."""
    looks_right = SHAPES.get(name)
    return looks_right is not None and looks_right(value)


def producer_name(value: object) -> str | None:
    """The producer, if it is a valid name: no e-mail address, and no card number in disguise."""
    if not is_producer(value):
        return None
    return value if sum(map(str.isdigit, value)) < CARD_DIGITS_MIN else None


def told_key(value: object) -> str | None:
    """An idempotency key as it may be kept of a refused request; None if it contains card data.

    One that is too long is not a key, and is not searched: that takes a second for a message's
    worth of digits.
    """
    if not isinstance(value, str) or len(value) > TEXT_MAX:
        return None
    return None if holds_card_data(value) else value


def _is_amount(value: Any) -> bool:
    # Most card numbers are past the limit; American Express has fifteen digits.
    return (
        type(value) is int
        and -AMOUNT_MAX <= value <= AMOUNT_MAX
        and not is_card_number(str(abs(value)))
    )


def _is_currency(value: Any) -> bool:
    return isinstance(value, str) and _CURRENCY.fullmatch(value) is not None


def _is_choice(value: Any) -> bool:
    return isinstance(value, str) and value in ("wait", "reject")


def _id_of(*prefixes: str) -> Callable[[Any], bool]:
    return lambda value: any(is_id(value, prefix) for prefix in prefixes)


def _ids_of(prefix: str) -> Callable[[Any], bool]:
    return lambda value: (
        isinstance(value, list)
        and len(value) <= IDS_MAX
        and all(is_id(one, prefix) for one in value)
    )


SHAPES: Mapping[str, Callable[[Any], bool]] = {
    "amount": _is_amount,
    "quantity": _is_amount,
    "restock_quantity": _is_amount,
    "expires_in_s": _is_amount,
    "restock": lambda value: isinstance(value, bool),
    "price_id": _id_of("price_"),
    "expected_refunded_amount": _is_amount,
    "expected_amount": _is_amount,
    "currency": _is_currency,
    "id": _id_of("ch_", "re_"),
    "charge_id": _id_of("ch_"),
    "refund_id": _id_of("re_"),
    "endpoint_id": _id_of("we_"),
    "endpoint_ids": _ids_of("we_"),
    "if_pending": _is_choice,
    "if_missing": _is_choice,
    "producer": lambda value: producer_name(value) is not None,
}
