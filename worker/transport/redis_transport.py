"""kombu's Redis transport, made safe and fast.

kombu pops an item from the list, parses it, and then stores it as unacknowledged, each in its own
round trip. A crash in between loses the item, and an item that it can't parse breaks the worker or
its connection (kombu/transport/redis.py:1476, virtual/base.py:255; kombu#2592).

Here a worker first waits for a list to be non-empty, without taking anything. Then a script takes
as many items as there are free slots and stores them, in one step (worker/fetch.lua): an item is
always in one of the two places. Every item is made readable before kombu sees it
(worker/envelope.py), and one iteration of the event loop acknowledges in one round trip
(worker/transport/unacked.py).

A full Redis refuses commands that need memory, including BLMOVE, and would never be emptied again.
So workers do without what it refuses: they poll now and then instead of waiting.
`tests/unit/test_transport.py` fails when kombu's originals have changed.
"""

import logging
from collections.abc import Callable, Sequence
from queue import Empty
from time import monotonic
from typing import Any

import kombu.transport
from kombu.transport import redis as kombu_redis
from redis import Redis
from redis.exceptions import OutOfMemoryError, ResponseError

from infra.billing import broker_connections
from service.broker.celery_config import PAYMENTS
from worker.transport import list_waits, rabbitmq
from worker.transport.fetching import FETCH, FETCH_MAX, Fetched, take
from worker.transport.purging import refuse_purge
from worker.transport.unacked import QoS

logger = logging.getLogger(__name__)

SCHEMES = {
    "redis": "worker.transport.redis_transport:Transport",
    "rediss": "worker.transport.redis_transport:Transport",
    "sentinel": "worker.transport.redis_transport:SentinelTransport",
}

# How long a worker of several queues waits for one of them before it checks the others.
TURN_S = 0.1
# How often it polls if Redis refuses to wait.
PAUSE_S = 0.25
# A key that is never written, to wait for in vain: Redis never refuses that.
NOTHING = "billing.nothing"
# The errors of a broken broadcast. kombu counts KeyError among errors of the connection, too.
OF_A_BROADCAST = (
    LookupError, TypeError, ValueError, AttributeError, ArithmeticError, RecursionError
)  # fmt: skip


# The reply queues of remote control (by kombu's name). kombu lets RabbitMQ drop them after ten
# seconds without a reader; Redis would keep them for ever.
REPLIES = ".reply.celery.pidbox"
REPLIES_KEPT_S = 60


def register() -> None:
    """Make the URLs of all our brokers use our transports, in this process.

    By the table of names and not by `broker_transport`, so that URLs keep their scheme: Flower
    reads it, and kombu decides by it whether to use TLS.
    """
    for scheme, transport in SCHEMES.items():
        kombu.transport.TRANSPORT_ALIASES[scheme] = transport
        kombu.transport._transport_cache.pop(scheme, None)  # noqa: SLF001  # no other way
    rabbitmq.register()


class Client(Redis):
    """A client whose pipelines are not transactions by default: a full Redis refuses every command
    between MULTI and EXEC, even those that would free memory."""

    def pipeline(self, transaction: bool = False, shard_hint: str | None = None) -> Any:
        return super().pipeline(transaction, shard_hint)


