"""The message that carries a call to the workers: Celery's protocol, version 2, made by hand.

https://docs.celeryq.dev/en/stable/internals/protocol.html
"""

import json
import os
import socket
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache
from typing import Any
from uuid import uuid4

from infra.billing.contract.ids import Kind
from infra.billing.contract.messages.task_names import CREATE
from infra.billing.contract.signatures import MESSAGE_HEADER, sign_message

QUEUE = "payments"
# Fields that a stock worker would obey, and ours ignores: callbacks and the like.
_EMBED: Mapping[str, None] = {"callbacks": None, "errbacks": None, "chain": None, "chord": None}
# Logs and monitors copy these headers, so they must not contain the request.
_HIDDEN = "{…}"


@cache
def _host() -> str:
    return socket.gethostname()


@dataclass(frozen=True, slots=True)
class Message:
    """What goes to the broker. `id` is the message's own, another one for every message."""

    id: str
    queue: str
    body: str
    headers: Mapping[str, Any]


def message(kind: Kind, fields: Mapping[str, Any]) -> Message:
    """The message that asks for a charge or a refund with these fields."""
    return call(CREATE[kind], fields, queue=QUEUE)


def call(task: str, kwargs: Mapping[str, Any], *, queue: str, kwargsrepr: str = _HIDDEN) -> Message:
    """The message that calls a task. `kwargsrepr` is what logs and monitors show of `kwargs`."""
    # Not derived from the idempotency key: Celery drops messages whose id was revoked before.
    id_ = str(uuid4())
    return Message(
        id=id_,
        queue=queue,
        body=json.dumps([[], kwargs, _EMBED]),
        headers={
            "lang": "py",
            "task": task,
            "id": id_,
            "root_id": id_,
            "parent_id": None,
            "group": None,
            "retries": 0,
            "eta": None,
            "expires": None,
            "timelimit": [None, None],
            "argsrepr": "()",
            "kwargsrepr": kwargsrepr,
            "origin": f"infra.billing:{os.getpid()}@{_host()}",
            "ignore_result": True,
        },
    )


def signed(message: Message, key: str) -> Message:
    """The message with its signature in the header `billing-signature`, as docs/reference/wire.md
    specifies: HMAC-SHA256 of its id, its task and its body, under `key`
    (`key_…`, of `billing keys create --signing`)."""
    task, body = message.headers["task"], message.body.encode()
    signature = sign_message(key, task=task, task_id=message.id, body=body)
    return replace(message, headers={**message.headers, MESSAGE_HEADER: signature})
