"""Events for Celery's monitors: written quickly, a whole batch at once."""

import time
from collections.abc import Sequence
from typing import Any

import orjson
from celery.events import EventDispatcher
from celery.utils.time import utcoffset
from kombu import serialization
from kombu.utils import json
from kombu.utils.encoding import str_to_bytes

GROUP = "task"
_SERIALIZER, _JSON = "billing-events", "application/json"

# An event's own fields, `type` among them (celery/events/state.py says what monitors know).
Event = dict[str, Any]


def prepare(dispatcher: EventDispatcher) -> None:
    """Let a dispatcher write events quickly."""
    if _SERIALIZER not in serialization.registry.name_to_type:
        serialization.register(_SERIALIZER, _written, None, _JSON, "utf-8")
        # Answers to remote control keep kombu's encoder (kombu/common.py:266).
        serialization.registry.type_to_name[_JSON] = "json"
    dispatcher.serializer = _SERIALIZER


def are_wanted(dispatcher: EventDispatcher | None) -> bool:
    """Whether task events are sent at all: remote control turns them on and off."""
    if dispatcher is None or not dispatcher.enabled:
        return False
    return not dispatcher.groups or GROUP in dispatcher.groups


def tell(dispatcher: EventDispatcher, events: Sequence[Event]) -> None:
    """Send task events, as `dispatcher.send` does for each (celery/events/dispatcher.py:168)."""
    same = {
        "hostname": dispatcher.hostname,
        "pid": dispatcher.pid,
        "utcoffset": utcoffset(),
        "timestamp": time.time(),
    }
    forward = dispatcher.clock.forward
    for event in events:
        event.update(same, clock=forward())
    gathered = dispatcher._group_buffer[GROUP]  # noqa: SLF001  # `send` can't send many
    gathered.extend(events)
    if len(gathered) >= dispatcher.buffer_limit:
        dispatcher.flush()
    elif dispatcher.on_send_buffered is not None:
        dispatcher.on_send_buffered()


def _written(value: Any) -> bytes:
    try:
        return orjson.dumps(value)
    except TypeError:  # a type that only kombu can write, or a surrogate, which is not UTF-8
        return bytes(str_to_bytes(json.dumps(value)))
