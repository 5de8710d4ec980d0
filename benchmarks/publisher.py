"""The producer: puts charge requests in front of a contender, all at once or by the clock.

What it sends is made *before* the clock starts, in the very bytes that each contender's own client
would send. Through such a client each message costs its producer up to a millisecond, which would
measure the producer.
"""

import base64
import json
import time
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any
from uuid import uuid4

import amqp
import redis
from celery import Celery
from kombu.utils.url import url_to_parts

START_MAX_S = 30.0
BATCH = 100  # messages per round trip: a burst of 2,000 is in the queue within 50 ms


class Publisher(ABC):
    """Made for one run of one contender; sends requests under the keys that it is given."""

    def burst(self, keys: Sequence[str]) -> dict[str, float]:
        """Sends all as fast as the broker takes them; every request counts from the first push."""
        messages = self.messages(keys)
        start_s = time.monotonic()
        for at in range(0, len(messages), BATCH):
            self.send(messages[at : at + BATCH])
        return dict.fromkeys(keys, start_s)

    def paced(self, keys: Sequence[str], *, rate_per_s: float) -> dict[str, float]:
        """Sends on schedule; every request counts from the moment it was *due*, sent late or not.

        So a stall is charged to each request it held up, and none is left out (coordinated
        omission). The schedule never waits for a webhook.
        """
        messages = self.messages(keys)
        start_s = time.monotonic() + 0.1
        due = {key: start_s + i / rate_per_s for i, key in enumerate(keys)}
        for due_s, message in zip(due.values(), messages, strict=True):
            time.sleep(max(0.0, due_s - time.monotonic()))
            self.send([message])
        return due

    @abstractmethod
    def close(self) -> None:
        """Lets go of the connection."""

    @abstractmethod
    def messages(self, keys: Sequence[str]) -> list[Any]:
        """A message for each key, as `send` takes it."""

    @abstractmethod
    def send(self, messages: Sequence[Any]) -> None: ...


class ListPublisher(Publisher):
    """Plain JSON into a list of Redis."""

    def __init__(self, broker_url: str, *, queue: str) -> None:
        self._redis = redis.Redis.from_url(broker_url)
        self._queue = queue

    def messages(self, keys: Sequence[str]) -> list[Any]:
        return [json.dumps(request(key)) for key in keys]

    def send(self, messages: Sequence[Any]) -> None:
        self._redis.lpush(self._queue, *messages)

    def close(self) -> None:
        self._redis.close()


class CeleryPublisher(ListPublisher):
    """The bytes that `send_task` of stock Celery puts into a list of Redis."""

    def __init__(self, broker_url: str, *, queue: str, task: str) -> None:
        super().__init__(broker_url, queue=queue)
        self._task = task

    def messages(self, keys: Sequence[str]) -> list[Any]:
        return [json.dumps(message) for message in _celery_messages(self._task, self._queue, keys)]


class RabbitPublisher(Publisher):
    """The same messages into a queue of RabbitMQ, which is there already."""

    def __init__(self, broker_url: str, *, queue: str, task: str) -> None:
        parts = url_to_parts(broker_url)
        self._connection = amqp.Connection(
            f"{parts.hostname}:{parts.port}",
            userid=parts.username,
            password=parts.password,
            virtual_host=parts.path,
        )
        self._connection.connect()
        self._queue, self._task = queue, task
        self._channel = self._declared()

    def _declared(self) -> amqp.Channel:
        """A channel, once the consumer has declared its queue: what is sent before is lost."""
        deadline_s = time.monotonic() + START_MAX_S
        while True:
            channel = self._connection.channel()
            try:
                channel.queue_declare(self._queue, passive=True)
            except amqp.NotFound:
                if time.monotonic() > deadline_s:
                    raise
                time.sleep(0.1)
            else:
                return channel

    def messages(self, keys: Sequence[str]) -> list[Any]:
        return [
            amqp.Message(
                _text(message),
                content_type=message["content-type"],
                content_encoding=message["content-encoding"],
                application_headers=message["headers"],
                correlation_id=message["properties"]["correlation_id"],
                delivery_mode=2,
            )
            for message in _celery_messages(self._task, self._queue, keys)
        ]

    def send(self, messages: Sequence[Any]) -> None:
        for message in messages:
            self._channel.basic_publish(message, exchange="", routing_key=self._queue)

    def close(self) -> None:
        self._connection.close()


class StreamPublisher(Publisher):
    """The bytes that TaskIQ's `kiq` puts into a stream of Redis."""

    def __init__(self, broker_url: str, *, stream: str, task: str) -> None:
        self._redis = redis.Redis.from_url(broker_url)
        self._stream, self._task = stream, task
        self._wait_for_group()

    def _wait_for_group(self) -> None:
        """A worker reads what comes after it has made its group: what is sent before is lost."""
        deadline_s = time.monotonic() + START_MAX_S
        while not (self._redis.exists(self._stream) and self._redis.xinfo_groups(self._stream)):
            if time.monotonic() > deadline_s:
                raise TimeoutError(f"nobody reads the stream {self._stream}")
            time.sleep(0.1)

    def messages(self, keys: Sequence[str]) -> list[Any]:
        return [
            json.dumps(
                {
                    "task_id": uuid4().hex,
                    "task_name": self._task,
                    "labels": {},
                    "labels_types": {},
                    "args": [],
                    "kwargs": request(key),
                }
            )
            for key in keys
        ]

    def send(self, messages: Sequence[Any]) -> None:
        with self._redis.pipeline(transaction=False) as pipe:
            for message in messages:
                pipe.xadd(self._stream, {"data": message})
            pipe.execute()

    def close(self) -> None:
        self._redis.close()


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


def _celery_messages(task: str, queue: str, keys: Sequence[str]) -> list[dict[str, Any]]:
    """What stock Celery makes of them, on its in-memory transport."""
    celery = Celery(broker="memory://", set_as_current=False)
    with celery.connection_for_write() as connection:
        channel = connection.default_channel
        messages = []
        for key in keys:
            celery.send_task(task, kwargs=request(key), queue=queue)
            messages.append(channel._get(queue))  # noqa: SLF001 - as it lies in Redis
        return messages


def _text(message: dict[str, Any]) -> str:
    """The body without the base64 that only Redis needs."""
    assert message["properties"]["body_encoding"] == "base64"
    return base64.b64decode(message["body"]).decode()
