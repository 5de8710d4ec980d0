"""A producer in another service: it knows a broker, a queue's name, and nothing else of ours."""

import uuid
from collections.abc import Mapping
from types import TracebackType
from typing import Any, Self

import kombu

from infra.billing import brokers
from service.broker.celery_config import dead_letters, queues


class Producer:
    """Sends protocol 2 messages with the three headers that are needed, and a plain body."""

    def __init__(self, broker_url: str) -> None:
        broker = brokers.parse(broker_url)
        options = {**broker.options, **({} if broker.is_redis else {"confirm_publish": True})}
        self._connection = kombu.Connection(broker.url, transport_options=options)
        self._producer = self._connection.Producer(serializer="json")

    def declare(self) -> None:
        """The queues of RabbitMQ, which workers make at their start and producers never do."""
        if self._connection.transport.driver_type == "amqp":
            for queue in (*queues(rabbitmq=True), dead_letters()):
                queue(self._connection.default_channel).declare()

    def send(
        self,
        task: str,
        /,
        *,
        task_id: str | None = None,
        headers: Mapping[str, Any] | None = None,
        embed: Mapping[str, Any] | None = None,
        expiration_s: float | None = None,
        **fields: Any,
    ) -> str:
        """Send one message, perhaps with more headers, callbacks (`embed`), and an end of which
        RabbitMQ knows; returns its task id."""
        task_id = task_id or str(uuid.uuid4())
        self._producer.publish(
            [[], fields, dict(embed or {})],
            expiration=expiration_s,
            exchange="",
            routing_key="payments",
            headers={"lang": "go", "task": task, "id": task_id, **(headers or {})},
            delivery_mode=2,
            retry=True,
            retry_policy={"max_retries": 40, "interval_start": 0.1, "interval_max": 0.5},
        )
        return task_id

    def send_raw(self, body: bytes, **properties: Any) -> None:
        """Send bytes that may be anything."""
        self._producer.publish(
            body,
            exchange="",
            routing_key="payments",
            content_type="application/json",
            content_encoding="utf-8",
            **properties,
        )

    def close(self) -> None:
        self._connection.release()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()
