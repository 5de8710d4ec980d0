"""The consumer: passes messages that are tasks to Celery, and all others to quarantine."""

import functools
import logging
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any, ClassVar

from amqp.exceptions import PreconditionFailed
from celery.bootsteps import RUN
from celery.exceptions import InvalidTaskError, WorkerShutdown
from celery.worker import state
from celery.worker.consumer import Consumer as CeleryConsumer
from kombu import compression
from kombu.exceptions import ContentDisallowed, DecodeError

from infra.billing.contract.requests.by_kind import TASKS
from payments.intake.quarantine import GIVEN_UP
from service.broker import connections
from service.broker.celery_config import DEAD, PAYMENTS, ForeignQueue, dead_letters
from worker import envelope
from worker.envelope import Broken, Call
from worker.event_flushes import SoonFlushed
from worker.loop import monitor_events
from worker.loop.way import LoopWay
from worker.message_quarantine import Quarantine, exhibit
from worker.task_request import make_plain
from worker.transport import foreign_queues

# For kombu, which wants a logger of the standard library.
logger = logging.getLogger(__name__)

# A consumer can wait out a Redis that is busy saving; a publisher can't
# (service/broker/celery_config.py).
SOCKET_TIMEOUT_S = 10.0

# How often to make up for what got lost between threads or with a connection.
TIDY_EVERY_S = 1.0

# A broker that refuses is asked again after a while, and then ever more rarely; after a minute
# without a refusal the pause starts from the beginning.
REFUSED_FIRST_S, REFUSED_MAX_S, REFUSALS_FORGOTTEN_S = 0.5, 5.0, 60.0

# Errors that a message causes, and not the connection or a lack of threads or memory. KeyError can
# be either: kombu 5.7 counts it among the errors of the connection (kombu/transport/redis.py:259).
OF_THE_MESSAGE = (
    InvalidTaskError,
    DecodeError,
    ContentDisallowed,
    LookupError,
    TypeError,
    ValueError,
    AttributeError,
    ArithmeticError,
    RecursionError,
)