class Channel(kombu_redis.Channel):  # type: ignore[misc]  # kombu has no types here
    QoS = QoS
    # Gets what was fetched from a queue, before kombu makes messages of it, and returns what is
    # left for kombu. The rest is its own, to acknowledge or return by tag.
    takes: Callable[[str, Sequence[Fetched]], Sequence[Fetched]] | None = None
    _commands: Any = None
    _fetch: Any = None
    # Why Redis refused to wait, the last time; and whether to pause before the next try.
    _refused: str | None = None
    _pauses = False

    def _get_client(self) -> type[Client]:
        super()._get_client()  # it checks the version
        return Client

    def _create_client(self, asynchronous: bool = False) -> Any:
        """Like kombu's, but there is one client for commands: kombu creates one per command."""
        if asynchronous:
            return super()._create_client(asynchronous=True)
        if self._commands is None:
            self._commands = super()._create_client()
            self._fetch = self._commands.register_script(FETCH)
        return self._commands

    def _put(self, queue: str, message: Any, **options: Any) -> None:
        super()._put(queue, message, **options)
        if queue.endswith(REPLIES):
            # The asker may have gone in the meantime, and its queue with it: this created it again.
            self.client.expire(queue, REPLIES_KEPT_S)

    def _purge(self, queue: str) -> int:
        refuse_purge(queue)
        return int(super()._purge(queue))

    def _disconnect_pools(self) -> None:
        self._commands = self._fetch = None
        super()._disconnect_pools()

    def _brpop_start(self, timeout: float | None = None) -> None:
        """Wait for a queue by moving its next item onto its own place: nothing is taken.

        Redis can't wait for several lists without taking, so a worker of several queues waits for
        each in turn, and checks the others in between.
        """
        queues = list(self._queue_cycle.consume(len(self.active_queues)))
        if not queues:
            return
        queue, *others = queues
        key = self._q_for_pri(queue, 0)
        self._in_poll = self.client.connection
        self._brpop_sent_at = monotonic()
        wait_s = TURN_S if others else timeout or self.brpop_timeout or 0
        wait = ["BLMOVE", key, key, "RIGHT", "RIGHT", wait_s]
        if self._pauses:
            wait = ["BRPOP", NOTHING, PAUSE_S]
        # Also the other queues, and messages with a priority, which have their own lists.
        list_waits.begin(self.client, wait, [name for one in queues for name in self._lists(one)])

    def _brpop_read(self, **options: Any) -> bool:
        """Deliver what has come, as many messages as there are free slots."""
        try:
            try:
                is_anything, refused = list_waits.end(self.client, "BLMOVE", **options)
            except self.connection_errors:
                self.client.connection.disconnect()  # the next tick connects again
                raise
            if refused is not None:
                self._on_refused(refused)
            else:
                if not self._pauses:
                    self._refused = None
                self._pauses = False
            if self._closing:
                raise Empty
            queues = list(self._queue_cycle.consume(len(self.active_queues)))
            if queues:
                self._queue_cycle.rotate(queues[0])  # the next in turn has the first pick
            found = [self._hand_out(queue) for queue in queues] if is_anything else []
            if not any(found):
                raise Empty
            self._pauses = False
            return True
        finally:
            self._in_poll = None
            self._flush_brpop_reauth()

    def _on_refused(self, error: ResponseError) -> None:
        """Redis is full, or a key is not a list: read the queues all the same, and then pause.
        Raises other errors, such as being a replica: this connection is of no use then."""
        if not is_full(error) and "WRONGTYPE" not in str(error):
            raise error
        self._pauses = True
        if self._refused != (said := str(error)):
            self._refused = said
            logger.warning("Redis refuses waiting workers, which look by themselves now: %s", said)

    def _hand_out(self, queue: str) -> int:
        left = fetched = self._fetched(queue)
        if fetched and self.takes is not None:
            # Counted from now on in any case: what isn't counted would never be returned.
            self.qos.hold([one.tag for one in fetched])
            left = self.takes(queue, fetched)
        for one in left:
            self.connection._deliver(one.letter(queue), queue)  # noqa: SLF001  # as kombu's does
        return len(fetched)

    def _fetched(self, queue: str) -> Sequence[Fetched]:
        room = self.qos.can_consume_max_estimate()
        count = FETCH_MAX if room is None else min(room, FETCH_MAX)
        if count <= 0:
            return []
        self._create_client()
        return take(self._fetch, self.qos, queue, self._lists(queue), count)

    def _lists(self, queue: str) -> list[str]:
        return [self._q_for_pri(queue, priority) for priority in self.priority_steps]

    def message_of(self, queue: str, letter: Any) -> Any:
        """A letter that `takes` took, as a kombu message after all."""
        if not isinstance(letter, Fetched):
            return letter
        message = self.Message(letter.letter(queue), channel=self)
        self.qos.append(message, letter.tag)
        return message

    def acknowledge(self, tags: Sequence[str]) -> None:
        """Acknowledge what `takes` took."""
        if not self.is_gone():
            self.qos.ack_all(tags)

    def queue_of_strays(self) -> str:
        """The queue for a message that doesn't say where it was: a worker examines it."""
        return next(iter(self.active_queues), PAYMENTS)

    def _restore(self, message: Any, leftmost: bool = False) -> None:
        self.qos.restore_by_tag(message.delivery_tag, leftmost=leftmost)

    def _receive_one(self, c: Any) -> bool:
        """Like kombu's, which a malformed broadcast would end, and the worker with it."""
        try:
            return bool(super()._receive_one(c))
        except OF_A_BROADCAST as error:
            logger.warning("a broadcast was broken and is dropped: %s", type(error).__name__)
            raise Empty from None

    def _queue_bind(self, *args: Any, **options: Any) -> None:
        """Like kombu's, but a full Redis, which refuses an entry in its table, stops no worker.

        Tasks go to queues by name, and broadcasts to all listeners: neither needs the table.
        """
        try:
            super()._queue_bind(*args, **options)
        except ResponseError as error:
            if not is_full(error):
                raise
            logger.info("Redis is full: a queue is used without its entry in kombu's table")

    def maybe_refresh_binding_expiry(self) -> None:
        """Like kombu's, which logs a traceback each second while Redis is full."""
        try:
            super().maybe_refresh_binding_expiry()
        except ResponseError as error:
            if not is_full(error):
                raise
            self._binding_expiry_refreshed_at = monotonic()

    def basic_ack(self, delivery_tag: str, multiple: bool = False) -> None:
        if not self.is_gone():
            super().basic_ack(delivery_tag, multiple)

    def basic_reject(self, delivery_tag: str, requeue: bool = False) -> None:
        if not self.is_gone():
            super().basic_reject(delivery_tag, requeue)

    def is_gone(self) -> bool:
        """Whether the connection was lost, perhaps while a task ran that now settles its message.

        kombu has closed its parts by then, and raises an AttributeError that ends the worker. The
        message was returned when the channel was closed, or will be by its timeout: it comes again,
        and is found done.
        """
        return getattr(self.connection, "client", None) is None


def is_full(error: ResponseError) -> bool:
    """Whether Redis says that it has no memory left; scripts before version 7 do so differently."""
    return isinstance(error, OutOfMemoryError) or "OOM " in str(error)


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
                return  # the loop notices by itself


class SentinelChannel(Channel, broker_connections.SentinelChannel):
    """A channel to the Redis that Sentinels name at each connect."""


class SentinelTransport(Transport):
    """sentinel://: every connection asks the Sentinels where the primary is."""

    Channel = SentinelChannel
    default_port = kombu_redis.SentinelTransport.default_port
