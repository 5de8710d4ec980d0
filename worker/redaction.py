"""What logs, events and Flower may show of a task's arguments, whoever sent them."""

import hashlib
import re
from collections.abc import Mapping, Sequence
from typing import Any

# A foreign producer may write anything anywhere, a card number into `charge_id` included: a value
# is shown only under a known name, and only if it looks like what that name promises.
_ID = re.compile(r"[a-z]{2,6}_[0-9A-Za-z]{1,64}")
_CURRENCY = re.compile(r"[A-Za-z]{3}")
_STATE = re.compile(r"[a-z_]{1,32}")
_AMOUNT_MAX = 10**18

_IDS = frozenset({"id", "charge_id", "refund_id", "endpoint_id", "price_id"})
_KEYS = frozenset({"idempotency_key", "key"})

HIDDEN = "'…'"


def args_text(args: Sequence[Any]) -> str:
    """Positional arguments have no names, so nothing says what may be shown: only how many."""
    return f"({len(args)} hidden)" if args else "()"


def kwargs_text(kwargs: Mapping[str, Any]) -> str:
    """The keyword arguments on the allow-list, as a dictionary would print; then how many more."""
    shown = []
    for name, value in kwargs.items():
        text = _shown(name, value)
        if text is not None:
            shown.append(f"'{name}': {text}")
    hidden = len(kwargs) - len(shown)
    if hidden:
        shown.append(f"'hidden': {hidden}")
    return "{" + ", ".join(shown) + "}"


def _shown(name: str, value: Any) -> str | None:
    kind = type(value)
    if name == "amount" or name == "quantity":
        if kind is int and -_AMOUNT_MAX <= value <= _AMOUNT_MAX:
            return str(value)
        return HIDDEN
    if kind is not str:
        return HIDDEN if name in _NAMES and value is not None else None
    if name in _IDS:
        return f"'{value}'" if _ID.fullmatch(value) else HIDDEN
    if name == "currency":
        return f"'{value}'" if _CURRENCY.fullmatch(value) else HIDDEN
    if name == "state":
        return f"'{value}'" if _STATE.fullmatch(value) else HIDDEN
    if name in _KEYS:
        return f"'{key_text(value)}'"
    return None


def key_text(key: str) -> str:
    """A caller's key may be an e-mail address or an order number: enough of a hash to compare."""
    return "#" + hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()[:10]


_NAMES = _IDS | _KEYS | {"amount", "quantity", "currency", "state"}
