"""Idempotency keys, as Stripe keeps them (docs.stripe.com/api/idempotent_requests).

The first answer to a key is its answer for 24 hours, errors included, once its endpoint had begun;
what was refused before (parameters that make no sense) leaves the key as it was. A key belongs to
one endpoint and one set of parameters.
"""

import hashlib
import json
from typing import Any

from local.stripe_door.injected_faults import IN_USE
from local.stripe_door.store import Store
from local.stripe_door.wire.stripe_errors import Refused, invalid

LIFE_S = 24 * 3600
LENGTH_MAX = 255


def check(key: str) -> None:
    """Raises Refused for what can't be a key."""
    if len(key) > LENGTH_MAX:
        raise invalid("Idempotency keys can be at most 255 characters long.")


def answer_for(store: Store, key: str, *, path: str, params: Any) -> Any:
    """The answer that was given to this key, or None. Raises Refused when the key is taken."""
    known = store.tables["keys"].get(key)
    if known is None or store.now - known["at"] >= LIFE_S:
        return None
    if known["path"] != path:
        raise _mismatch(
            "Keys for idempotent requests can only be used for the same endpoint they were first"
            f" used for ('{path}' vs '{known['path']}').",
            key,
        )
    if known["params"] != fingerprint(params):
        raise _mismatch(
            "Keys for idempotent requests can only be used with the same parameters they were"
            " first used with.",
            key,
        )
    if known["answer"] is None:
        raise in_use()
    return known["answer"]


def keep(store: Store, key: str, *, path: str, params: Any, answer: Any) -> None:
    """Remember the answer; None while it is not known yet, and the key is in use."""
    store.set(
        "keys",
        key,
        {"at": store.now, "path": path, "params": fingerprint(params), "answer": answer},
    )


def in_use() -> Refused:
    """Another request with this key is under way."""
    return Refused(409, IN_USE)


def fingerprint(params: Any) -> str:
    """The parameters, whatever the order in which they came."""
    return hashlib.sha256(json.dumps(params, sort_keys=True).encode()).hexdigest()


def _mismatch(message: str, key: str) -> Refused:
    more = f" Try using a key other than '{key}' if you meant to execute a different request."
    return Refused(400, {"type": "idempotency_error", "message": message + more})
