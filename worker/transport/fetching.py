"""How workers take items from the lists of Redis: many at once, stored in the same step."""

import json
from collections.abc import Callable, Sequence
from importlib.resources import files
from time import time
from typing import Any, NamedTuple

from kombu.utils.uuid import uuid

from worker import envelope

FETCH = files("worker.transport").joinpath("fetch.lua").read_text()
# How many items one script takes; it blocks Redis for some milliseconds.
FETCH_MAX = 64


class Fetched(NamedTuple):
    """An item taken from a list, and its tag in storage."""

    tag: str
    item: bytes
    # The size of the whole item, if this is the beginning of one that is too large.
    size: int | None = None

    def letter(self, queue: str) -> envelope.Letter:
        """The item in a form that kombu can always read."""
        return envelope.unwrap(self.item, queue, tag=self.tag, size=self.size)


def take(
    script: Callable[..., Sequence[Any]], qos: Any, queue: str, lists: Sequence[str], count: int
) -> list[Fetched]:
    """Take up to `count` items of a queue, whose `lists` are in the order of their priority."""
    prefix = f"{uuid()}."
    items = script(
        keys=[qos.unacked_index_key, qos.unacked_key, *lists],
        args=[count, prefix, time(), json.dumps(queue)],
    )
    return [
        Fetched(f"{prefix}{number:03}", *(item if isinstance(item, list) else (item,)))
        for number, item in enumerate(items, start=1)
    ]
