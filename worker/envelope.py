"""What a message must be before Celery may see it; any other is broken, with a reason.

Celery 5.7 trusts its messages. One that is not a task can end the worker, send every worker into an
endless reconnect, or vanish (celery#7975, kombu#2592). So each is read here first, by our own
rules, and Celery gets a message made from the result.

What clients in other languages omit or write differently is accepted if it can only mean one thing:
`tests/contract/vectors` has what each of them really sends.
"""

import base64
import binascii
import json
import re
from collections.abc import Container
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, TypeAlias

from celery.utils.time import maybe_iso8601

from infra.billing.contract import strict_json
from infra.billing.contract.card_data import holds_card_data
from infra.billing.contract.ids import traceparent
from infra.billing.contract.strict_json import NotStrict
from payments.intake.masking import READ_MAX
from payments.intake.timing import Timing
from tasks.task_arguments import NOTHING_ELSE, Wishes
from worker.wrappers import unwrapped

JSON = "application/json"
# Without a type it can only mean the one that is read; the body must be JSON anyway.
_JSON = frozenset({None, "", JSON, f"{JSON};charset=utf-8"})
# The content type if `unwrap` could not read the item: the raw item is then the body.
UNREADABLE = "application/x-unreadable"

# The largest valid request is 50 metadata entries of 500 characters: an eighth of this.
BODY_MAX_BYTES = 256 * 1024
# The body in base64, and headers.
ITEM_MAX_BYTES = 2 * BODY_MAX_BYTES
# A request is three levels deep. Deep ones exhaust the stack of code that walks them later.
DEPTH_MAX = 16
TASK_ID_MAX = 255  # Like an idempotency key, as it may have to be one.
# How worker/transport/fetch.lua marks an item that was already invalid when a worker that died
# fetched it first.
KEPT_AS_HEX = "no message; kept as hex"

_TASK = re.compile(r"[A-Za-z0-9_.-]{1,100}")
# JSON is UTF-8, whatever the header says. "binary" is kombu's word for "no text", and celery-php's
# for all it sends to Redis.
_UTF8 = frozenset({None, "", "utf-8", "utf8", "us-ascii", "ascii", "binary"})


# What a message may embed for Celery to call when it is done, and the names that Celery's users
# know.
_CALLBACKS = {"callbacks": "link", "errbacks": "link_error", "chain": "chain", "chord": "chord"}


class Reason(str):
    """Why an item or its properties are unreadable, as determined here: a sender may write anything
    into the same header."""

    __slots__ = ()


class Broken(Exception):
    """A message that is not a task. The text says why, and quotes nothing from it."""


@dataclass(frozen=True, slots=True)
class Call:
    """The call that a message asks for."""

    task: str
    id: str
    args: list[Any]
    kwargs: dict[str, Any]
    root_id: Any
    parent_id: Any
    wishes: Wishes = NOTHING_ELSE


# An item of a Redis list in the form that kombu expects.
Letter: TypeAlias = dict[str, Any]


def read(message: Any, tasks: Container[str]) -> Call:
    """The call in a kombu message, by protocol 2, or by protocol 1 if it is clearly that.

    Raises Broken. `tasks` are the names that may be called from outside.
    """
    about, embedded, args, kwargs = _parts(message.headers, _body(message))
    task, task_id = about.get("task"), about.get("id")
    if not isinstance(task, str):
        raise Broken("no task name in the headers")
    if task not in tasks:
        raise Broken(f"unknown task {task}" if _TASK.fullmatch(task) else "unknown task")
    if not isinstance(task_id, str) or not _is_id(task_id):
        raise Broken("no task id in the headers")
    if holds_card_data(task_id):  # It is logged, and kept with what the message asks for.
        raise Broken("the task id holds card data")
    if not isinstance(args, list):
        raise Broken("args is not a list")
    if not isinstance(kwargs, dict):
        raise Broken("kwargs is not an object")
    times = {name: _time(name, about[name]) for name in ("eta", "expires") if about.get(name)}
    wishes = Wishes(
        Timing(not_before=times.get("eta"), good_until=times.get("expires")),
        callbacks=tuple(name for key, name in _CALLBACKS.items() if embedded.get(key)),
        traceparent=traceparent(message.headers.get("traceparent")),
    )
    kwargs = {name: unwrapped(value) for name, value in kwargs.items()}
    return Call(task, task_id, args, kwargs, about.get("root_id"), about.get("parent_id"), wishes)


