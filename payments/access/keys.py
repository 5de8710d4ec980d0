"""API keys: created, listed, revoked, and checked against the one in a request.

A key is `key_` and 16 characters, which are its id, then `_` and 52 characters, which are the
secret: 256 random bits. Only their SHA-256 is kept. So a key is found by its id and its secret is
compared in constant time. A row that was read for an earlier request is trusted only if the
statement that writes finds that it `is_unchanged`; so a revoked key is refused from the next
request on. `payments.access.scopes` says what a key may do.

A *signing key* signs messages and does nothing else. Workers must be able to compute the same
signature, so it is kept as it is (`payments.access.message_signatures`).
"""

import hashlib
import hmac
import secrets
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    bindparam,
    func,
    insert,
    literal_column,
    select,
    update,
)

from infra.billing.contract.ids import KEY, base32
from infra.billing.contract.texts import PRODUCER_MUST
from models import ApiKey
from models.base import id_among, table_of
from models.rows import ApiKeyRow
from payments.access import audit_log
from payments.access.scopes import READ, SCOPES, WRITE, Access
from payments.payment_errors import InvalidRequest, NotFound, Unauthenticated
from payments.redaction import producer_name
from payments.transaction import Transaction
from payments.transaction import read as rows_of
from payments.views import moment

# Everything that can be read and written.
DEFAULT_SCOPES = (READ, WRITE)
# The scope of a signing key. It allows nothing over HTTP.
SIGN = "messages:sign"
ID_BYTES = 10  # 16 characters: enough to tell keys apart; only the secret must be unguessable.
SECRET_BYTES = 32
# Compared with an unknown key, so that it takes as long as a known one.
_NOBODY = bytes(32)


@dataclass(frozen=True, slots=True)
class Presented:
    """The key that a request presents."""

    id: str
    sha256: bytes


def create(
    transaction: Transaction,
    *,
    producer: object,
    scopes: Sequence[str] = DEFAULT_SCOPES,
    all_producers: bool = False,
) -> tuple[ApiKeyRow, str]:
    """A new key of a producer: its row, and the key itself, which is shown only now.

    `all_producers`: it also sees and refunds what other producers requested. Raises InvalidRequest.
    """
    if not scopes or not set(scopes) <= set(SCOPES):
        raise InvalidRequest(f"scopes must be some of {', '.join(SCOPES)}", param="scopes")
    ordered = [scope for scope in SCOPES if scope in scopes]
    return _made(transaction, producer, scopes=ordered, all_producers=all_producers)


def create_signing(transaction: Transaction, *, producer: object) -> tuple[ApiKeyRow, str]:
    """A new signing key of a producer, in the same way. Raises InvalidRequest."""
    return _made(transaction, producer, scopes=[SIGN])


def _made(
    transaction: Transaction, producer: object, *, scopes: list[str], all_producers: bool = False
) -> tuple[ApiKeyRow, str]:
    name = producer_name(producer)
    if name is None:
        raise InvalidRequest(f"producer: {PRODUCER_MUST}", param="producer")
    id_ = "key_" + base32(secrets.token_bytes(ID_BYTES))
    secret = base32(secrets.token_bytes(SECRET_BYTES))
    row = {
        "id": id_,
        "producer": name,
        "secret_sha256": hashlib.sha256(secret.encode()).digest(),
        "scopes": scopes,
        "all_producers": all_producers,
        "signing_secret": f"{id_}_{secret}" if scopes == [SIGN] else None,
    }
    (kept,) = transaction.read(ApiKeyRow, _INSERT, row)
    audit_log.record(transaction, "key.create", id_, after=view(kept))
    return kept, f"{id_}_{secret}"


def revoke(transaction: Transaction, key_id: str) -> ApiKeyRow:
    """Refuse the key from now on; its row stays. Revoking it again changes nothing.

    Raises NotFound.
    """
    was = transaction.read(ApiKeyRow, _HELD, {"key_id": key_id})
    if not was:
        raise NotFound("there is no API key with this id", param="id")
    (revoked,) = transaction.read(ApiKeyRow, _REVOKE, {"key_id": key_id})
    audit_log.record(transaction, "key.revoke", key_id, before=view(was[0]), after=view(revoked))
    return revoked


def every(connection: Connection) -> Iterator[dict[str, Any]]:
    """All keys, newest first, revoked ones included; never a secret."""
    yield from map(view, rows_of(connection, ApiKeyRow, _EVERY))


def view(row: ApiKeyRow) -> dict[str, Any]:
    """A key as it may be shown."""
    return {
        "id": row.id,
        "object": "api_key",
        "producer": row.producer,
        "scopes": row.scopes,
        "all_producers": row.all_producers,
        "created_at": moment(row.created_at),
        "revoked_at": moment(row.revoked_at),
    }


def presented(key: str) -> Presented | None:
    """The parts of a key; None if the text can't be one."""
    parts = KEY.fullmatch(key)
    return parts and Presented(parts[1], hashlib.sha256(parts[2].encode()).digest())


def read(connection: Connection, ids: Iterable[str]) -> dict[str, ApiKeyRow]:
    """The rows of these keys, for `admit`, each with its `version`."""
    return {row.id: row for row in rows_of(connection, ApiKeyRow, _READ, {"ids": list(ids)})}


def admit(row: ApiKeyRow | None, shown: Presented) -> Access:
    """The access of the key's holder; `row` is the key's, if there is one.

    Raises Unauthenticated for a wrong or revoked key.
    """
    kept = _NOBODY if row is None else bytes(row.secret_sha256)
    is_right = hmac.compare_digest(kept, shown.sha256)
    if row is None or not is_right or row.revoked_at is not None:
        raise Unauthenticated
    scopes = frozenset(row.scopes)
    return Access(row.producer, scopes, row.all_producers, key_id=row.id)


def is_unchanged(key_id: ColumnElement[str], version: ColumnElement[str]) -> ColumnElement[bool]:
    """Whether the row of a key still has this `version`, as SQL: one lookup by id for each row,
    which the planner can't turn into a scan of all keys."""
    return select(_VERSION).where(_keys.c.id == key_id).scalar_subquery() == version


# --- The statements, built once ---

_keys = table_of(ApiKey)
# The transaction that wrote the row: any change of it, by whatever means, writes it anew
# (PostgreSQL, 5.6).
_VERSION: ColumnElement[str] = literal_column("api_keys.xmin::text")
_INSERT = insert(_keys).returning(_keys)
_HELD = select(_keys).where(_keys.c.id == bindparam("key_id")).with_for_update()
_REVOKE = (
    update(_keys)
    .where(_keys.c.id == bindparam("key_id"))
    .values(revoked_at=func.coalesce(_keys.c.revoked_at, func.now()))
    .returning(_keys)
)
_READ = select(_keys, _VERSION.label("version")).where(id_among(_keys.c.id))
_EVERY = select(_keys).order_by(_keys.c.created_at.desc(), _keys.c.id.desc())
