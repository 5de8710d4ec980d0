"""Signed messages: how a producer proves over the broker that a request is its own.

The header `billing-signature` holds signatures, made with the producer's signing keys, of the
message's id, its task and its body (`infra.billing.contract.signatures`): so each is valid only for
this request, for this task, in this message. A copy of the message is the same request under the
same key, and moves nothing twice.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from sqlalchemy import Connection, bindparam, select

from infra.billing.contract import signatures
from infra.billing.contract.signatures import MESSAGE_HEADER
from models import ApiKey
from models.base import table_of
from payments.payment_errors import Refused

# While a key is replaced, a producer may sign with both.
SIGNATURES_MAX = 4

Mode = Literal["off", "accept", "require"]


class SignatureInvalid(Refused):
    code = "signature_invalid"


@dataclass(frozen=True, slots=True)
class Proof:
    """The signed bytes of a message, and its signature header, if it has one."""

    content: bytes
    signatures: object = None


def is_signed(proof: Proof, keys: Sequence[str]) -> bool:
    """Whether one of the signatures is valid for one of the keys."""
    if not isinstance(proof.signatures, str) or not proof.signatures.isascii():
        return False
    given = proof.signatures.split(" ")
    if len(given) > SIGNATURES_MAX:
        return False
    return signatures.is_signed(proof.content, [key.encode() for key in keys], given)


def refusal(proof: Proof | None) -> SignatureInvalid:
    """Why a message without a valid signature is refused."""
    if proof is None or proof.signatures is None:
        return SignatureInvalid(
            f"the header {MESSAGE_HEADER} is missing: sign the message with a signing key of its"
            " producer (docs/reference/wire.md)",
            param=MESSAGE_HEADER,
        )
    return SignatureInvalid(
        f"the header {MESSAGE_HEADER} is wrong: it must be the signature of this message's id, task"
        " and body, under a signing key of its producer (docs/reference/wire.md)",
        param=MESSAGE_HEADER,
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
