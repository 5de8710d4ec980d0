"""The signature of a webhook, as Standard Webhooks 1.0.0 wants it.

https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
"""

import base64
import binascii
import hmac
import secrets
from collections.abc import Sequence

SECRET_PREFIX = "whsec_"  # noqa: S105  # What every secret begins with is none
SECRET_BYTES = 32  # The specification allows 24 to 64.


def new_secret() -> str:
    """A fresh signing secret, `whsec_…`: 32 random bytes in base64."""
    return SECRET_PREFIX + base64.b64encode(secrets.token_bytes(SECRET_BYTES)).decode()


def key_of(secret: str) -> bytes:
    """The bytes that sign: what `whsec_…` decodes to, never its text. Raises ValueError."""
    try:
        return base64.b64decode(secret.removeprefix(SECRET_PREFIX), validate=True)
    except binascii.Error:
        # The secret itself must not reach a log line.
        raise ValueError(f"a secret is {SECRET_PREFIX} and base64") from None


def signed_headers(
    keys: Sequence[bytes], *, webhook_id: str, timestamp: int, body: bytes
) -> dict[str, str]:
    """The three headers that prove `body` to the receiver.

    `timestamp` is in whole seconds since the epoch. While a secret rotates there are several
    keys, and each gives a signature, in the order of `keys`: the receiver needs to know only one.
    """
    message = f"{webhook_id}.{timestamp}.".encode() + body
    return {
        "webhook-id": webhook_id,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": " ".join(_signature(key, message) for key in keys),
    }


def _signature(key: bytes, message: bytes) -> str:
    return "v1," + base64.b64encode(hmac.digest(key, message, "sha256")).decode()
