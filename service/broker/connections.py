"""Connections to the broker for asking it something: every wait on them has a limit.

A broker, or a proxy in front of it, may accept connections and acknowledge bytes, and then stay
silent. Neither TCP nor kombu ever gives up on it.
"""

import contextlib
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from celery import Celery

from infra.billing.brokers import Broker

# How long a broker may take for one answer. It answers at once, or something is wrong with it.
ANSWER_S = 2.0
# How long closing may take: the peer may not be there to answer.
CLOSE_S = 1.0


def broker(app: Celery) -> Broker:
    """The broker that the app is configured for."""
    conf = app.conf
    return Broker.of(conf.broker_url, conf.broker_transport_options, conf.broker_use_ssl or None)


def limits(app: Celery, timeout_s: float = ANSWER_S) -> dict[str, Any]:
    """Transport options that limit every wait for an answer to `timeout_s`."""
    return broker(app).with_limits(timeout_s=timeout_s)


@contextmanager
def link(app: Celery) -> Iterator[Any]:
    """A new kombu connection: a pooled one may be broken, and would be waited for."""
    connection = app.connection_for_write(transport_options=limits(app))
    try:
        connect(app, connection)
        yield connection
    finally:
        drop(connection)


def connect(app: Celery, connection: Any) -> None:
    """Try each address of the broker, the first of them twice. Raises what kombu raises."""
    ways = len(broker(app).ways)
    connection.ensure_connection(
        max_retries=ways, interval_start=0, interval_step=0, timeout=ANSWER_S * ways
    )


def drop(connection: Any) -> None:
    """Close without a handshake: the peer may be gone, and a handshake would wait for it."""
    with contextlib.suppress(Exception):
        connection.collect(socket_timeout=CLOSE_S)


class Gauge:
    """How many messages wait in queues, read over one connection that is kept while it works."""

    def __init__(self, app: Celery) -> None:
        self._app = app
        self._lock = threading.Lock()
        self._link: Any = None
        self._channel: Any = None

    def depth(self, *queues: str) -> int:
        """Messages in these queues together; a missing queue counts as empty. Raises any error if
        the broker does not answer in time."""
        with self._lock:
            try:
                if self._link is None:
                    self._link = self._app.connection_for_write(transport_options=limits(self._app))
                # A broken connection stays broken by itself.
                connect(self._app, self._link)
                return sum(self._depth(queue) for queue in queues)
            except BaseException:
                self._let_go()
                raise

    def close(self) -> None:
        with self._lock:
            self._let_go()

    def _let_go(self) -> None:
        link, self._link, self._channel = self._link, None, None
        if link is not None:
            drop(link)

    def _depth(self, queue: str) -> int:
        if self._channel is None:
            # Kept: one to Redis is two connections, with a password check on each. RabbitMQ closes
            # a channel on which a check failed, and amqp opens it again.
            self._channel = self._link.channel()
        try:
            return int(self._channel.queue_declare(queue=queue, passive=True).message_count)
        except self._link.channel_errors:
            return 0  # Redis has no list for an empty queue
