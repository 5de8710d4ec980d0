"""kombu's Redis transport, made safe against items that are no messages.

kombu pops an item from the list and then parses it: what it can't parse is gone, and takes the
worker or its connection along (kombu/transport/redis.py:1476, virtual/base.py:255; kombu#2592).
Here every item is first made readable (worker/envelope.py), and only Redis' own errors are errors
of the connection. `tests/unit/test_transport.py` says when kombu's originals have changed.
"""

import json
import logging
from queue import Empty
from time import time
from typing import Any

import kombu.transport
from kombu.transport import redis as kombu_redis
from kombu.utils.encoding import bytes_to_str

from worker import envelope

logger = logging.getLogger(__name__)

SCHEMES = ("redis", "rediss")


def register() -> None:
    """Make redis:// and rediss:// mean this transport, in this process.

    By the table of names and not by `broker_transport`, so that URLs keep their scheme: Flower
    reads it, and kombu decides by it whether to use TLS.
    """
    for scheme in SCHEMES:
        kombu.transport.TRANSPORT_ALIASES[scheme] = "worker.transport:Transport"
        kombu.transport._transport_cache.pop(scheme, None)  # noqa: SLF001  # no other way


class QoS(kombu_redis.QoS):  # type: ignore[misc]  # kombu has no types here
    """The messages that are fetched and not yet acknowledged."""

    def append(self, message: Any, delivery_tag: str) -> None:
        """As kombu's, but keeps the item as it came instead of encoding it a second time."""
        item = message._raw.text  # noqa: SLF001  # the Letter it was made from
        queue = json.dumps(message.delivery_info["routing_key"])
        with self.pipe_or_acquire() as pipe:
            pipe.zadd(self.unacked_index_key, {delivery_tag: time()})
            pipe.hset(self.unacked_key, delivery_tag, f'[{item},"",{queue}]')
            pipe.execute()
        super(kombu_redis.QoS, self).append(message, delivery_tag)

    def restore_unacked_once(self, stderr: Any = None) -> None:
        """As kombu's, which raises if the connection is lost, and so ends the worker."""
        try:
            super().restore_unacked_once(stderr)
        except Exception as error:  # noqa: BLE001  # an AttributeError, of parts already gone
            logger.info(
                "%d messages were not given back (%s): they come again after their timeout",
                len(self._delivered),
                type(error).__name__,
            )
            self._delivered.clear()

    def renew(self) -> None:
        """Start the visibility timeout of everything we hold anew.

        So a message comes again soon after its worker died, and not while the worker lives. Those
        that were handed to somebody else meanwhile are left to them (XX).
        """
        held = [tag for tag in list(self._delivered) if tag not in self._dirty]
        if held:
            with self.channel.conn_or_acquire() as client:
                client.zadd(self.unacked_index_key, dict.fromkeys(held, time()), xx=True)


class Channel(kombu_redis.Channel):  # type: ignore[misc]  # kombu has no types here
    QoS = QoS

    def basic_ack(self, delivery_tag: str, multiple: bool = False) -> None:
        if not self._is_gone("acknowledged"):
            super().basic_ack(delivery_tag, multiple)

    def basic_reject(self, delivery_tag: str, requeue: bool = False) -> None:
        if not self._is_gone("rejected"):
            super().basic_reject(delivery_tag, requeue)

    def _is_gone(self, what: str) -> bool:
        """Whether the connection was lost while a task ran that now settles its message.

        kombu then stumbles over what it has taken apart, with an AttributeError that ends the
        worker. The message was given back when the channel was closed, or will be by its timeout:
        it comes again, and is found done.
        """
        gone = self.closed or self.connection is None or self.connection.client is None
        if gone:
            logger.info("a message was %s after its connection was lost: it comes again", what)
        return gone

    def _brpop_read(self, **options: Any) -> bool:
        """As kombu's, with `envelope.unwrap` for `loads`."""
        try:
            try:
                answer = self.client.parse_response(self.client.connection, "BRPOP", **options)
            except self.connection_errors:
                self.client.connection.disconnect()  # the next tick connects again
                raise
            if not answer:
                raise Empty
            key, item = answer
            queue = bytes_to_str(key).rsplit(self.sep, 1)[0]
            self._queue_cycle.rotate(queue)
            self.connection._deliver(  # noqa: SLF001  # as kombu's does
                envelope.unwrap(item, queue), queue
            )
            return True
        finally:
            self._in_poll = None
            self._flush_brpop_reauth()


class Transport(kombu_redis.Transport):  # type: ignore[misc]  # kombu has no types here
    Channel = Channel

    def register_with_event_loop(self, connection: Any, loop: Any) -> None:
        super().register_with_event_loop(connection, loop)
        timeout_s = connection.client.transport_options.get(
            "visibility_timeout", Channel.visibility_timeout
        )
        # Celery cancels this when the connection is lost (celery/worker/loops.py:135).
        loop.call_repeatedly(timeout_s / 4, self._renew)

    def _renew(self) -> None:
        for channel in list(self.channels):
            try:
                if channel._qos is not None:  # noqa: SLF001  # `qos` would make one
                    channel.qos.renew()
            except channel.connection_errors:
                return  # the loop finds out by itself
