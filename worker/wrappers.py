"""Values that kombu wraps: the plain form of a UUID, a Decimal or a moment among the arguments.

kombu 5.2 and older write them as plain texts; from 5.3 on as `{"__type__": "uuid", "__value__":
{"hex": "…"}}` (kombu/utils/json.py). A producer must mean the same after its upgrade, so they are
read as the former texts: a moment in UTC ends in `Z`. Anything that is not exactly such a wrapper
stays as it is, and is refused like any value of the wrong type.
"""

from collections.abc import Callable, Mapping
from datetime import date, datetime, time
from decimal import Decimal, InvalidOperation
from typing import Any
from uuid import UUID

_KEYS = {"__type__", "__value__"}


def unwrapped(value: Any) -> Any:
    """The value with wrappers replaced by their texts. No deeper than a message may be."""
    if isinstance(value, list):
        return [unwrapped(one) for one in value]
    if not isinstance(value, dict):
        return value
    if value.keys() == _KEYS:
        text = _text(value["__type__"], value["__value__"])
        return value if text is None else text
    return {name: unwrapped(one) for name, one in value.items()}


def _text(kind: Any, value: Any) -> str | None:
    """The text of a wrapper; None for a form that kombu doesn't write."""
    read = _KINDS.get(kind) if isinstance(kind, str) else None
    if read is None:
        return None
    try:
        return read(value)
    except (TypeError, ValueError, InvalidOperation):
        return None


def _uuid(value: Any) -> str | None:
    if isinstance(value, dict) and value.keys() == {"hex"} and isinstance(value["hex"], str):
        made = UUID(hex=value["hex"])
        return str(made) if made.hex == value["hex"] else None
    return None


def _decimal(value: Any) -> str | None:
    return value if isinstance(value, str) and str(Decimal(value)) == value else None


def _moment(value: Any) -> str | None:
    if datetime.fromisoformat(value).isoformat() != value:
        return None
    return value.removesuffix("+00:00") + "Z" if value.endswith("+00:00") else str(value)


def _date(value: Any) -> str | None:
    return str(value) if date.fromisoformat(value).isoformat() == value else None


def _time(value: Any) -> str | None:
    return str(value) if time.fromisoformat(value).isoformat() == value else None


_KINDS: Mapping[str, Callable[[Any], str | None]] = {
    "uuid": _uuid,
    "decimal": _decimal,
    "datetime": _moment,
    "date": _date,
    "time": _time,
}
