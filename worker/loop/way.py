"""The way of messages over the loop: taken from the consumer, and acknowledged to the broker."""

from collections import defaultdict
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from typing import Any

from celery import bootsteps

from service import log
from worker import signing
from worker.envelope import JSON, Call
from worker.loop import monitor_events, plain
from worker.loop.carrying import TASKS, Carrier
from worker.loop.flight import Channel, Flight
from worker.loop.flights import Flights
from worker.loop.monitor_events import Event
from worker.transport.fetching import Fetched

logger = log.get(__name__)

HandOn = Callable[[Any, Call], None]


class LoopWay:
    """For the thread of a consumer. `hand_on` passes a message to Celery."""

    def __init__(self, consumer: Any, carrier: Carrier, hand_on: HandOn) -> None:
        self._consumer = consumer
        self._hand_on = hand_on
        self._flights = Flights(carrier, lambda: consumer.call_soon(self.land))
        # The message whose start Flower knows already, while Celery would report it again.
        self._known: str | None = None
        self._gathered: list[Flight] = []

    takes = staticmethod(Carrier.takes)

    def take(self, message: Any, call: Call) -> None:
        """Carry out a message that `takes` accepts."""
        self._gather(message, call, signing.proof_of(message, task=call.task, task_id=call.id))

    def take_message(self, message: Any) -> bool:
        """Carry out a message if it is plainly one of our requests; returns whether it is."""
        if message.errors or message.content_type != JSON or message.content_encoding != "utf-8":
            return False
        read = plain.of_message(message.headers, message.body, TASKS)
        if read is not None:
            self._gather(message, *read)
        return read is not None

    def _gather(self, message: Any, call: Call, proof: Any) -> None:
        """Messages that are delivered one by one begin together, in the next iteration of the
        loop."""
        queue, hostname = message.delivery_info.get("routing_key"), self._consumer.hostname
        tag, channel = message.delivery_tag, message.channel
        self._gathered.append(Flight(call, channel, tag, message, queue, proof, hostname))
        if len(self._gathered) == 1:
            self._consumer.call_soon(self._begin_gathered)

    def _begin_gathered(self) -> None:
        gathered, self._gathered = self._gathered, []
        if gathered:
            self._begin(gathered)

    def take_from(self, channel: Any) -> None:
        """Take plain requests before kombu sees them, if a channel fetches many at once."""
        if hasattr(channel, "takes"):
            channel.takes = partial(self.take_plain, channel)

    def take_plain(
        self, channel: Channel, queue: str, fetched: Sequence[Fetched]
    ) -> Sequence[Fetched]:
        """Carry out the plain requests; returns the others."""
        begun, left, hostname = [], [], self._consumer.hostname
        for one in fetched:
            read = plain.of_item(one.item, TASKS) if one.size is None else None
            if read is None:
                left.append(one)
            else:
                call, proof = read
                begun.append(Flight(call, channel, one.tag, one, queue, proof, hostname))
        if begun:
            self._consumer.received += len(begun)
            self._begin(begun)
        return left

    def _begin(self, flights: Sequence[Flight]) -> None:
        if monitor_events.are_wanted(self._consumer.event_dispatcher):
            self._tell([event for flight in flights for event in flight.begun()])
        self._flights.begin(flights)

    def land(self) -> None:
        """Acknowledge to the broker, and report to Flower, all that has ended.

        Raises the first failure after all were tried, as Celery does: the consumer then reconnects,
        and what wasn't acknowledged comes again. Otherwise this worker would keep it, and renew it
        at Redis, for as long as it lives.
        """
        self._begin_gathered()  # likewise
        failures = []
        done: dict[Channel, list[Flight]] = defaultdict(list)
        for flight in self._flights.ended():
            if flight.result is not None:
                done[flight.channel].append(flight)
                continue
            try:
                self._answer(flight)
            except Exception as error:  # noqa: BLE001  # the others must be answered, too
                failures.append(error)
        for channel, flights in done.items():
            try:
                self._acknowledge(channel, flights)
            except Exception as error:  # noqa: BLE001  # as above
                failures.append(error)
        for failure in failures:
            logger.error("a message could not be answered", error=type(failure).__name__)
        if failures:
            raise failures[0]

    def _acknowledge(self, channel: Channel, flights: Sequence[Flight]) -> None:
        try:
            channel.acknowledge([flight.tag for flight in flights])
        except self._consumer.connection_errors as error:
            # Like kombu's `ack_log_error`: the consumer notices by itself.
            logger.error("messages could not be acknowledged", error=type(error).__name__)
        self._tell([flight.succeeded() for flight in flights])

    def _answer(self, flight: Flight) -> None:
        """Return to the broker, or to Celery, what was not done."""
        message = flight.message()
        if flight.is_given_back:
            message.reject_log_error(logger, self._consumer.connection_errors, requeue=True)
            self._tell([{"type": "task-rejected", "uuid": flight.id, "requeue": True}])
            return
        self._known = flight.id
        try:
            self._hand_on(message, flight.call)
        finally:
            self._known = None

    def is_known(self, task_id: str) -> bool:
        """Whether this message is just being passed on, and Flower knows that it was received."""
        return task_id == self._known

    def finish(self, limit_s: float | None = None) -> None:
        """Let what is under way end, and acknowledge it: the last thing that the consumer's thread
        does before its connection is closed."""
        self._begin_gathered()
        if not self._flights.finish(limit_s):
            logger.warning("calls are still under way; the next worker looks them up")
        with suppress(Exception):  # It is logged; what the broker still has comes again.
            self.land()
        self._flights.close()

    def _tell(self, new: Sequence[Event]) -> None:
        dispatcher = self._consumer.event_dispatcher
        if monitor_events.are_wanted(dispatcher):
            monitor_events.tell(dispatcher, new)


class LoopStep(bootsteps.StartStopStep):  # type: ignore[misc]  # Celery has no types
    """Stops with the consumer and before Celery's threads, which may have to finish what ends."""

    name = "worker.loop.way.LoopStep"
    requires = ("celery.worker.components:Pool",)

    def stop(self, worker: Any) -> None:
        way = getattr(worker.consumer, "loop_way", None)
        if way is not None:
            way.finish()

    def terminate(self, worker: Any) -> None:
        way = getattr(worker.consumer, "loop_way", None)
        if way is not None:
            way.finish(worker.app.conf.worker_soft_shutdown_timeout)
