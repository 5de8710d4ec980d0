"""The broker as a way to the service: one message per request, with the broker's word for it.

Redis answers the push; RabbitMQ confirms that the message is in its queue, and says so when there
is no such queue. A message may still be lost after that when Redis loses its memory: whoever needs
certainty repeats the call under the same key until a webhook tells of it.
"""

import os
import queue
import ssl
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any, NoReturn
from urllib.parse import parse_qs, urlsplit
from weakref import WeakSet

from amqp.exceptions import AMQPError, MessageNacked
from kombu import Connection, Producer
from kombu.exceptions import KombuError
from redis.exceptions import RedisError

from infra.billing.errors import ReadingNeedsHttp, Unavailable
from infra.billing.ids import Kind, id_from_key
from infra.billing.message import QUEUE, Message, message
from infra.billing.pending import pending

# Threads that send at the same time. A send takes a millisecond, so few links serve many threads,
# and a thousand threads don't become a thousand connections of the broker.
LINKS_MAX = 8

NO_ROUTE = 312  # AMQP's code for a message that no queue takes.
ERRORS = (OSError, KombuError, RedisError, AMQPError, MessageNacked)


class Link:
    """One connection with a channel on it; used by one thread at a time."""

    def __init__(self, url: str, *, timeout_s: float) -> None:
        """Connect. Raises what the broker's client raises, within about `timeout_s`."""
        self._connection = Connection(url, **_options(url, timeout_s=timeout_s))
        # One try: kombu would otherwise sleep for two seconds and try again.
        self._connection.ensure_connection(max_retries=0)
        self._producer = Producer(self._connection.channel(), auto_declare=False)

    def send(self, one: Message, *, timeout_s: float) -> None:
        """Publish, and wait for the broker's word."""
        self._producer.publish(
            one.body,
            # To the queue by its name, past exchanges and bindings: those of Redis are kept in
            # Redis, and a publish that finds none vanishes without an error.
            exchange="",
            routing_key=QUEUE,
            headers=one.headers,
            content_type="application/json",
            content_encoding="utf-8",
            delivery_mode=2,
            mandatory=True,
            confirm_timeout=timeout_s,
            correlation_id=one.id,
            reply_to="",
        )

    def drop(self) -> None:
        """Close without ceremony: the other end may be gone, and a goodbye would wait for it."""
        with suppress(Exception):
            self._connection.collect()


