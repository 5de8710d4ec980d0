"""A connection to a broker, Redis or RabbitMQ: it sends a batch of messages in one round trip.

One thread uses a connection at a time.
"""

from collections.abc import Sequence
from contextlib import suppress
from functools import partial
from time import monotonic
from typing import Any, NamedTuple, Protocol

from amqp import Message as AmqpMessage
from amqp.exceptions import AMQPError
from kombu import Connection
from kombu.exceptions import KombuError
from kombu.transport import redis as kombu_redis
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError
from redis.exceptions import TimeoutError as RedisTimeoutError
from redis.retry import Retry
from redis.sentinel import MasterNotFoundError

from infra.billing.brokers import SENTINEL, Broker, scrub
from infra.billing.contract.messages.message import Message
from infra.billing.contract.messages.redis_envelope import envelope

TIMEOUT_MIN_S = 0.05
ERRORS = (OSError, KombuError, RedisError, AMQPError)


class Receipt(NamedTuple):
    """The result of a batch. `reasons`, one for each message: None if the broker has it, else why
    not. `error`: what broke the connection, which then can't be used any more."""

    reasons: list[str | None]
    error: BaseException | None = None


class Link(Protocol):
    """One connection to a broker."""

    def send(self, batch: Sequence[Message], *, timeout_s: float) -> Receipt:
        """Publish, and wait for the broker's confirmation of each."""
        ...

    def drop(self) -> None:
        """Close without a handshake: the peer may be gone, and a handshake would wait for it."""
        ...


def connect(broker: Broker, *, timeout_s: float, name: str) -> Link:
    """A new connection, which the broker shows as `name`. Raises one of ERRORS within
    `timeout_s`."""
    ends_at = monotonic() + timeout_s
    for tried, way in enumerate(broker.ways, start=1):
        left_s = _left(ends_at) / (len(broker.ways) - tried + 1)
        try:
            connection = Connection(way, **_options(broker, timeout_s=left_s, name=name))
            # One try: kombu would otherwise sleep for two seconds and try again.
            connection.ensure_connection(max_retries=0)
            if not broker.is_redis:
                # py-amqp's own limit does not hold in the middle of a frame.
                connection.connection.transport.sock.settimeout(left_s)
        except ERRORS:
            if tried == len(broker.ways):
                raise
        else:
            return (RedisLink if broker.is_redis else RabbitLink)(connection)
    raise AssertionError("a broker has an address")


class RedisLink:
    """A connection to Redis, which answers when it has the whole batch, or nothing of it."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        # kombu's, as it knows how to read the URL and log in: we keep the connection on which it
        # has greeted Redis. redis-py's client would take it from its pool, check whether it still
        # works, and put it back for every batch; none of that is needed, as a connection that has
        # failed once is never used again.
        self._redis = connection.channel().client.connection_pool.get_connection()

    def send(self, batch: Sequence[Message], *, timeout_s: float) -> Receipt:
        # By the queue's name, without exchanges and bindings: those are kept in Redis, and a
        # publish that finds none vanishes without an error.
        by_queue: dict[str, list[bytes]] = {}
        for one in batch:
            by_queue.setdefault(one.queue, []).append(envelope(one))
        # Workers take from the other end: the first pushed is the first processed.
        commands: list[tuple[str | bytes, ...]] = [
            ("LPUSH", queue, *items) for queue, items in by_queue.items()
        ]
        if len(commands) > 1:
            commands = [("MULTI",), *commands, ("EXEC",)]
        try:
            self._execute(commands)
        except ERRORS as error:
            return Receipt([reason(error)] * len(batch), error)
        return Receipt([None] * len(batch))

    def drop(self) -> None:
        with suppress(Exception):
            self._connection.collect()

    def _execute(self, commands: Sequence[tuple[str | bytes, ...]]) -> None:
        """Send all, and read all answers. Raises what Redis refuses; then there may be more to
        read."""
        self._redis.send_packed_command(self._redis.pack_commands(commands))
        answer = None
        for _ in commands:
            answer = self._redis.read_response()
        # The result of EXEC is one answer, a list, and raises nothing.
        for done in answer if isinstance(answer, list) else ():
            if isinstance(done, RedisError):
                raise done


class RabbitLink:
    """A connection to RabbitMQ, which confirms each message when its queue has it, in any order.

    A refusal concerns one message (there is no such queue; it is full), and the connection stays
    usable.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._channel = connection.channel()
        self._channel.confirm_select()
        for event, listener in (
            ("basic_ack", self._on_ack),
            ("basic_nack", self._on_nack),
            ("basic_return", self._on_return),
        ):
            self._channel.events[event].add(listener)
        self._published = 0
        # Unconfirmed messages: RabbitMQ's numbers on this channel, in ascending order, and their
        # places in the batch.
        self._waiting: dict[int, int] = {}
        self._places: dict[str, int] = {}
        self._reasons: list[str | None] = []

    def send(self, batch: Sequence[Message], *, timeout_s: float) -> Receipt:
        ends_at = monotonic() + timeout_s
        first = self._published + 1
        self._published += len(batch)
        self._waiting = {first + place: place for place in range(len(batch))}
        self._places = {one.id: place for place, one in enumerate(batch)}
        self._reasons = [None] * len(batch)
        try:
            for one in batch:
                self._publish(one, timeout_s=_left(ends_at))
            while self._waiting:
                # One frame per iteration, each within the remaining time.
                self._channel.connection.drain_events(timeout=_left(ends_at))
                if self._waiting and monotonic() >= ends_at:
                    raise TimeoutError("timed out")
        except (*ERRORS, AttributeError) as error:  # py-amqp may be half closed
            for place in self._waiting.values():
                self._reasons[place] = reason(error)
            return Receipt(self._reasons, error)
        return Receipt(self._reasons)

    def drop(self) -> None:
        with suppress(Exception):
            self._connection.collect()

    def _publish(self, one: Message, *, timeout_s: float) -> None:
        # Not through kombu, whose publish with confirms waits for each. py-amqp reads incoming data
        # before it writes, so that the two sides can't block each other with full buffers.
        self._channel.basic_publish(
            AmqpMessage(
                one.body,
                content_type="application/json",
                content_encoding="utf-8",
                application_headers=dict(one.headers),
                delivery_mode=2,
                priority=0,
                correlation_id=one.id,
                reply_to="",
            ),
            exchange="",
            routing_key=one.queue,
            mandatory=True,
            timeout=timeout_s,
        )

    def _on_ack(self, tag: int, multiple: bool) -> None:
        # A returned message is acknowledged right afterwards, too; its reason stays.
        self._settled(tag, multiple=multiple)

    def _on_nack(self, tag: int, multiple: bool) -> None:
        for place in self._settled(tag, multiple=multiple):
            self._reasons[place] = "its queue is full"

    def _on_return(self, _error: Any, _exchange: str, queue: str, message: AmqpMessage) -> None:
        place = self._places.get(message.properties.get("correlation_id", ""))
        if place is not None:
            self._reasons[place] = f"it has no queue {queue!r}; start a worker once, which makes it"

    def _settled(self, tag: int, *, multiple: bool) -> list[int]:
        """The places of the messages that RabbitMQ's answer is about; they wait no longer."""
        tags = [one for one in self._waiting if one <= tag] if multiple else [tag]
        return [self._waiting.pop(one) for one in tags if one in self._waiting]