def given_up_as_too_old(message: Any) -> bool:
    """Whether RabbitMQ made this a dead letter because of its age. (The other reason is too many
    deliveries.) https://www.rabbitmq.com/docs/dlx#effects"""
    headers = message.headers or {}
    deaths = headers.get("x-death")
    if isinstance(deaths, list) and deaths and isinstance(deaths[0], dict):
        return bool(deaths[0].get("reason") == "expired")
    return bool(headers.get("x-first-death-reason") == "expired")


def _parts(headers: dict[str, Any], body: Any) -> tuple[dict[str, Any], dict[str, Any], Any, Any]:
    """The parts of a message that say what it is about, what it embeds, and its arguments."""
    if headers.get("protocol", 2) not in (1, 2, "1", "2"):
        raise Broken("a protocol that is not 1 or 2")
    if "task" not in headers and isinstance(body, dict) and "task" in body:
        # Protocol 1: everything is in the body.
        return body, body, *_arguments(body.get("args"), body.get("kwargs"))
    if not (isinstance(body, list) and len(body) == 3):
        raise Broken("the body is not [args, kwargs, {…}]")
    args, kwargs, embedded = body
    if not isinstance(embedded, dict) and not _is_nothing(embedded):
        raise Broken("the third item of the body is not an object")
    return headers, embedded or {}, *_arguments(args, kwargs)


def _arguments(args: Any, kwargs: Any) -> tuple[Any, Any]:
    return [] if args is None else args, {} if _is_nothing(kwargs) else kwargs


def _is_nothing(value: Any) -> bool:
    """Go and JavaScript write null for nothing, and PHP an empty list for an empty object."""
    return value is None or value == []


def _is_id(text: str) -> bool:
    return 0 < len(text) <= TASK_ID_MAX and text.isprintable()


def size_of(message: Any) -> int:
    """The size in bytes of the item that a message was made from, if known; else 0."""
    headers = message.headers or {}
    return int(headers["size"]) if isinstance(headers.get("reason"), Reason) else 0


def unwrap(item: bytes, queue: str, *, tag: str, size: int | None = None) -> Letter:
    """An item of a Redis list as a letter that kombu can always read. Never raises.

    An item that is not a letter becomes the body of one of type UNREADABLE: it is then handled like
    every other message, and read once. `tag` is its key in storage; `size` is that of the whole
    item, if this is the beginning of one that is too large.
    """
    size = len(item) if size is None else size
    try:
        letter = _letter(item, size)
        properties = _checked(letter)
    except Broken as broken:
        letter = _wrapped(item, queue, str(broken), size)
        properties = letter["properties"]
    except Exception as error:  # noqa: BLE001  # any error: the other items must go on
        letter = _wrapped(item, queue, f"the item is unreadable: {type(error).__name__}", size)
        properties = letter["properties"]
    letter["properties"] = {
        **properties,
        # A new tag for each delivery. The producer's may be a constant, and kombu keeps it when it
        # restores a message: a slow worker's late acknowledgement would then remove the protection
        # of the copy that another worker has.
        "delivery_tag": tag,
        # The queue that it really was in: kombu restores a message to the queue named here, and the
        # sender's value may not exist.
        "delivery_info": {"exchange": "", "routing_key": queue},
    }
    return letter


