"""kombu's Redis transport, made safe and quick.

kombu pops an item from the list, parses it, and then stores it as unacknowledged, each in a round
trip of its own. What dies in between loses the item, and what it can't parse takes the worker or
its connection along (kombu/transport/redis.py:1476, virtual/base.py:255; kombu#2592).

Here a worker first waits for a list to be non-empty, without taking anything. Then a script takes
as many items as there are free slots and stores them, in one step (worker/fetch.lua): nothing is
ever in neither place. Every item is made readable before kombu sees it (worker/envelope.py), and
acknowledgements of one turn of the event loop are one round trip.
`tests/unit/test_transport.py` says when kombu's originals have changed.
"""

import json
import logging
from collections.abc import Iterator
from importlib.resources import files
from queue import Empty
from time import monotonic, time
from typing import Any

import kombu.transport
from kombu.asynchronous import get_event_loop
from kombu.transport import redis as kombu_redis
from kombu.utils.uuid import uuid

from worker import envelope

logger = logging.getLogger(__name__)

SCHEMES = ("redis", "rediss")

# One script blocks Redis for so many items: some milliseconds.
FETCH_MAX = 64
# How long a worker of several queues waits for one of them before it looks into the others.
TURN_S = 0.1
FETCH = files("worker").joinpath("fetch.lua").read_text()


# The queues of answers to whoever asks the workers something (kombu's name for them). kombu lets
# RabbitMQ drop them after ten seconds without a reader; Redis would keep them for ever.
REPLIES = ".reply.celery.pidbox"
REPLIES_KEPT_S = 60


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

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._acknowledged: list[str] = []

    def append(self, message: Any, delivery_tag: str) -> None:
        """As kombu's, without storing it: `Channel.fetch` has done that."""
        super(kombu_redis.QoS, self).append(message, delivery_tag)

    def ack(self, delivery_tag: str) -> None:
        """As kombu's, but Redis is told once for all of one turn of the event loop.

        What a crash leaves untold comes again, and finds its row as it is.
        """
        super(kombu_redis.QoS, self).ack(delivery_tag)
        self._acknowledged.append(delivery_tag)
        loop = get_event_loop()
        if loop is None:
            self.tell()
        else:
            # A tick comes after all callbacks of a turn and before the loop sleeps; `call_soon`
            # would come after the sleep (kombu/asynchronous/hub.py:391).
            loop.on_tick.add(self.tell)

    def tell(self) -> None:
        """Tell Redis what is acknowledged; what can't be told now is told with the next."""
        loop = get_event_loop()
        if loop is not None:
            loop.on_tick.discard(self.tell)
        tags, self._acknowledged = self._acknowledged, []
        if not tags or self.channel.is_gone():
            return
        try:
            with self.pipe_or_acquire() as pipe:
                pipe.zrem(self.unacked_index_key, *tags).hdel(self.unacked_key, *tags).execute()
        except self.channel.connection_errors as error:
            self._acknowledged = tags + self._acknowledged
            logger.info("%d acknowledgements wait: %s", len(tags), type(error).__name__)

    def restore_unacked_once(self, stderr: Any = None) -> None:
        """As kombu's, which raises if the connection is lost, and so ends the worker."""
        try:
            self.tell()
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

    def replace(self, letter: envelope.Letter, queue: str) -> None:
        """Store a letter in place of the item it was made from."""
        stored = f'[{letter.text},"",{json.dumps(queue)}]'
        with self.channel.conn_or_acquire() as client:
            client.hset(self.unacked_key, letter["properties"]["delivery_tag"], stored)


