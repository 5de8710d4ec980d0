"""The golden messages of tests/contract/vectors: what producers of all languages really send."""

import base64
import json
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import amqp
import redis
from kombu import Connection
from kombu.transport import pyamqp

from worker import envelope

VECTORS = Path(__file__).parents[1] / "contract" / "vectors"
MESSAGES = VECTORS / "messages"
QUEUE = "payments"


@dataclass(frozen=True)
class Vector:
    """A message, byte for byte, and what must become of it.

    `expected` has `task`, `id`, `kwargs` and `object_id`; or `late` with the same, for one that was
    wanted until a moment that has passed; or `rejected`, for a request that is refused; or
    `quarantined`, for what is no request.
    """

    broker: str
    name: str
    expected: dict[str, Any]

    def message(self) -> Any:
        """The message as kombu hands it to a worker."""
        if self.broker == "redis":
            letter = envelope.unwrap(self.item(), QUEUE, tag="t")
            return Connection("memory://").channel().message_to_python(letter)
        message = self._amqp_message()
        message.delivery_info = {"delivery_tag": 1, "exchange": "", "routing_key": QUEUE}
        return pyamqp.Message(message, channel=SimpleNamespace(no_ack_consumers=None))

    def send(self, broker_url: str) -> None:
        """Send it as its producer does."""
        if self.broker == "redis":
            with redis.Redis.from_url(broker_url) as client:
                client.lpush(QUEUE, self.item())
            return
        with Connection(broker_url) as connection:
            channel = connection.default_channel
            channel.basic_publish(self._amqp_message(), exchange="", routing_key=QUEUE)

    def item(self) -> bytes:
        return (MESSAGES / "redis" / f"{self.name}.item").read_bytes()

    def _amqp_message(self) -> Any:
        stored = json.loads((MESSAGES / "amqp" / f"{self.name}.json").read_text())
        properties = dict(stored["properties"])
        if stored["headers"] is not None:
            properties["application_headers"] = stored["headers"]
        return amqp.Message(base64.b64decode(stored["body"]), **properties)


def _vectors() -> list[Vector]:
    expected = json.loads((MESSAGES / "expected.json").read_text())
    return [Vector(*path.split("/"), expected=what) for path, what in expected.items()]


ALL = _vectors()


def of(broker: str) -> list[Vector]:
    """Those that come by this broker."""
    return [vector for vector in ALL if vector.broker == broker]
