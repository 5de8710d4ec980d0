"""Plain requests: read in one pass, a whole batch at a time.

`worker/envelope.py` has every rule for messages and their defects. Most messages come from Celery's
own clients and ours, with nothing in them that needs a rule: those are read here to the same
`Call`, at a tenth of the cost. At the first unusual thing a message is left to the envelope:
nothing is refused here.
"""

from binascii import a2b_base64
from collections.abc import Container, Mapping
from typing import Any, TypeAlias

import orjson

from infra.billing.contract import strict_json
from infra.billing.contract.card_data import holds_card_data
from infra.billing.contract.ids import traceparent
from infra.billing.contract.signatures import MESSAGE_HEADER, message_content
from payments.access.message_signatures import Proof
from tasks.task_arguments import NOTHING_ELSE, Wishes
from worker.envelope import BODY_MAX_BYTES, DEPTH_MAX, JSON, TASK_ID_MAX, Call

# Larger ones are rare, and not urgent.
_ITEM_MAX_BYTES = 64 * 1024
# What a message may embed for Celery to call is null or absent here.
_NOTHING: tuple[Any, ...] = (None, [], {})
_SCALARS = (str, int, bool, type(None))
# How kombu marks values that it wraps (worker/wrappers.py).
_WRAPPED = "__type__"


# A call; and its message's proof, to be checked against the producer's keys.
Plain: TypeAlias = tuple[Call, Proof]


def of_item(item: bytes, tasks: Container[str]) -> Plain | None:
    """The call in an item of a Redis list; None if it is not plain."""
    # At most as many brackets as allowed levels: no value in it is deeper than that.
    if len(item) > _ITEM_MAX_BYTES or item.count(b"{") + item.count(b"[") > DEPTH_MAX:
        return None
    try:
        letter = orjson.loads(item)
        if (
            type(letter) is not dict
            or letter.get("content-type") != JSON
            or letter.get("content-encoding") != "utf-8"
        ):
            return None
        headers, properties, body = letter["headers"], letter["properties"], letter["body"]
        if (
            type(headers) is not dict
            or type(properties) is not dict
            or type(body) is not str
            or properties.get("body_encoding") != "base64"
            or type(properties.get("delivery_info")) is not dict
            or type(properties.get("priority", 0)) is not int
        ):
            return None
        return of_message(headers, a2b_base64(body), tasks)
    except (ValueError, KeyError):
        return None


def of_message(headers: Mapping[str, Any], body: Any, tasks: Container[str]) -> Plain | None:
    """The call in a message of protocol 2 whose type is JSON in UTF-8; its body may be decoded
    already. None if it is not plain."""
    if type(body) is str:
        try:
            body = body.encode()
        except UnicodeEncodeError:
            return None
    task, task_id = headers.get("task"), headers.get("id")
    if (
        type(task) is not str
        or task not in tasks
        or type(task_id) is not str
        or not 0 < len(task_id) <= TASK_ID_MAX
        or not task_id.isprintable()
        or "protocol" in headers
        or headers.get("compression")
        or headers.get("eta")
        or headers.get("expires")
        or type(body) is not bytes
        or len(body) > BODY_MAX_BYTES
    ):
        return None
    kwargs = _kwargs(body)
    if kwargs is None or holds_card_data(task_id):
        return None
    trace = traceparent(headers.get("traceparent"))
    wishes = NOTHING_ELSE if trace is None else Wishes(traceparent=trace)
    call = Call(task, task_id, [], kwargs, headers.get("root_id"), headers.get("parent_id"), wishes)
    signed = message_content(task=task, task_id=task_id, body=body)
    return call, Proof(signed, headers.get(MESSAGE_HEADER))


def _kwargs(body: bytes) -> dict[str, Any] | None:
    """The keyword arguments of a body without anything else in it."""
    try:
        value = orjson.loads(body)
    except ValueError:
        return None
    if type(value) is not list or len(value) != 3:
        return None
    args, kwargs, embedded = value
    if args != [] or type(kwargs) is not dict:
        return None
    names = len(kwargs)
    for argument in kwargs.values():
        kind = type(argument)
        if kind is dict:
            if _WRAPPED in argument or not all(type(v) in _SCALARS for v in argument.values()):
                return None
            names += len(argument)
        elif kind not in _SCALARS:  # a list; or a float, as orjson makes of very long numbers
            return None
    if type(embedded) is dict:
        if any(part not in _NOTHING for part in embedded.values()):
            return None
        names += len(embedded)
    elif embedded is not None and embedded != []:
        return None
    # Duplicate names are refused, but orjson doesn't report them: with duplicates there are more
    # colons than names. Colons in texts are counted, too; such a message is read once more.
    return kwargs if body.count(b":") == names or _names_each_once(body) else None


def _names_each_once(body: bytes) -> bool:
    try:
        strict_json.read(body.decode(), exactly=False)
    except (ValueError, RecursionError):
        return False
    return True