class Consumer(CeleryConsumer):  # type: ignore[misc]  # Celery has no types
    """Celery's consumer, set as `worker_consumer`. Wants `app.handlers.quarantine`, a Sink."""

    class Blueprint(CeleryConsumer.Blueprint):  # type: ignore[misc]  # Celery has no types
        # Without the step that makes 28 queues for tasks with an ETA: our delays are rows.
        default_steps: ClassVar[list[str]] = [
            step for step in CeleryConsumer.Blueprint.default_steps if "DelayedDelivery" not in step
        ]

    def __init__(
        self, *args: Any, worker_options: dict[str, Any] | None = None, **rest: Any
    ) -> None:
        # Counted for the watchdog: a worker that works receives messages.
        self.received = 0
        # The message that is being passed to Celery.
        self._queue: str | None = None
        self._refusals, self._refused_until = 0, 0.0
        self._soon: SoonFlushed | None = None
        _refuse_compression()
        super().__init__(
            *args,
            # Regardless of the command line. Both only talk to other workers, and have leaked lists
            # (kombu#294) and crashed on reconnect (kombu#2582).
            worker_options={
                **(worker_options or {}),
                "without_gossip": True,
                "without_mingle": True,
            },
            **rest,
        )
        self.quarantine = Quarantine(self.app.handlers.quarantine)
        # Only our own tasks, or a sender could run Celery's canvas tasks.
        self._callable = frozenset(t for t in self.app.tasks if not t.startswith("celery."))
        queues = self.app.amqp.queues
        self.loop_way = self._make_loop_way()
        if PAYMENTS in queues.consume_from:
            # Even if -Q names only our queues.
            for queue in self.app.conf.task_queues:
                if isinstance(queue, ForeignQueue):
                    queues.select_add(queue)
        if self.conninfo.transport.driver_type == "amqp":
            queues.select_add(dead_letters())

    def _make_loop_way(self) -> LoopWay | None:
        """The way over the loop, for an app whose handlers support it."""
        make = getattr(self.app.handlers, "carrier", None)
        carrier = make() if make is not None else None
        return LoopWay(self, carrier, self._hand_on) if carrier is not None else None

    def connection_for_read(self, heartbeat: float | None = None) -> Any:
        return self.ensure_connected(
            self.app.connection_for_read(heartbeat=heartbeat, transport_options=self._patience())
        )

    def connection_for_write(self, url: str | None = None, heartbeat: float | None = None) -> Any:
        return self.ensure_connected(
            self.app.connection_for_write(
                url=url, heartbeat=heartbeat, transport_options=self._patience()
            )
        )

    def _patience(self) -> dict[str, Any]:
        if self.conninfo.transport.driver_type == "redis":
            return {"socket_timeout": SOCKET_TIMEOUT_S}
        return connections.limits(self.app, SOCKET_TIMEOUT_S)

    def ensure_connected(self, conn: Any) -> Any:
        """Like Celery's; but kombu's pauses grow to 30 s, while a broker is back long before."""
        conn.ensure_connection = functools.partial(
            conn.ensure_connection, interval_start=0.2, interval_step=0.4, interval_max=2.0
        )
        return super().ensure_connected(conn)

    def register_with_event_loop(self, hub: Any) -> None:
        """Like Celery's, with an additional timer."""
        super().register_with_event_loop(hub)
        self._soon = SoonFlushed(hub, self.event_dispatcher)
        if self.event_dispatcher is not None:
            monitor_events.prepare(self.event_dispatcher)
        if self.loop_way is not None:
            self.loop_way.take_from(self.task_consumer.channel)
        hub.call_repeatedly(TIDY_EVERY_S, self._tidy)

    def _tidy(self) -> None:
        self._flush_events()
        if self.loop_way is not None:
            # Not here: an error in a timer is only logged, and the consumer must see it.
            self.call_soon(self.loop_way.land)

    def on_send_event_buffered(self) -> None:
        if self._soon is not None:
            self._soon.has_more()

    def on_connection_error_after_connected(self, exc: Exception) -> None:
        """Like Celery's, which would retry for ever to declare a queue that exists with another
        type."""
        if isinstance(exc, PreconditionFailed) and "inequivalent arg" in str(exc):
            if left := self._foreign_queues():
                logger.critical(
                    "a producer made the queue %s its own way before any worker ran, and messages"
                    " wait in it, or may yet: stop the senders, run `billing queues mend`,"
                    " start again (%s)",
                    ", ".join(left),
                    exc.reply_text,
                )
                raise WorkerShutdown(1)
            logger.warning("a queue that a producer had made its own way was empty: made anew")
        super().on_connection_error_after_connected(exc)
        if isinstance(exc, tuple(self.channel_errors)):
            self._pause()

    def _foreign_queues(self) -> list[str]:
        """Recreate those that are empty; returns the others."""
        try:
            return foreign_queues.mend(self.app, move=False)
        except Exception as error:  # noqa: BLE001  # amqp's, or of a broken connection: nothing changed
            logger.warning("a queue could not be made anew: %s", error)
            return ["of another kind"]

    def _pause(self) -> None:
        """Wait before asking again a broker that answers but refuses: a replica, a full disk."""
        now = time.monotonic()
        if now > self._refused_until + REFUSALS_FORGOTTEN_S:
            self._refusals = 0
        self._refusals += 1
        wait_s = min(REFUSED_FIRST_S * 2 ** (self._refusals - 1), REFUSED_MAX_S)
        self._refused_until = now + wait_s
        logger.warning("the broker refuses to work; asked again in %g s", wait_s)
        while time.monotonic() < self._refused_until and not state.should_stop:
            time.sleep(0.1)

    def update_strategies(self) -> None:
        """Like Celery's, whose events don't say which queue a task came from."""
        if self.event_dispatcher is not None:
            self.event_dispatcher.send = functools.partial(self._send, self.event_dispatcher.send)
        super().update_strategies()

    def _send(self, send: Callable[..., Any], type: str, **fields: Any) -> Any:  # noqa: A002  # Celery's
        if type == "task-received":
            if self.loop_way is not None and self.loop_way.is_known(fields["uuid"]):
                return None
            fields.setdefault("queue", self._queue)
        return send(type, **fields)

    def create_task_handler(self, *args: Any, **options: Any) -> Any:
        """A callback that accepts any message, and never raises because of one."""
        self._to_celery = super().create_task_handler(*args, **options)

        def on_message(message: Any) -> None:
            self.received += 1
            self._queue = queue = message.delivery_info.get("routing_key")
            way = self.loop_way
            if way is not None and queue != DEAD and way.take_message(message):
                return
            call = self._read(message)
            if isinstance(call, str):
                self._to_quarantine(message, call)
            elif way is not None and way.takes(call):
                way.take(message, call)
            else:
                self._hand_on(message, call)

        return on_message

    def _hand_on(self, message: Any, call: Call) -> None:
        """Pass a message to Celery, which runs its task in a thread."""
        is_told = self.loop_way is not None and self.loop_way.is_known(call.id)
        make_plain(message, call, is_told=is_told)
        try:
            self._to_celery(message)
        except OF_THE_MESSAGE as error:
            if self.blueprint.state != RUN:
                raise
            self._to_quarantine(message, f"could not be handed on: {type(error).__name__}")

    def _read(self, message: Any) -> Call | str:
        """The call in a message; or why it can't be read."""
        try:
            is_dead = message.delivery_info.get("routing_key") == DEAD
            given_up = is_dead and not envelope.given_up_as_too_old(message)
            call = envelope.read(message, self._callable)
        except Broken as broken:
            return str(broken)
        except Exception as error:  # noqa: BLE001  # reading has no side effects: it is the message's fault
            # Not kept like requests from handlers: its signature has not been checked.
            return f"could not be read: {type(error).__name__}"
        if given_up:
            if call.task not in TASKS:
                return GIVEN_UP
            return replace(call, wishes=replace(call.wishes, given_up=True))
        # What the broker dropped as too old is over, whatever our clocks say.
        return replace(call, wishes=call.wishes.over()) if is_dead else call

    def _to_quarantine(self, message: Any, reason: str) -> None:
        if message.channel is not self.task_consumer.channel:
            # Remote control and replies: no money is involved, and Celery would answer with the
            # body.
            logger.warning("a control message was broken and is dropped: %s", reason)
            message.ack_log_error(logger, self.connection_errors)
            return
        self.quarantine.take(
            exhibit(
                message.body,
                queue=str(message.delivery_info.get("routing_key")),
                reason=reason,
                headers=message.headers,
                size=envelope.size_of(message),
            ),
            kept=lambda: self.call_soon(message.ack_log_error, logger, self.connection_errors),
        )

    # Messages that Celery still rejects go the same way, and are not logged in full.

    def on_unknown_message(self, body: Any, message: Any) -> None:
        self._to_quarantine(message, "not a task message")

    def on_unknown_task(self, body: Any, message: Any, exc: Exception) -> None:
        self._to_quarantine(message, "unknown task")

    def on_invalid_task(self, body: Any, message: Any, exc: Exception) -> None:
        self._to_quarantine(message, "invalid task message")

    def on_decode_error(self, message: Any, exc: Exception) -> None:
        call = self._read(message)
        broken = call if isinstance(call, str) else f"undecodable: {type(exc).__name__}"
        self._to_quarantine(message, broken)


def _refuse_compression() -> None:
    """Ten kilobytes may unpack to ten gigabytes before their size is checked."""

    def refuse(_: Any) -> Any:
        raise ValueError("compressed messages are not accepted")

    for content_type in compression.encoders():
        encoder, _ = compression.get_encoder(content_type)
        compression.register(encoder, refuse, content_type)
