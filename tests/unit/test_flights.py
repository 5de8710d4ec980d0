"""Messages under way on a worker's loop: handed over in both directions, and none forgotten."""

import asyncio
import base64
import json
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from typing import Any
from unittest.mock import Mock

import pytest
from celery import Celery
from celery.worker import state
from celery.worker.consumer import Consumer as CeleryConsumer
from celery.worker.consumer.events import Events
from kombu.asynchronous import Hub

from payments.payment_errors import InvalidRequest
from service.database.retrying import DatabaseUnavailable
from service.running import register
from tests.support.waiting import patience_s, wait_for
from worker.consumer import Consumer
from worker.envelope import Call
from worker.loop.carrying import Carrier, HeldUp
from worker.loop.flight import Flight
from worker.loop.flights import Flights
from worker.loop.way import LoopWay
from worker.transport.fetching import Fetched


class Carrying:
    """Carries what it is given once the test lets it, and fails as the arguments say."""

    def __init__(self) -> None:
        self.together = 0
        self.most = 0
        self.may_end = threading.Event()
        self.may_end.set()

    async def carry(self, call: Call, proof: object) -> dict[str, Any]:
        self.together += 1
        self.most = max(self.most, self.together)
        while not self.may_end.is_set():  # noqa: ASYNC110  # another thread's event
            await asyncio.sleep(0.001)
        self.together -= 1
        if "error" in call.kwargs:
            raise call.kwargs["error"]
        return {"state": "succeeded", "charge_id": call.id}


def a_call(number: int = 0, **kwargs: Any) -> Call:
    return Call("billing.charge.create", f"task-{number}", [], kwargs, None, None)


def a_flight(number: int = 0, **kwargs: Any) -> Flight:
    call = a_call(number, **kwargs)
    return Flight(call, Channel(), f"tag-{number}", None, "payments", None, "payments@here")


class Channel:
    """Where messages come from, and what was said to it of which tags."""

    def __init__(self, fails: bool = False) -> None:
        self.acknowledged: list[Any] = []
        self.made: list[Any] = []
        self._fails = fails

    def acknowledge(self, tags: Sequence[Any]) -> None:
        if self._fails:
            raise RuntimeError("the channel is gone")
        self.acknowledged.append(list(tags))

    def message_of(self, _: str | None, letter: Any) -> Any:
        if isinstance(letter, Message):
            return letter
        self.made.append(message := Message(channel=self, tag=letter.tag))
        return message


@pytest.fixture
def carrying() -> Carrying:
    return Carrying()


@pytest.fixture
def woken() -> list[None]:
    return []


@pytest.fixture
def flights(carrying: Carrying, woken: list[None]) -> Iterator[Flights]:
    flights = Flights(carrying, lambda: woken.append(None))
    yield flights
    flights.close()


def test_many_are_under_way_at_once_and_end_with_their_results(
    flights: Flights, carrying: Carrying, woken: list[None]
) -> None:
    carrying.may_end.clear()
    begun = [a_flight(number) for number in range(300)]
    flights.begin(begun)
    wait_for(lambda: carrying.together == 300, what="all to be under way")
    assert {flight.id for flight in begun} <= state.requests.keys()
    assert {task.task_id for task in register.now()} >= {flight.id for flight in begun}
    carrying.may_end.set()
    assert flights.finish(patience_s())
    ended = flights.ended()
    assert sorted(flight.id for flight in ended) == sorted(flight.id for flight in begun)
    assert all(flight.result and flight.result["charge_id"] == flight.id for flight in ended)
    assert woken  # at least once, and not once for each
    assert not {flight.id for flight in begun} & state.requests.keys()
    assert not state.active_requests & set(begun)
    assert not {task.task_id for task in register.now()} & {flight.id for flight in begun}


def test_who_has_looked_is_woken_again(flights: Flights, woken: list[None]) -> None:
    for round_ in range(3):
        flights.begin([a_flight(round_)])
        wait_for(lambda: len(woken) == round_ + 1, what="the call")  # noqa: B023  # asked at once
        assert [flight.id for flight in flights.ended()] == [f"task-{round_}"]


@pytest.mark.parametrize("error", [HeldUp(), DatabaseUnavailable()], ids=lambda e: type(e).__name__)
def test_what_can_not_be_done_now_is_given_back(flights: Flights, error: Exception) -> None:
    flights.begin([a_flight(error=error)])
    assert flights.finish(patience_s())
    (flight,) = flights.ended()
    assert (flight.is_given_back, flight.result) == (True, None)


