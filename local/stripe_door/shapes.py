"""What objects look like: a kind, an id, and when they were made."""

import secrets
import string
from typing import Any

# As JSON has it. A name that begins with `_` is ours, and is never shown.
Object = dict[str, Any]

PREFIXES = {
    "payment_intent": "pi_",
    "payment_method": "pm_",
    "charge": "ch_",
    "refund": "re_",
    "dispute": "du_",
    "balance_transaction": "txn_",
    "payout": "po_",
    "event": "evt_",
    "customer": "cus_",
    "request": "req_",
}
KINDS = {prefix: kind for kind, prefix in PREFIXES.items()}

_LETTERS = string.ascii_letters + string.digits


def new_id(kind: str) -> str:
    """An id as Stripe makes them: 24 letters and digits after the prefix."""
    return PREFIXES[kind] + "".join(secrets.choice(_LETTERS) for _ in range(24))


def kind_of(id_: str) -> str | None:
    """The kind of object that an id names."""
    return KINDS.get(id_[: id_.find("_") + 1])


def shown(value: Any) -> Any:
    """A copy of an object, without what is ours."""
    if isinstance(value, dict):
        return {name: shown(one) for name, one in value.items() if not name.startswith("_")}
    if isinstance(value, list):
        return [shown(one) for one in value]
    return value
