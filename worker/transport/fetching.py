"""What workers take from the lists of Redis: many items at once, stored as they are taken."""

import json
from collections.abc import Callable, Sequence
from importlib.resources import files
from time import time
from typing import Any, NamedTuple

from kombu.utils.uuid import uuid

from worker import envelope

FETCH = files("worker.transport").joinpath("fetch.lua").read_text()
# One script blocks Redis for so many items: some milliseconds.
FETCH_MAX = 64


class Fetched(NamedTuple):
    """An item as it was taken from a list, and the tag that it is stored under."""

    tag: str
    item: bytes
    # Of the whole item, where this is the beginning of one that is too large.
    size: int | None = None

    def letter(self, queue: str) -> envelope.Letter:
        """The item as kombu can always read it."""
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