def reason(error: BaseException) -> str:
    """An error as text, without a full stop, and without passwords."""
    return scrub(str(error)).strip().rstrip(".") or type(error).__name__


def _options(broker: Broker, *, timeout_s: float, name: str) -> dict[str, Any]:
    """Keyword arguments of kombu's Connection: every wait is limited, every certificate is
    checked."""
    limits = broker.with_limits(timeout_s=timeout_s)
    if broker.is_redis:
        limits |= {
            "socket_keepalive": True,
            # We retry ourselves, within our own time limit.
            "retry_on_timeout": False,
            "client_name": name,
        }
    tls = {"ssl": dict(broker.ssl)} if broker.ssl else {}
    ours = (
        {"transport": "infra.billing.broker_connections:SentinelTransport"}
        if broker.scheme in SENTINEL
        else {}
    )
    return {"connect_timeout": timeout_s, "transport_options": limits, **tls, **ours}


def _left(ends_at: float) -> float:
    return max(TIMEOUT_MIN_S, ends_at - monotonic())


# redis-py asks them in the order of the URL, each four times; so a first one whose machine is gone
# would delay each connection by seconds, and longer than a worker may stand still.

# How long a Sentinel may take to accept a connection, and again to answer. It answers at once, or
# something is wrong with it; there are others.
ASK_S = 1.0

# When an address was last silent; removed once it answers again. Shared by the whole process.
_silent_at: dict[tuple[str, int], float] = {}


def discover_master(manager: Any, service_name: str) -> tuple[str, int]:
    """Like redis-py's `Sentinel.discover_master`, but a Sentinel that was silent lately is asked
    last."""
    errors = []
    for client in sorted(manager.sentinels, key=lambda one: _silent_at.get(_address(one), 0.0)):
        try:
            masters = client.sentinel_masters()
        except (RedisConnectionError, RedisTimeoutError) as error:
            _silent_at[_address(client)] = monotonic()
            errors.append(f"{client} - {error!r}")
            continue
        _silent_at.pop(_address(client), None)
        state = masters.get(service_name)
        if state and manager.check_master_state(state, service_name):
            return state["ip"], state["port"]
    told = f" : {', '.join(errors)}" if errors else ""
    raise MasterNotFoundError(f"No master found for {service_name!r}{told}")


def _address(client: Any) -> tuple[str, int]:
    known = client.connection_pool.connection_kwargs
    return known["host"], known["port"]


class SentinelChannel(kombu_redis.SentinelChannel):  # type: ignore[misc]  # kombu has no types here
    """kombu's, which asks the Sentinels in this way."""

    def _sentinel_managed_pool(self, asynchronous: bool = False) -> Any:
        pool = super()._sentinel_managed_pool(asynchronous)
        manager = self._async_sentinel_manager if asynchronous else self._sentinel_manager
        for client in manager.sentinels:
            client.set_retry(Retry(NoBackoff(), 0))
            limits = client.connection_pool.connection_kwargs
            for name in ("socket_timeout", "socket_connect_timeout"):
                limits[name] = min(limits.get(name) or ASK_S, ASK_S)
        manager.discover_master = partial(discover_master, manager)
        return pool


class SentinelTransport(kombu_redis.SentinelTransport):  # type: ignore[misc]  # as above
    """kombu's, on such channels."""

    Channel = SentinelChannel
