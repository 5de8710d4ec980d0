"""What logs, events and Flower may show of a task's arguments: the allow-list, as one line."""

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

from payments.redaction import SHAPES, may_tell

_KEYS = frozenset({"idempotency_key", "key"})

HIDDEN = "'…'"


def args_text(args: Sequence[Any]) -> str:
    """Positional arguments have no names to check against the allow-list, so only their number is
    shown."""
    return f"({len(args)} hidden)" if args else "()"


def kwargs_text(kwargs: Mapping[str, Any]) -> str:
    """The keyword arguments on the allow-list, as a dictionary would print; then the number of
    others."""
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
    if value is None or not (name in SHAPES or name in _KEYS):
        return None
    if name in _KEYS and isinstance(value, str):
        return f"'{key_text(value)}'"
    return repr(value) if may_tell(name, value) else HIDDEN


def key_text(key: str) -> str:
    """Enough of a hash to compare keys, as a caller's key may be an e-mail address or an order
    number."""
    return "#" + hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()[:10]
