"""Ids that come from keys, and fingerprints of requests.

An id is a hash of the producer and the idempotency key, so the primary key itself is the
idempotency guarantee, at every door and for ever, and a producer knows the id before there is an
answer. Other languages compute the same: `tests/contract/vectors/ids.json`.
"""

import hashlib
import json
import re
import secrets
from base64 import b32decode, b32encode
from collections.abc import Mapping
from typing import Any, Literal

ID_BYTES = 20  # 160 bits: 32 base32 characters with no padding, beyond any chance of collision.
ID_PATTERN = "[a-z2-7]{32}"  # after the prefix
_NUMBER_BYTES = 8  # a bigint
_ID_TEXT = re.compile(ID_PATTERN)
# An API key, or a signing key: its id, and its secret.
KEY = re.compile(r"(key_[a-z2-7]{16})_([a-z2-7]{52})")

# Card numbers have no letters, and e-mail addresses have an @.
_TRACEPARENT = re.compile(
    r"00-(?P<trace>[0-9a-f]{32})-(?P<span>[0-9a-f]{16})-(?P<flags>[0-9a-f]{2})"
)
_REQUEST_ID = re.compile(r"(?=.*[A-Za-z])[A-Za-z0-9._-]{1,64}")

Kind = Literal["charge", "refund"]
PREFIXES: Mapping[Kind, str] = {"charge": "ch_", "refund": "re_"}
DISPUTE_PREFIX, DELIVERY_PREFIX, AUDIT_PREFIX = "dp_", "del_", "aud_"
APPROVAL_PREFIX = "apr_"
# Other objects created under a key: a capture, a product, a price, a change of a price's stock.
Made = Literal["capture", "product", "price", "inventory"]
MADE_PREFIXES: Mapping[Made, str] = {
    "capture": "cap_",
    "product": "prod_",
    "price": "price_",
    "inventory": "inv_",
}
_PREFIXES: Mapping[Kind | Made, str] = dict([*PREFIXES.items(), *MADE_PREFIXES.items()])


def id_from_key(kind: Kind | Made, *, producer: str, key: str) -> str:
    """The id of what `producer` requests under `key`.

    `producer` contains no newline (the doors check that), so the three parts can't run together.
    """
    return _PREFIXES[kind] + _digest(f"{producer}\n{kind}\n{key}".encode())


def event_id(object_id: str, sequence: int) -> str:
    """The id of the n-th event of an object. It has no dot: Standard Webhooks forbids it."""
    return "evt_" + _digest(f"{object_id}\n{sequence}".encode())


def dispute_id(processor: str, reference: str) -> str:
    """The id of a dispute, from the processor's id for it."""
    return DISPUTE_PREFIX + _digest(f"{processor}\n{reference}".encode())


def delivery_id(number: int) -> str:
    """The id of the delivery that has this number in its table.

    It contains the number, so it is found without an index of its own. A check value hides the
    number and differs for each: consecutive ids don't look alike, and a mistyped id is invalid.
    """
    raw = number.to_bytes(_NUMBER_BYTES, "big")
    check = hashlib.sha256(b"delivery\n" + raw).digest()[: ID_BYTES - _NUMBER_BYTES]
    return DELIVERY_PREFIX + base32(_masked(raw, check) + check)


def delivery_number(id_: object) -> int | None:
    """The number of the delivery with this id; None if the id is invalid."""
    if not isinstance(id_, str) or not is_id(id_, DELIVERY_PREFIX):
        return None
    raw = b32decode(id_.removeprefix(DELIVERY_PREFIX).upper())
    number = int.from_bytes(_masked(raw[:_NUMBER_BYTES], raw[_NUMBER_BYTES:]), "big")
    return number if number < 2**63 and delivery_id(number) == id_ else None


def _masked(number: bytes, check: bytes) -> bytes:
    mask = hashlib.sha256(check).digest()
    return bytes(one ^ other for one, other in zip(number, mask, strict=False))


def request_made_id(operation: str, *, producer: str, key: str) -> str:
    """The id of a request that creates no object with an id from its key, such as
    `endpoint.ping`."""
    return "made_" + _digest(f"{producer}\n{operation}\n{key}".encode())


def rejection_id(task_id: str, code: str, detail: str, fingerprint: str | None = None) -> str:
    """The id of a refusal: the same message refused for the same reason is the same refusal. The
    fingerprint is that of its request, if it was one."""
    parts = [task_id, code, detail] + ([] if fingerprint is None else [fingerprint])
    return "rej_" + _digest("\n".join(parts).encode())


def random_id(prefix: str) -> str:
    """A new id for an object without a key, such as a webhook endpoint (`we_…`)."""
    return prefix + base32(secrets.token_bytes(ID_BYTES))


def is_id(value: object, prefix: str) -> bool:
    """Whether it has the form of our ids with this prefix (`ch_`, `price_`, `we_`)."""
    return (
        isinstance(value, str)
        and value.startswith(prefix)
        and _ID_TEXT.fullmatch(value, len(prefix)) is not None
    )


def is_price_id(value: object) -> bool:
    """Whether it has the form of a price's id, which no lookup key has."""
    return is_id(value, MADE_PREFIXES["price"])


def traceparent(value: object) -> str | None:
    """The value of a header `traceparent` if it is valid, else None: a bad one must not stop a
    payment. (W3C Trace Context, 3.2.2: version 00, ids of zeros are invalid.)"""
    if not isinstance(value, str) or not (found := _TRACEPARENT.fullmatch(value)):
        return None
    return value if found["trace"].strip("0") and found["span"].strip("0") else None


def trace_of(kept: str | None) -> str | None:
    """The id of the trace in a `traceparent` that was read by the function of that name."""
    return None if kept is None else kept[3:35]


def sampled_trace(kept: str | None) -> str | None:
    """The id of the trace, if it is recorded (the flag `sampled`)."""
    return kept[3:35] if kept is not None and int(kept[53:55], 16) & 1 else None


def is_request_id(value: object) -> bool:
    """Whether it can be kept and shown as the id of a request: letters, digits, dots, dashes and
    underscores, up to 64, at least one letter. So it is neither a bare number nor an address."""
    return isinstance(value, str) and _REQUEST_ID.fullmatch(value) is not None


def fingerprint(request: Mapping[str, Any]) -> str:
    """A hash of the request: the same key with another fingerprint is a conflict.

    Absent and empty fields don't count, so a field that is added to the API later does not change
    the fingerprint of requests that don't use it.
    """
    asked = {name: value for name, value in request.items() if value not in (None, {}, [])}
    canonical = json.dumps(asked, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return _digest(canonical.encode())


def base32(raw: bytes) -> str:
    """The bytes as the text of ids and keys: base32 in lower case, with no padding."""
    return b32encode(raw).decode().lower().rstrip("=")


def _digest(raw: bytes) -> str:
    return base32(hashlib.sha256(raw).digest()[:ID_BYTES])
