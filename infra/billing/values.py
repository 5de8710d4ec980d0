"""Values in JSON for the service, which validates the rest.

Here only two things are ensured: that all readers of the JSON read the same, and that no card data
leaves the process.
"""

import math
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from urllib.parse import quote

from infra.billing.contract.card_data import CARD_DATA, is_card_data
from infra.billing.contract.moments import MOMENT
from infra.billing.contract.money import AMOUNT_MAX
from infra.billing.contract.texts import field_name, is_unicode
from infra.billing.errors import InvalidRequest

WHOLE_MAX = 2**63 - 1  # of the largest number that the service gives, a position in the feed
DEPTH_MAX = 10  # a request's tiers are three deep


def carried(fields: Mapping[Any, object]) -> dict[str, Any]:
    """The fields as JSON values: moments as RFC 3339. Raises InvalidRequest."""
    return {
        _name(name, None): _carried(value, field_name(name), name, depth=0)
        for name, value in fields.items()
    }


def segment(part: str) -> str:
    """An id as a segment of a path, which logs and proxies store. Raises InvalidRequest."""
    return quote(_text(part, "id", "id"), safe="")


def _carried(value: object, param: str | None, name: Any, *, depth: int) -> Any:
    """`value`, which is under `name` somewhere in the field `param`."""
    match value:
        case None | bool():
            return value
        case str():
            return _text(value, param, name)
        case int() | float() | Decimal():
            return _number(value, param, name)
        case datetime():
            if value.tzinfo is None:  # another moment everywhere
                raise _wrong(param, MOMENT)
            return value.astimezone(UTC).isoformat().replace("+00:00", "Z")
        case Mapping() | Sequence() if depth >= DEPTH_MAX:
            raise _wrong(param, "must not be nested so deep")
        case Mapping():
            return {
                _name(key, param): _carried(one, param, key, depth=depth + 1)
                for key, one in value.items()
            }
        case Sequence() if not isinstance(value, bytes | bytearray | memoryview):
            return [_carried(one, param, name, depth=depth + 1) for one in value]
    raise _wrong(param, f"must be of a type that JSON has, and {type(value).__name__} is none")


def _name(name: object, param: str | None) -> str:
    if not isinstance(name, str):
        raise _wrong(param, "must have names that are text")
    return _text(name, param, "")


def _text(text: str, param: str | None, name: str) -> str:
    if not is_unicode(text):
        raise _wrong(param, "must be text")
    if is_card_data(name, text):
        raise _wrong(param, CARD_DATA)
    return text


def _number(value: float | Decimal, param: str | None, name: str) -> float:
    """The number, if JSON can carry it unchanged. (The service refuses a decimal in place of a
    whole number, and says what to send instead.)"""
    if isinstance(value, int):
        if abs(value) > WHOLE_MAX:
            raise _wrong(param, f"must be at most {WHOLE_MAX}")
        number: float = value
        written = Decimal(value)
    else:
        written = Decimal(repr(value)) if isinstance(value, float) else value
        number = float(written) if written.is_finite() else math.inf
        if math.isinf(number) or Decimal(repr(number)) != written:
            raise _wrong(param, "must be a number that JSON can carry; send an integer")
    # An amount can't be told from a card number.
    if not (_is_amount(param, name) and abs(number) <= AMOUNT_MAX):
        _text(_digits(written), param, name)
    return number


def _is_amount(param: str | None, name: str) -> bool:
    return name.endswith("amount") and param != "metadata"


def _digits(number: Decimal) -> str:
    """The number as text: without a fraction, if it has none."""
    whole, _, fraction = f"{number:f}".partition(".")
    return f"{whole}.{fraction}" if fraction.strip("0") else whole


def _wrong(param: str | None, what: str) -> InvalidRequest:
    return InvalidRequest(f"{param or 'the request'} {what}", param=param)
