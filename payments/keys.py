"""API keys: made, listed, revoked, and held against what a request presents.

A key is `key_` and 16 characters, which are its id, then `_` and 52 characters, which are the
secret: 256 random bits. Only their SHA-256 is kept. So a key is found by its id and its secret is
compared in constant time; nothing is remembered between requests, so a key that is revoked is
refused from the next request on.
"""

import hashlib
import hmac
import re
import secrets
from base64 import b32encode
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, bindparam, func, insert, select, update

from models import ApiKey
from models.base import id_among, table_of
from payments.errors import InsufficientScope, InvalidRequest, NotFound, Unauthenticated
from payments.redaction import producer_name
from payments.transaction import Row, Transaction
from payments.views import moment

READ, WRITE = "read", "write"
SCOPES = (READ, WRITE)
ID_BYTES = 10  # 16 characters: enough to tell keys apart; the secret is what can't be guessed.
SECRET_BYTES = 32
_KEY = re.compile(r"(key_[a-z2-7]{16})_([a-z2-7]{52})")
# What a key that doesn't exist is compared with, so that it takes as long as one that does.
_NOBODY = bytes(32)


@dataclass(frozen=True, slots=True)
class Presented:
    """What a request shows of its key."""

    id: str
    sha256: bytes


def create(
    transaction: Transaction, *, producer: object, scopes: Sequence[str] = SCOPES
) -> tuple[Row, str]:
    """A new key of a producer: its row, and the key itself, which is shown now and never again.

    Raises InvalidRequest.
    """
    name = producer_name(producer)
    if name is None:
        raise InvalidRequest(
            "producer: must be 1 to 64 letters, digits, dots, dashes or underscores",
            param="producer",
        )
    if not scopes or not set(scopes) <= set(SCOPES):
        raise InvalidRequest(f"scopes must be some of {', '.join(SCOPES)}", param="scopes")
    id_ = "key_" + _text(secrets.token_bytes(ID_BYTES))
    secret = _text(secrets.token_bytes(SECRET_BYTES))
    row = {
        "id": id_,
        "producer": name,
        "secret_sha256": hashlib.sha256(secret.encode()).digest(),
        "scopes": [scope for scope in SCOPES if scope in scopes],
    }
    (kept,) = transaction.rows(_INSERT, row)
    return kept, f"{id_}_{secret}"


def revoke(transaction: Transaction, key_id: str) -> Row:
    """Refuse the key from now on; its row stays. Revoking twice is revoking once.

    Raises NotFound.
    """
    revoked = transaction.rows(_REVOKE, {"key_id": key_id})
    if not revoked:
        raise NotFound("there is no API key with this id", param="id")
    return revoked[0]


def every(connection: Connection) -> Iterator[dict[str, Any]]:
    """All keys for people and programs, newest first, revoked ones too; never a secret."""
    for row in connection.execute(_EVERY).mappings():
        yield view(row)


def view(row: Mapping[Any, Any]) -> dict[str, Any]:
    """A key as it may be shown."""
    return {
        "id": row["id"],
        "object": "api_key",
        "producer": row["producer"],
        "scopes": row["scopes"],
        "created_at": moment(row["created_at"]),
        "revoked_at": moment(row["revoked_at"]),
    }


def presented(key: str) -> Presented | None:
    """What a text shows as a key; None when it can't be one."""
    parts = _KEY.fullmatch(key)
    return parts and Presented(parts[1], hashlib.sha256(parts[2].encode()).digest())


def read(connection: Connection, ids: Iterable[str]) -> dict[str, Row]:
    """The rows of these keys, for `check`."""
    rows: Any = connection.execute(_READ, {"ids": list(ids)}).mappings()
    return {row["id"]: row for row in rows}


def check(row: Row | None, shown: Presented, *, scope: str) -> str:
    """The producer in whose name the key's holder asks; `row` is the key's, if there is one.

    Raises Unauthenticated for a wrong or revoked key, InsufficientScope for one that may not.
    """
    kept = _NOBODY if row is None else bytes(row["secret_sha256"])
    is_right = hmac.compare_digest(kept, shown.sha256)
    if row is None or not is_right or row["revoked_at"] is not None:
        raise Unauthenticated
    if scope not in row["scopes"]:
        raise InsufficientScope(f"this API key lacks the scope {scope!r}; ask for one that has it")
    return str(row["producer"])


def _text(raw: bytes) -> str:
    return b32encode(raw).decode().lower().rstrip("=")


# --- The statements, built once ---

_keys = table_of(ApiKey)
_INSERT = insert(_keys).returning(_keys)
_REVOKE = (
    update(_keys)
    .where(_keys.c.id == bindparam("key_id"))
    .values(revoked_at=func.coalesce(_keys.c.revoked_at, func.now()))
    .returning(_keys)
)
_READ = select(_keys).where(id_among(_keys.c.id))
_EVERY = select(_keys).order_by(_keys.c.created_at.desc(), _keys.c.id.desc())
