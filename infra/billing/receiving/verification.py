"""How a receiver verifies that a webhook is from the service, and how the service signs it.

Signatures are those of Standard Webhooks 1.0.0:
https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
"""

import json
import time
from collections.abc import Iterable, Mapping, Sequence
from email.message import Message
from typing import Any

from infra.billing.contract.objects import Event, resource
from infra.billing.contract.signatures import (
    is_signed,
    key_of,
    signed_headers,
    webhook_content,
)
from infra.billing.errors import InvalidRequest, InvalidSignature

TOLERANCE_S = 300  # enough for a slow network, too short for a replay tomorrow
# The specification's minimum. An empty secret would accept everyone's signature.
SECRET_BYTES_MIN = 24

Headers = Mapping[str, str] | Message | Iterable[tuple[str | bytes, str | bytes]]
# One secret, or several while one is being replaced.
Secrets = str | Sequence[str]


def verify(
    body: bytes | str,
    headers: Headers,
    secret: Secrets,
    *,
    tolerance_s: float = TOLERANCE_S,
    now: float | None = None,
) -> Event:
    """The event in `body`, if it was signed with `secret` (`whsec_…`) within the last 5 minutes.

    `body` are the bytes as they arrived, before any JSON is read. `headers` is any mapping, list of
    pairs, or what http.server has; case doesn't matter. `now` (Unix seconds) is for tests.

    The same event may come twice, with the same `event.id`; keep the ids that you have handled.
    Raises InvalidSignature: answer 400, and do nothing else with it. InvalidRequest for arguments
    that no webhook could have made right.
    """
    payload = _payload(body)
    keys = [_key(one) for one in _secrets(secret)]
    given = lower(headers)
    webhook_id, timestamp, signatures = (
        _header(given, name) for name in ("webhook-id", "webhook-timestamp", "webhook-signature")
    )
    _check_age(timestamp, tolerance_s, time.time() if now is None else now)
    content = webhook_content(webhook_id, timestamp, payload)
    if not is_signed(content, keys, signatures.split()):
        raise InvalidSignature("the webhook was not signed with this secret")
    return _event(webhook_id, payload)


def sign(
    body: bytes | str,
    secret: Secrets,
    *,
    webhook_id: str,
    timestamp: int | None = None,
) -> dict[str, str]:
    """The headers with which the service sends `body`: for testing a receiver.

    `timestamp` in whole Unix seconds, now by default. Several secrets give several signatures.
    """
    payload = _payload(body)
    if not webhook_id or "." in webhook_id:
        raise InvalidRequest("webhook_id must be text without a dot", param="webhook_id")
    sent = int(time.time()) if timestamp is None else timestamp
    keys = [_key(one) for one in _secrets(secret)]
    return signed_headers(keys, webhook_id=webhook_id, timestamp=sent, body=payload)


def _payload(body: object) -> bytes:
    if isinstance(body, str):
        return body.encode()
    if isinstance(body, (bytes, bytearray, memoryview)):
        return bytes(body)
    raise InvalidRequest(
        "body must be the bytes of the request as they arrived, not what was read from them",
        param="body",
    )


def _secrets(secret: Secrets) -> Sequence[str]:
    return [secret] if isinstance(secret, str) else list(secret)


def _key(secret: object) -> bytes:
    """The bytes that sign: what `whsec_…` decodes to, never its text."""
    try:
        key = key_of(str(secret))
    except ValueError:
        key = b""
    if not isinstance(secret, str) or len(key) < SECRET_BYTES_MIN:
        # The secret itself must not reach a log line.
        raise InvalidRequest(
            "a secret is whsec_ and base64, as the service showed it", param="secret"
        )
    return key


def lower(headers: Headers) -> dict[str, str]:
    """Headers of any shape by their names in lower case."""
    # http.server's headers have items() without being a Mapping.
    given: Any = headers.items() if isinstance(headers, Mapping | Message) else headers
    try:
        pairs = [(name, value) for name, value in given]
    except (TypeError, ValueError):
        raise InvalidRequest(
            "headers must be a mapping, or a list of (name, value) pairs", param="headers"
        ) from None
    return {_latin(name).lower(): _latin(value) for name, value in pairs}


def _latin(value: str | bytes) -> str:
    return value.decode("latin-1") if isinstance(value, bytes) else value


def _header(headers: Mapping[str, str], name: str) -> str:
    value = headers.get(name, "").strip()
    if not value:
        raise InvalidSignature(f"the header {name} is missing", param=name)
    return value


def _check_age(timestamp: str, tolerance_s: float, now: float) -> None:
    name = "webhook-timestamp"
    # Fifteen digits are enough for any century, and int() of a megabyte of them is slow.
    if not timestamp.isascii() or not timestamp.isdigit() or len(timestamp) > 15:
        raise InvalidSignature(f"the header {name} is not a number of seconds", param=name)
    age_s = now - int(timestamp)
    if age_s > tolerance_s:
        raise InvalidSignature("the webhook is too old; is this clock right?", param=name)
    if age_s < -tolerance_s:
        raise InvalidSignature("the webhook is from the future; is this clock right?", param=name)


def _event(webhook_id: str, payload: bytes) -> Event:
    try:
        told = json.loads(payload)
        data = resource(told["data"])
        return Event({"id": webhook_id, **told, "data": data})
    except (ValueError, TypeError, KeyError, AttributeError):
        raise InvalidSignature("the body is signed, but it is no event", param="body") from None
