"""The producer: puts charge requests on a queue, all at once or by the clock."""

import json
import time
from collections.abc import Sequence
from itertools import islice

import redis
from celery import Celery

BATCH = 100  # messages per round trip: a burst of 2,000 is in the queue within 50 ms


class Publisher:
    """Sends one task, in the bytes that `send_task` of stock Celery puts into Redis.

    Celery makes the messages on its in-memory transport *before* the clock starts. Through
    `send_task` each costs its producer about a millisecond, which would measure the producer.
    """

    def __init__(self, *, broker_url: str, task: str, queue: str) -> None:
        self._redis = redis.Redis.from_url(broker_url)
        self._task = task
        self._queue = queue
        self._celery = Celery(broker="memory://", set_as_current=False)

    def burst(self, keys: Sequence[str]) -> dict[str, float]:
        """Sends all as fast as Redis takes them; every request counts from the first push."""
        messages = iter(self._messages(keys))
        start_s = time.monotonic()
        while batch := list(islice(messages, BATCH)):
            self._redis.lpush(self._queue, *batch)
        return dict.fromkeys(keys, start_s)

    def paced(self, keys: Sequence[str], *, rate_per_s: float) -> dict[str, float]:
        """Sends on schedule; every request counts from the moment it was *due*, sent late or not.

        So a stall is charged to each request it held up, and none is left out (coordinated
        omission). The schedule never waits for an answer.
        """
        messages = self._messages(keys)
        start_s = time.monotonic() + 0.1
        due = {key: start_s + i / rate_per_s for i, key in enumerate(keys)}
        for due_s, message in zip(due.values(), messages, strict=True):
            time.sleep(max(0.0, due_s - time.monotonic()))
            self._redis.lpush(self._queue, message)
        return due

    def _messages(self, keys: Sequence[str]) -> list[str]:
        with self._celery.connection_for_write() as connection:
            channel = connection.default_channel
            messages = []
            for key in keys:
                self._celery.send_task(self._task, kwargs=request(key), queue=self._queue)
                messages.append(json.dumps(channel._get(self._queue)))  # noqa: SLF001 - as it lies in Redis
            return messages


def request(key: str) -> dict[str, object]:
    """A charge as a shop would ask for it; the key finds its webhook again."""
    return {
        "amount": 1999,
        "currency": "USD",
        "customer_id": "cus_bench",
        "payment_method_id": "pm_card_visa",
        "idempotency_key": key,
        "description": "One benchmark, medium",
        "metadata": {"shop": "bench"},
        "producer": "bench",
    }