class Channel(kombu_redis.Channel):  # type: ignore[misc]  # kombu has no types here
    QoS = QoS
    _commands: Any = None
    _fetch: Any = None

    def _create_client(self, asynchronous: bool = False) -> Any:
        """As kombu's, but the client for commands is made once: kombu makes one per command."""
        if asynchronous:
            return super()._create_client(asynchronous=True)
        if self._commands is None:
            self._commands = super()._create_client()
            self._fetch = self._commands.register_script(FETCH)
        return self._commands

    def _put(self, queue: str, message: Any, **options: Any) -> None:
        super()._put(queue, message, **options)
        if queue.endswith(REPLIES):
            # Whoever asked may have gone meanwhile, and its queue with it: this made it anew.
            self.client.expire(queue, REPLIES_KEPT_S)

    def _disconnect_pools(self) -> None:
        self._commands = self._fetch = None
        super()._disconnect_pools()

    def _brpop_start(self, timeout: float | None = None) -> None:
        """Wait for a queue by moving its next item onto its own place: nothing is taken.

        Redis has no command that waits for several lists without taking, so a worker of several
        queues waits for each in turn, and looks into the others in between.
        """
        queues = list(self._queue_cycle.consume(len(self.active_queues)))
        if not queues:
            return
        queue, *others = queues
        key = self._q_for_pri(queue, 0)
        self._in_poll = connection = self.client.connection
        self._brpop_sent_at = monotonic()
        wait_s = TURN_S if others else timeout or self.brpop_timeout or 0
        connection.send_command("BLMOVE", key, key, "RIGHT", "RIGHT", wait_s)

    def _brpop_read(self, **options: Any) -> bool:
        """Hand out what has come, as many messages as there are free slots."""
        try:
            try:
                self.client.parse_response(self.client.connection, "BLMOVE", **options)
            except self.connection_errors:
                self.client.connection.disconnect()  # the next tick connects again
                raise
            if self._closing:
                raise Empty
            # Also when the wait was in vain: messages with a priority are in lists of their own.
            queues = list(self._queue_cycle.consume(len(self.active_queues)))
            found = [self._hand_out(queue) for queue in queues]
            if queues:
                self._queue_cycle.rotate(queues[0])  # the next in turn has the first pick
            if not any(found):
                raise Empty
            return True
        finally:
            self._in_poll = None
            self._flush_brpop_reauth()

    def _hand_out(self, queue: str) -> int:
        letters = list(self._fetched(queue))
        for letter in letters:
            self.connection._deliver(letter, queue)  # noqa: SLF001  # as kombu's does
        return len(letters)

    def _fetched(self, queue: str) -> Iterator[envelope.Letter]:
        room = self.qos.can_consume_max_estimate()
        count = FETCH_MAX if room is None else min(room, FETCH_MAX)
        if count <= 0:
            return
        self._create_client()
        prefix, qos = f"{uuid()}.", self.qos
        items = self._fetch(
            keys=[
                qos.unacked_index_key,
                qos.unacked_key,
                *(self._q_for_pri(queue, priority) for priority in self.priority_steps),
            ],
            args=[count, prefix, time(), json.dumps(queue)],
        )
        for number, item in enumerate(items, start=1):
            letter = envelope.unwrap(item, queue, tag=f"{prefix}{number}")
            if letter.text != item.decode(errors="replace"):
                qos.replace(letter, queue)
            yield letter

    def _do_restore_message(self, payload: Any, *args: Any, **options: Any) -> None:
        """As kombu's, which loses an item whose headers or delivery_info are no objects."""
        super()._do_restore_message(envelope.restorable(payload), *args, **options)

    def basic_ack(self, delivery_tag: str, multiple: bool = False) -> None:
        if not self.is_gone():
            super().basic_ack(delivery_tag, multiple)

    def basic_reject(self, delivery_tag: str, requeue: bool = False) -> None:
        if not self.is_gone():
            super().basic_reject(delivery_tag, requeue)

    def is_gone(self) -> bool:
        """Whether the connection was lost, perhaps while a task ran that now settles its message.

        kombu then stumbles over what it has taken apart, with an AttributeError that ends the
        worker. The message was given back when the channel was closed, or will be by its timeout:
        it comes again, and is found done.
        """
        return getattr(self.connection, "client", None) is None


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