def _letter(item: bytes, size: int) -> Letter:
    if size > ITEM_MAX_BYTES:
        raise Broken(f"larger than {ITEM_MAX_BYTES} bytes")
    try:
        # Not with kombu's reader, which turns {"__type__": …} into objects, and may raise anything.
        value = json.loads(item.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise Broken(f"the item is not a JSON object: {type(error).__name__}") from None
    if not isinstance(value, dict):
        raise Broken(f"the item is not a JSON object: {type(value).__name__}")
    return value


def _checked(letter: Letter) -> dict[str, Any]:
    """The properties of a letter that kombu can read, keep and restore. Raises Broken."""
    if _is_nothing(letter.get("headers")):
        letter["headers"] = {}
    headers = letter["headers"]
    if not isinstance(headers, dict):
        raise Broken("headers is not an object")
    if strict_json.is_deeper(headers, DEPTH_MAX):
        raise Broken("headers are too deeply nested")
    if headers.get("compression"):
        raise Broken("compressed messages are not accepted")
    properties = _checked_properties(letter.get("properties"))
    _check_body(letter.get("body"), properties.get("body_encoding"))
    return properties


def _checked_properties(properties: Any) -> dict[str, Any]:
    if not isinstance(properties, dict):
        raise Broken("no properties in the envelope")
    # `delivery_tag` and `delivery_info` may be missing, as they are from rusty-celery: `unwrap`
    # makes its own.
    if not isinstance(properties.get("delivery_info"), dict | None):
        raise Broken("delivery_info is not an object")
    is_deep = strict_json.is_deeper(properties, DEPTH_MAX)
    if is_deep or not isinstance(properties.get("priority", 0), int | None):
        raise Broken("unusable properties in the envelope")
    return properties


def _check_body(body: Any, encoding: Any) -> None:
    if not isinstance(body, str):
        raise Broken("no body in the envelope")
    if encoding == "base64":
        try:
            base64.b64decode(body)
        except (ValueError, binascii.Error):
            raise Broken("the body is not base64") from None
    elif encoding not in (None, "", "utf-8"):
        raise Broken("an unknown body_encoding")


def _wrapped(item: bytes, queue: str, reason: str, size: int) -> Letter:
    return {
        "content-type": UNREADABLE,
        "body": base64.b64encode(item[:READ_MAX]).decode("ascii"),
        "content-encoding": "binary",
        "headers": {"reason": Reason(reason), "size": size},
        "properties": {
            "body_encoding": "base64",
            "delivery_tag": "",
            "delivery_info": {"exchange": "", "routing_key": queue},
        },
    }


def _body(message: Any) -> Any:
    """The body, which must be standard JSON, without duplicate names."""
    if message.content_type == UNREADABLE:
        reason = message.headers.get("reason")
        known = isinstance(reason, Reason) or reason == KEPT_AS_HEX
        raise Broken(str(reason) if known else "unreadable")
    if message.errors:  # kombu could not decompress it, or we forbade it to
        raise Broken("compressed messages are not accepted")
    content_type, encoding = message.content_type, message.content_encoding
    if content_type != JSON and _plain(content_type) not in _JSON:
        raise Broken(f"content type is not {JSON}")
    if encoding != "utf-8" and _plain(encoding) not in _UTF8:
        raise Broken("content encoding is not utf-8")
    body = message.body
    if not isinstance(body, bytes | str):
        raise Broken("no body")
    if len(body) > BODY_MAX_BYTES:
        raise Broken(f"the body is larger than {BODY_MAX_BYTES} bytes")
    try:
        text = body.decode("utf-8") if isinstance(body, bytes) else body
        value = strict_json.read(text, exactly=False)
    except NotStrict as wrong:
        raise Broken(f"the body is not JSON: {wrong}") from None
    except (ValueError, RecursionError) as error:
        raise Broken(f"the body is not JSON: {type(error).__name__}") from None
    # Counting is cheap, walking is not; a valid request opens a handful of brackets.
    if text.count("[") + text.count("{") > DEPTH_MAX and strict_json.is_deeper(value, DEPTH_MAX):
        raise Broken("the body is too deeply nested")
    return value


def _plain(value: Any) -> str | None:
    return None if value is None else str(value).lower().replace(" ", "")


def _time(name: str, value: Any) -> datetime:
    """A time as Celery writes it: ISO 8601. Without a zone it is UTC, as Celery reads it for an app
    in UTC."""
    try:
        at: datetime = maybe_iso8601(value)
        return (at if at.tzinfo is not None else at.replace(tzinfo=UTC)).astimezone(UTC)
    except (AttributeError, ValueError, TypeError, OverflowError):
        raise Broken(f"{name} is not a time") from None
