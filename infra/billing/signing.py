"""Messages signed in the header `billing-signature`, as docs/reference/wire.md specifies."""

from dataclasses import replace

from infra.billing.contract.signatures import MESSAGE_HEADER, sign_message
from infra.billing.message import Message


def signed(message: Message, key: str) -> Message:
    """The message with its signature: HMAC-SHA256 of its id, its task and its body, under `key`
    (`key_…`, of `billing keys create --signing`)."""
    task, body = message.headers["task"], message.body.encode()
    signature = sign_message(key, task=task, task_id=message.id, body=body)
    return replace(message, headers={**message.headers, MESSAGE_HEADER: signature})
