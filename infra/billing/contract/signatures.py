"""Signatures of webhooks and of messages: HMAC-SHA256 in base64, with the version in front.

Webhooks as Standard Webhooks 1.0.0 wants them
(https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md),
messages as docs/reference/wire.md specifies.
"""

import base64
import hmac
import secrets
from collections.abc import Iterable, Sequence

VERSION = "v1"
# The header of a signed message.
MESSAGE_HEADER = "billing-signature"
# Of a webhook, beside the three of Standard Webhooks, and signed by none: which number of those
# sent to this endpoint it has; and "1" if it is replayed.
SEQUENCE_HEADER = "webhook-sequence"
REPLAY_HEADER = "webhook-replay"
SECRET_PREFIX = "whsec_"  # noqa: S105  # What every secret begins with is none
SECRET_BYTES = 32  # The specification allows 24 to 64.


def new_secret() -> str:
    """A fresh signing secret of webhooks, `whsec_…`: 32 random bytes in base64."""
    return SECRET_PREFIX + base64.b64encode(secrets.token_bytes(SECRET_BYTES)).decode()


def key_of(secret: str) -> bytes:
    """The bytes that sign: what `whsec_…` decodes to, never its text. Raises ValueError."""
    try:
        return base64.b64decode(secret.removeprefix(SECRET_PREFIX), validate=True)
    except ValueError:
        # The secret itself must not reach a log line.
        raise ValueError(f"a secret is {SECRET_PREFIX} and base64") from None


def signed_headers(
    keys: Sequence[bytes], *, webhook_id: str, timestamp: int, body: bytes
) -> dict[str, str]:
    """The three headers that prove `body` to the receiver.

    `timestamp` is in whole seconds since the epoch. While a secret rotates there are several
    keys, and each gives a signature, in the order of `keys`: the receiver needs to know only one.
    """
    content = webhook_content(webhook_id, str(timestamp), body)
    return {
        "webhook-id": webhook_id,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": " ".join(sign(key, content) for key in keys),
    }


def webhook_content(webhook_id: str, timestamp: str, body: bytes) -> bytes:
    """What is signed of a webhook; `timestamp` as its header has it."""
    return f"{webhook_id}.{timestamp}.".encode("utf-8", "surrogatepass") + body


def message_content(*, task: str, task_id: str, body: bytes) -> bytes:
    """What is signed of a message. Neither a task's name nor an id holds a newline."""
    return f"{task_id}\n{task}\n".encode() + body


def sign(key: bytes, content: bytes) -> str:
    """The signature of these bytes."""
    return f"{VERSION},{base64.b64encode(hmac.digest(key, content, 'sha256')).decode()}"


def sign_message(key: str, *, task: str, task_id: str, body: bytes) -> str:
    """The signature of a message under a signing key (`key_…`)."""
    return sign(key.encode(), message_content(task=task, task_id=task_id, body=body))


def is_signed(content: bytes, keys: Iterable[bytes], signatures: Sequence[str]) -> bool:
    """Whether one of the signatures is valid for one of the keys."""
    given = [one.encode("utf-8", "surrogatepass") for one in signatures]
    # Every pair is compared, each in constant time, so that the duration reveals nothing.
    matches = [
        hmac.compare_digest(expected, one)
        for expected in (sign(key, content).encode() for key in keys)
        for one in given
    ]
    return any(matches)