@pytest.mark.parametrize(
    "error", [ValueError("whatever"), asyncio.CancelledError(), SystemExit(3)], ids=repr
)
def test_any_other_failure_is_left_to_celery(flights: Flights, error: BaseException) -> None:
    flights.begin([a_flight(error=error)])
    assert flights.finish(patience_s())
    (flight,) = flights.ended()
    assert (flight.is_given_back, flight.result) == (False, None)


def test_finishing_gives_up_on_what_does_not_end(flights: Flights, carrying: Carrying) -> None:
    carrying.may_end.clear()
    flights.begin([a_flight()])
    assert not flights.finish(0.01)
    carrying.may_end.set()
    assert flights.finish(patience_s())


def test_what_has_ended_before_it_is_said_to_be_under_way_is_waited_for_by_nobody(
    flights: Flights, woken: list[None]
) -> None:
    class Slow(threading.Event):
        """As if the thread that begins were stopped just before it says that it has begun."""

        def clear(self) -> None:
            if threading.current_thread() is threading.main_thread():
                flights._loop.call_soon_threadsafe(flights._take)  # as called for another
                wait_for(lambda: bool(woken), what="it to be done")
            super().clear()

    flights._idle = Slow()
    flights._idle.set()
    flights.begin([a_flight()])
    assert flights.finish(patience_s())


# --- What the broker and Flower are told ---


class Message:
    def __init__(self, fails: bool = False, channel: Channel | None = None, tag: str = "t") -> None:
        self.said: list[str] = []
        self.body, self.headers, self.delivery_tag = b"[]", {}, tag
        self.delivery_info = {"routing_key": "payments"}
        self.channel = channel or Channel(fails)

    @property
    def is_acknowledged(self) -> bool:
        return [self.delivery_tag] in self.channel.acknowledged

    def reject_log_error(self, *_: Any, requeue: bool) -> None:
        self.said.append(f"reject {requeue=}")


class Told:
    """A consumer with an event dispatcher, and Celery behind it."""

    hostname = "payments@here"
    connection_errors = ()

    def __init__(self) -> None:
        self.received = 0
        self.handed_on: list[Any] = []
        self.called = threading.Event()
        app = Celery(broker="memory://", set_as_current=False)
        self.event_dispatcher = app.events.Dispatcher(
            app.connection_for_write(), hostname=self.hostname, buffer_group=["task"]
        )

    @property
    def events(self) -> list[tuple[str, str]]:
        gathered = self.event_dispatcher._group_buffer["task"]
        return [(event["type"], event["uuid"]) for event in gathered]

    def call_soon(self, call: Callable[[], None]) -> None:
        self.called.set()
        if threading.current_thread() is threading.main_thread():
            call()

    def hand_on(self, message: Any, call: Call) -> None:
        self.handed_on.append(message)


def way_of(told: Told, carrying: Carrying) -> LoopWay:
    return LoopWay(told, carrying, told.hand_on)  # type: ignore[arg-type]  # it carries


def an_item(number: int, **kwargs: Any) -> Fetched:
    """What lies in a Redis list."""
    body = json.dumps([[], {"amount": number, **kwargs}, {}]).encode()
    item = {
        "body": base64.b64encode(body).decode(),
        "content-type": "application/json",
        "content-encoding": "utf-8",
        "headers": {"task": "billing.charge.create", "id": f"task-{number}"},
        "properties": {"body_encoding": "base64", "delivery_info": {}},
    }
    return Fetched(f"tag-{number}", json.dumps(item).encode())


def test_what_is_fetched_together_is_acknowledged_together(carrying: Carrying) -> None:
    told, channel = Told(), Channel()
    way = way_of(told, carrying)
    odd, large = Fetched("tag-8", b"no message"), an_item(9)._replace(size=1 << 20)
    fetched = [an_item(1), odd, an_item(2), large]
    assert way.take_plain(channel, "payments", fetched) == [odd, large]
    assert way._flights.finish(patience_s())
    way.land()
    assert channel.acknowledged == [["tag-1", "tag-2"]]
    assert told.received == 2  # the watchdog sees that something comes in
    assert not channel.made  # kombu has seen none of them
    assert sorted(told.events) == sorted(
        (f"task-{what}", f"task-{number}")
        for number in (1, 2)
        for what in ("received", "started", "succeeded")
    )
    way.finish(patience_s())


