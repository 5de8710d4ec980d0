"""Signed messages: how a producer proves over the broker that a request is its own.

The header `billing-signature` holds `v1,` and the base64 of HMAC-SHA256, under one of the
producer's signing keys, of

    the message's id, a newline, the name of the task, a newline, the body as it is

so the signature is of this request, for this task, in this message. A copy of the message is the
same request under the same key, and moves nothing twice.
"""

import base64
import hmac
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from sqlalchemy import Connection, bindparam, select

from models import ApiKey
from models.base import table_of
from payments.errors import Refused

HEADER = "billing-signature"
VERSION = "v1"
# While a key is replaced, a producer may sign with both.
SIGNATURES_MAX = 4

Mode = Literal["off", "accept", "require"]


class SignatureInvalid(Refused):
    """The message is not signed by its producer."""

    code = "signature_invalid"
    status = 401


@dataclass(frozen=True, slots=True)
class Proof:
    """What a message shows: the bytes that its signature is of, and the header, if it has one."""

    content: bytes
    signatures: object = None


def content(*, task: str, task_id: str, body: bytes) -> bytes:
    """What is signed. Neither a task's name nor an id holds a newline (worker/envelope.py)."""
    return f"{task_id}\n{task}\n".encode() + body


def sign(key: str, signed: bytes) -> str:
    """The signature of these bytes under a signing key, all of whose text is the HMAC's key."""
    digest = hmac.digest(key.encode(), signed, "sha256")
    return f"{VERSION},{base64.b64encode(digest).decode()}"


def is_signed(proof: Proof, keys: Sequence[str]) -> bool:
    """Whether one of the signatures is right under one of the keys."""
    if not isinstance(proof.signatures, str) or not proof.signatures.isascii():
        return False
    given = proof.signatures.split(" ")
    if len(given) > SIGNATURES_MAX:
        return False
    # Every pair is compared, each in constant time: how long it takes tells nothing.
    matches = [hmac.compare_digest(sign(key, proof.content), one) for key in keys for one in given]
    return any(matches)


def refusal(proof: Proof | None) -> SignatureInvalid:
    """Why a message that is not signed, or not rightly, is refused."""
    if proof is None or proof.signatures is None:
        return SignatureInvalid(
            f"the header {HEADER} is missing: sign the message with a signing key of its producer"
            " (docs/reference/wire.md)",
            param=HEADER,
        )
    return SignatureInvalid(
        f"the header {HEADER} is wrong: it must be the signature of this message's id, task and"
        " body, under a signing key of its producer (docs/reference/wire.md)",
        param=HEADER,
    )


def keys_of(connection: Connection, producer: str) -> list[str]:
    """The signing keys of a producer that are not revoked."""
    return list(connection.execute(_KEYS, {"producer": producer}).scalars())


_keys = table_of(ApiKey)
_KEYS = select(_keys.c.signing_secret).where(
    _keys.c.producer == bindparam("producer"),
    _keys.c.signing_secret.is_not(None),
    _keys.c.revoked_at.is_(None),
)