class Broker:
    """A `Transport` over redis://, rediss://, amqp:// or amqps://."""

    def __init__(self, url: str, *, timeout_s: float, producer: str) -> None:
        self._url = url
        self._timeout_s = timeout_s
        self._producer = producer
        self._begin()
        _brokers.add(self)

    def create(self, kind: Kind, fields: Mapping[str, Any]) -> dict[str, Any]:
        """Send the request; answers with the pending object. Raises Unavailable."""
        key = fields["idempotency_key"]
        try:
            self._send(message(kind, {**fields, "producer": self._producer}))
        except Unavailable as unavailable:
            unavailable.idempotency_key = key
            raise
        return pending(kind, id_from_key(kind, producer=self._producer, key=key), fields)

    def get(self, kind: Kind, id_: str, *, wait_s: float | None = None) -> NoReturn:
        raise ReadingNeedsHttp(param="url")

    def list(self, kind: Kind, filters: Mapping[str, Any]) -> NoReturn:
        raise ReadingNeedsHttp(param="url")

    def close(self) -> None:
        """Let go of all links that nobody uses now."""
        with suppress(queue.Empty):
            while True:
                self._idle.get_nowait().drop()

    def after_fork(self) -> None:
        """In the child: leave the parent's links alone, they are its conversations.

        They are kept, for to forget one would be to shut down the socket that both share.
        """
        _of_parents.append(self._idle)
        self._begin()

    def _begin(self) -> None:
        self._idle: queue.LifoQueue[Link] = queue.LifoQueue()
        self._places = threading.BoundedSemaphore(LINKS_MAX)

    def _send(self, one: Message) -> None:
        ends_at = time.monotonic() + self._timeout_s
        with self._place():
            link = self._take()
            if link is not None and self._try(link, one, ends_at, is_last=False):
                return
            # A link that was kept may have died meanwhile. Sending again is safe whatever became
            # of the first try: the key is the same.
            self._try(self._connect(ends_at), one, ends_at, is_last=True)

    def _try(self, link: Link, one: Message, ends_at: float, *, is_last: bool) -> bool:
        try:
            link.send(one, timeout_s=_left(ends_at))
        except ERRORS as error:
            link.drop()
            if is_last or time.monotonic() >= ends_at:
                raise self._unavailable(error) from error
            return False
        except BaseException:
            link.drop()  # Interrupted half way: nobody can tell what was said on it.
            raise
        self._idle.put(link)
        return True

    def _connect(self, ends_at: float) -> Link:
        try:
            # Half of the time for each wait: a link that is dead but not closed costs one half,
            # the new one gets the other.
            return Link(self._url, timeout_s=min(_left(ends_at), self._timeout_s / 2))
        except ERRORS as error:
            raise self._unavailable(error) from error

    def _take(self) -> Link | None:
        try:
            return self._idle.get_nowait()
        except queue.Empty:
            return None

    @contextmanager
    def _place(self) -> Iterator[None]:
        places = self._places
        if not places.acquire(timeout=self._timeout_s):
            raise Unavailable(
                f"{self._where()} did not answer in time; all {LINKS_MAX} links are waiting for it"
            )
        try:
            yield
        finally:
            places.release()

    def _unavailable(self, error: BaseException) -> Unavailable:
        if getattr(error, "reply_code", None) == NO_ROUTE:
            reason = f"it has no queue {QUEUE!r}; start a worker once, which makes it"
        elif isinstance(error, MessageNacked):
            reason = "its queue is full"
        else:
            reason = str(error).strip().rstrip(".") or type(error).__name__
        return Unavailable(f"{self._where()} did not take the request: {reason}")

    def _where(self) -> str:
        parts = urlsplit(self._url)
        return f"the broker {parts.scheme}://{parts.hostname}" + (
            f":{parts.port}" if parts.port else ""
        )


def _options(url: str, *, timeout_s: float) -> dict[str, Any]:
    """Keyword arguments of kombu's Connection: every wait has an end, every certificate counts."""
    parts = urlsplit(url)
    if parts.scheme.startswith("amqp"):
        options: dict[str, Any] = {
            "connect_timeout": timeout_s,
            "transport_options": {
                # Without confirms a rejected message looks like a good one.
                "confirm_publish": True,
                "read_timeout": timeout_s,
                "write_timeout": timeout_s,
            },
        }
        if parts.scheme == "amqps":
            # py-amqp checks no certificate unless told to; None = the url's host name.
            options["ssl"] = {"cert_reqs": ssl.CERT_REQUIRED, "server_hostname": None}
        return options
    options = {
        "transport_options": {
            "socket_timeout": timeout_s,
            "socket_connect_timeout": timeout_s,
            "socket_keepalive": True,
            # We try again ourselves, and know for how long.
            "retry_on_timeout": False,
            "client_name": "infra.billing",
        }
    }
    if parts.scheme == "rediss" and "ssl_cert_reqs" not in parse_qs(parts.query):
        # kombu's default for rediss:// accepts any certificate.
        options["ssl"] = {"ssl_cert_reqs": ssl.CERT_REQUIRED}
    return options


def _left(ends_at: float) -> float:
    return max(0.05, ends_at - time.monotonic())


_brokers: WeakSet[Broker] = WeakSet()
_of_parents: list[object] = []


def _after_fork() -> None:
    for broker in list(_brokers):
        broker.after_fork()


os.register_at_fork(after_in_child=_after_fork)