def test_of_what_was_fetched_only_what_failed_becomes_a_message(carrying: Carrying) -> None:
    told, channel = Told(), Channel()

    async def fails_for_two(call: Call, proof: object) -> dict[str, str]:
        if call.kwargs["amount"] == 2:
            raise ValueError("a refusal, say")
        return {"state": "succeeded"}

    carrying.carry = fails_for_two  # type: ignore[method-assign]
    way = way_of(told, carrying)
    way.take_plain(channel, "payments", [an_item(1), an_item(2), an_item(3)])
    way.finish(patience_s())
    assert channel.acknowledged == [["tag-1", "tag-3"]]
    assert [message.delivery_tag for message in channel.made] == ["tag-2"]
    assert told.handed_on == channel.made


def test_a_refusal_counts_once(carrying: Carrying) -> None:
    """Celery counts what is handed on to it."""
    told, name = Told(), "billing.charge.create"
    before, way = state.total_count[name], way_of(told, carrying)
    way.take(Message(), a_call(1))
    way.take(Message(), a_call(2, error=ValueError("a refusal, say")))
    way.finish(patience_s())
    assert state.total_count[name] == before + 1


def test_a_success_is_acknowledged_and_flower_sees_all_of_it(carrying: Carrying) -> None:
    told, message = Told(), Message()
    way = way_of(told, carrying)
    way.take(message, a_call(1))
    way.finish(patience_s())
    assert told.called.is_set()
    assert message.is_acknowledged
    assert [event for event, _ in told.events] == [
        "task-received",
        "task-started",
        "task-succeeded",
    ]


def test_what_is_given_back_says_so(carrying: Carrying) -> None:
    told, message = Told(), Message()
    way = way_of(told, carrying)
    way.take(message, a_call(1, error=HeldUp()))
    way.finish(patience_s())
    assert message.said == ["reject requeue=True"]
    assert told.events[-1] == ("task-rejected", "task-1")


def test_what_failed_goes_celerys_way_and_is_not_told_twice(carrying: Carrying) -> None:
    told, message, seen = Told(), Message(), list[bool]()

    def hand_on(message: Any, call: Call) -> None:
        told.hand_on(message, call)
        seen.append(way.is_known(call.id))

    way = LoopWay(told, carrying, hand_on)  # type: ignore[arg-type]  # it carries
    way.take(message, a_call(1, error=ValueError("a refusal, say")))
    way.finish(patience_s())
    assert told.handed_on == [message]
    assert not message.is_acknowledged
    assert seen == [True]  # Celery's own task-received is left out
    assert not way.is_known("task-1")


def test_a_message_that_can_not_be_answered_holds_up_no_other(carrying: Carrying) -> None:
    told, messages = Told(), [Message(), Message(fails=True), Message()]
    way = way_of(told, carrying)
    for number, message in enumerate(messages):
        way.take(message, a_call(number))
    way.finish(patience_s())
    assert [message.is_acknowledged for message in messages] == [True, False, True]


def test_the_consumer_learns_of_a_message_that_can_not_be_answered(carrying: Carrying) -> None:
    """It connects anew then; a worker that went on would hold on to it for ever."""
    told, messages = Told(), [Message(fails=True), Message()]
    way = way_of(told, carrying)
    carrying.may_end.clear()
    for number, message in enumerate(messages):
        way.take(message, a_call(number))
    wait_for(lambda: carrying.together == 2, what="both to be under way")
    carrying.may_end.set()
    assert way._flights.finish(patience_s())
    with pytest.raises(RuntimeError, match="the channel is gone"):
        way.land()
    assert messages[1].is_acknowledged
    way.finish(patience_s())


def test_what_celery_can_not_take_is_no_silent_loss(carrying: Carrying) -> None:
    def hand_on(message: Any, call: Call) -> None:
        raise RuntimeError("can't start new thread")

    told = Told()
    way = LoopWay(told, carrying, hand_on)  # type: ignore[arg-type]  # it carries
    way.take(Message(), a_call(error=ValueError("a refusal, say")))
    assert way._flights.finish(patience_s())
    with pytest.raises(RuntimeError, match="new thread"):
        way.land()
    way.finish(patience_s())


