"""Events for monitors: gathered, and written as Celery's own are."""

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest
from celery import Celery
from celery.events import EventDispatcher
from kombu import serialization

from worker.loop import monitor_events

APP = Celery(broker="memory://", set_as_current=False)


@pytest.fixture
def dispatcher() -> Iterator[EventDispatcher]:
    with APP.connection_for_write() as connection:
        dispatcher = APP.events.Dispatcher(connection, hostname="w@here", buffer_group=["task"])
        monitor_events.prepare(dispatcher)
        yield dispatcher
        dispatcher.close()


def test_each_has_what_celerys_own_have(dispatcher: EventDispatcher) -> None:
    dispatcher.send("task-started", uuid="a", queue="payments")
    monitor_events.tell(dispatcher, [{"type": "task-started", "uuid": "b", "queue": "payments"}])
    own, ours = dispatcher._group_buffer["task"]
    assert ours.keys() == own.keys()
    assert ours["clock"] > own["clock"]  # they are in this order
    for field in ("type", "hostname", "pid", "utcoffset", "queue"):
        assert ours[field] == own[field]


def test_enough_for_a_message_are_sent_at_once_and_all_of_them(
    dispatcher: EventDispatcher, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent: list[Any] = []
    monkeypatch.setattr(
        dispatcher.producer, "publish", lambda told, **options: sent.append((told, options))
    )
    dispatcher.buffer_limit, gathered = 100, []
    dispatcher.on_send_buffered = lambda: gathered.append(True)
    monitor_events.tell(dispatcher, [{"type": "task-started", "uuid": str(n)} for n in range(10)])
    assert (sent, gathered) == ([], [True])  # whoever flushes knows that something waits
    monitor_events.tell(dispatcher, [{"type": "task-started", "uuid": "x"} for _ in range(90)])
    ((told, options),) = sent
    assert len(told) == 100
    assert not dispatcher._group_buffer["task"]
    content_type, encoding, body = serialization.dumps(told, serializer=options["serializer"])
    assert (content_type, encoding) == ("application/json", "utf-8")
    assert serialization.loads(body, content_type, encoding) == told


@pytest.mark.parametrize(
    "odd", ["\ud800", Decimal("1.5"), 1 << 70], ids=["half", "a decimal", "large"]
)
def test_what_is_odd_is_written_as_kombu_does(dispatcher: EventDispatcher, odd: Any) -> None:
    written = serialization.dumps([odd], serializer=dispatcher.serializer)
    assert written[2] == serialization.dumps([odd], serializer="json")[2].encode()


def test_answers_to_remote_control_are_written_as_ever(dispatcher: EventDispatcher) -> None:
    assert serialization.registry.type_to_name["application/json"] == "json"


def test_none_are_told_that_nobody_wants(dispatcher: EventDispatcher) -> None:
    assert monitor_events.are_wanted(dispatcher)
    dispatcher.groups = {"worker"}
    assert not monitor_events.are_wanted(dispatcher)
    dispatcher.groups = {"task"}
    assert monitor_events.are_wanted(dispatcher)
    dispatcher.disable()
    assert not monitor_events.are_wanted(dispatcher)
    assert not monitor_events.are_wanted(None)
