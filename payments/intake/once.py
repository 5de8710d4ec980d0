"""Operations that are done once per key but create no object with an id from that key: adding
endpoints, rotating secrets, pings, replays.

The row of the request and its effect are one transaction: a repeat waits for the first request,
finds its row, and gets the same answer.
"""

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from sqlalchemy import bindparam, func, select, update
from sqlalchemy.dialects.postgresql import insert

from infra.billing.contract.ids import fingerprint, request_made_id
from infra.billing.contract.requests.request_fields import Keyed
from models import RequestMade
from models.base import table_of
from models.rows import EndpointRow, RequestMadeRow
from payments.access.scopes import OPERATOR, Access
from payments.access.vault import Vault
from payments.parsing import parse
from payments.payment_errors import KeyReused, NotFound
from payments.transaction import Transaction
from payments.webhooks import endpoints
from payments.webhooks.sealed import open_secret

# For how long a repeat under the same key returns the secret again, if the answer was lost.
SECRET_SHOWN_FOR = timedelta(hours=24)


@dataclass(frozen=True, slots=True)
class Done:
    """The answer, whether it was done just now, and whether that was within a day (`is_recent`)."""

    answer: dict[str, Any]
    is_new: bool = True
    is_recent: bool = True


def once(
    transaction: Transaction,
    operation: str,
    *,
    key: object,
    asked: Mapping[str, Any],
    do: Callable[[], dict[str, Any]],
    access: Access = OPERATOR,
) -> Done:
    """Do it, unless it was done under this key; without a key (None), always do it.

    `asked` is the content of the request: a different one under the same key is refused
    (KeyReused). The result of `do` is kept, so it must hold no secret. If `do` raises, the key
    stays free.
    """
    if key is None:
        return Done(do())
    producer = access.producer or "default"
    named = parse(Keyed, {"idempotency_key": key, "producer": producer})
    # As ASCII text: it holds whatever JSON can, surrogates included.
    said = json.dumps(asked, sort_keys=True, default=str)
    id_ = request_made_id(operation, producer=producer, key=named.idempotency_key)
    row = {
        "id": id_,
        "producer": producer,
        "idempotency_key": named.idempotency_key,
        "operation": operation,
        "fingerprint": fingerprint({"said": said}),
    }
    # Waits for a request that is in progress under the same key.
    if transaction.execute(_INSERT, row).first() is None:
        (known,) = transaction.read(RequestMadeRow, _READ, {"id": id_})
        if known.fingerprint != row["fingerprint"]:
            raise KeyReused(param="idempotency_key")
        return Done(known.answer or {}, is_new=False, is_recent=known.is_recent)
    answer = do()
    transaction.execute(update(_requests).where(_requests.c.id == id_).values(answer=answer))
    return Done(answer)


def add_endpoint(
    transaction: Transaction,
    *,
    key: object,
    access: Access,
    fields: Mapping[str, Any],
    vault: Vault,
    **given: Any,
) -> tuple[dict[str, Any], bool]:
    """`endpoints.add`, once per key: the endpoint with its secret, and whether it is new.

    A repeat returns the endpoint as it is now. Raises KeyReused, and NotFound if it was deleted
    since.
    """

    def add() -> dict[str, Any]:
        asked = {"access": access, "vault": vault, **fields, **given}
        return _made(*endpoints.add(transaction, **asked))

    # The fields that may hold a password.
    said = {
        name: _slow_digest(value) if name == "headers" or _has_user(name, value) else value
        for name, value in fields.items()
    }
    return _shown(transaction, "endpoint.create", key, access, said, add, vault)


def rotate_secret(
    transaction: Transaction,
    endpoint_id: str,
    *,
    key: object,
    access: Access,
    vault: Vault,
    **fields: Any,
) -> tuple[dict[str, Any], bool]:
    """`endpoints.rotate_secret`, once per key, in the same way."""

    def rotate() -> dict[str, Any]:
        given = {"access": access, "vault": vault, **fields}
        return _made(*endpoints.rotate_secret(transaction, endpoint_id, **given))

    asked = {"endpoint_id": endpoint_id, **fields}
    return _shown(transaction, "endpoint.rotate_secret", key, access, asked, rotate, vault)


def _shown(
    transaction: Transaction,
    operation: str,
    key: object,
    access: Access,
    asked: Mapping[str, Any],
    do: Callable[[], dict[str, Any]],
    vault: Vault,
) -> tuple[dict[str, Any], bool]:
    done = once(transaction, operation, key=key, asked=asked, do=do, access=access)
    try:
        row = endpoints.get(transaction, done.answer["endpoint_id"], access=access)
    except NotFound:
        raise NotFound(
            "the endpoint of this idempotency key was deleted; send another key",
            param="idempotency_key",
        ) from None
    shown = None
    if done.is_recent:
        secret = open_secret(vault, row.id, row.secrets[0])
        # Not a secret from a later rotation: that was shown to its own caller.
        shown = secret if _digest(secret) == done.answer["secret_sha256"] else None
    return {**endpoints.view(row), "secret": shown}, done.is_new


def _has_user(name: str, value: object) -> bool:
    """Whether it is a URL that may contain a user and a password, like those of queues."""
    return name == "url" and not str(value).startswith(("https://", "http://"))


def _slow_digest(secret: object) -> str:
    """A slow hash, to compare values. Headers and URLs may hold passwords chosen by people, and a
    fast hash of those in a copy of the database could be reversed."""
    said = json.dumps(secret, sort_keys=True, default=str).encode()
    return hashlib.scrypt(said, salt=b"headers of an endpoint", n=2**14, r=8, p=1).hex()


def _made(row: EndpointRow, secret: str) -> dict[str, Any]:
    # 256 random bits: their hash can't be reversed.
    return {"endpoint_id": row.id, "secret_sha256": _digest(secret)}


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()


_requests = table_of(RequestMade)
_INSERT = insert(_requests).on_conflict_do_nothing().returning(_requests.c.id)
_READ = select(
    _requests, (_requests.c.created_at > func.now() - SECRET_SHOWN_FOR).label("is_recent")
).where(_requests.c.id == bindparam("id"))