def test_nor_is_it_when_the_consumer_tidies_up() -> None:
    """kombu's hub logs what its timers raise, and goes on."""
    hub = Hub()
    way = Mock(land=Mock(side_effect=RuntimeError("can't start new thread")))
    consumer = Mock(loop_way=way, call_soon=hub.call_soon)
    hub.timer.call_after(0, Consumer._tidy, (consumer,))
    hub.run_once()
    with pytest.raises(RuntimeError, match="new thread"):
        hub.run_once()
    hub.close()


def test_flower_reads_no_arguments(carrying: Carrying) -> None:
    flight = a_flight(customer_id="cus_secret", amount=5)
    received, _ = flight.begun()
    for shown in (received, flight.info()):
        assert "cus_secret" not in repr(shown)
        assert "'amount': 5" in shown["kwargs"]


@pytest.mark.parametrize(
    "odd",
    ["4242424242424242", {"a": 1}, "x" * 256, None],
    ids=["a card", "an object", "long", "nothing"],
)
def test_flower_is_told_where_it_belongs_only_if_that_is_an_id(odd: object) -> None:
    """A sender may write anything there; as of what goes Celery's way, none of it is told."""
    call = Call("billing.charge.create", "task-1", [], {}, odd, odd)
    told, _ = Flight(call, Channel(), "t", None, "payments", None, "payments@here").begun()
    assert (told["root_id"], told["parent_id"]) == ("task-1", None)


def test_celery_may_do_with_it_what_it_does_with_its_own_requests(flights: Flights) -> None:
    """What its consumer asks and sets: at each new connection, and when it is shut down cold."""
    controller = Mock(state=state)
    consumer = Mock(controller=controller, pool=Mock(), timer=None, task_buckets={})
    flight = a_flight(1)
    flights.begin([flight])
    CeleryConsumer.on_close(consumer)
    events = Events(consumer)
    consumer.event_dispatcher = Mock()  # that of the connection before
    events.start(consumer)
    assert flight.eventer is consumer.event_dispatcher
    CeleryConsumer.cancel_active_requests(consumer)
    assert flights.finish(patience_s())


# --- Which go this way ---


def test_orders_and_what_is_odd_go_celerys_way() -> None:
    assert Carrier.takes(a_call())
    for name in ("billing.charge.cancel", "billing.charge.capture", "billing.sweep.payments"):
        assert not Carrier.takes(Call(name, "t", [], {}, None, None))
    assert not Carrier.takes(Call("billing.charge.create", "t", [1], {}, None, None))


ENDPOINT = "we_" + "a" * 32


def drain(**fields: Any) -> Call:
    return Call("billing.webhook.drain", "t", [], fields, None, None)


class Draining:
    """Drains what it is told to, and says that it has begun when the test wants it."""

    def __init__(self) -> None:
        self.told: list[Sequence[str]] = []
        self.begun: Future[None] = Future()

    def __call__(self, endpoint_ids: Sequence[str]) -> Future[None]:
        self.told.append(endpoint_ids)
        return self.begun


@pytest.fixture
def draining() -> Draining:
    return Draining()


@pytest.fixture
def carrier(draining: Draining) -> Carrier:
    return Carrier(Mock(), Mock(), drain=draining, pause_s=0.0)


def test_a_call_to_drain_is_done_when_the_drain_has_begun(
    carrier: Carrier, draining: Draining
) -> None:
    async def carried() -> Any:
        call = drain(endpoint_id=ENDPOINT)
        assert Carrier.takes(call)
        carrying = asyncio.ensure_future(carrier.carry(call, None))
        while not draining.told:  # noqa: ASYNC110  # it is asked in the loop's next turns
            await asyncio.sleep(0)
        assert not carrying.done()  # a loop that hangs is seen by who waits
        draining.begun.set_result(None)
        return await carrying

    assert asyncio.run(carried()) == {"endpoint_id": ENDPOINT}
    assert draining.told == [[ENDPOINT]]


def test_one_call_may_be_for_several_endpoints(carrier: Carrier, draining: Draining) -> None:
    draining.begun.set_result(None)
    several = [ENDPOINT, "we_" + "b" * 32]
    carried = asyncio.run(carrier.carry(drain(endpoint_ids=several), None))
    assert (carried, draining.told) == ({"endpoints": 2}, [several])


def test_a_call_to_drain_what_is_no_endpoint_is_left_to_celery_which_says_so(
    carrier: Carrier, draining: Draining
) -> None:
    with pytest.raises(InvalidRequest, match="endpoint_id must be an id"):
        asyncio.run(carrier.carry(drain(endpoint_id="ch_1"), None))
    assert draining.told == []
