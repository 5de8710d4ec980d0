"""kombu's Redis transport, made safe against items that are no messages.

kombu pops an item from the list and then parses it: what it can't parse is gone, and takes the
worker or its connection along (kombu/transport/redis.py:1476, virtual/base.py:255; kombu#2592).
Here every item is first made readable (worker/envelope.py), and only Redis' own errors are errors
of the connection. `tests/unit/test_transport.py` says when kombu's originals have changed.
"""

import json
from queue import Empty
from time import time
from typing import Any

import kombu.transport
from kombu.transport import redis as kombu_redis
from kombu.utils.encoding import bytes_to_str

from worker import envelope

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


class Channel(kombu_redis.Channel):  # type: ignore[misc]  # kombu has no types here
    QoS = QoS

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
