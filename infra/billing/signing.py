"""Messages signed in the header `billing-signature`, as docs/reference/wire.md specifies."""

import base64
import hmac
from dataclasses import replace

from infra.billing.message import Message

HEADER = "billing-signature"


def signed(message: Message, key: str) -> Message:
    """The message with its signature: HMAC-SHA256 of its id, its task and its body, under `key`
    (`key_…`, of `billing keys create --signing`)."""
    content = f"{message.id}\n{message.headers['task']}\n{message.body}".encode()
    digest = hmac.digest(key.encode(), content, "sha256")
    signature = f"v1,{base64.b64encode(digest).decode()}"
    return replace(message, headers={**message.headers, HEADER: signature})
