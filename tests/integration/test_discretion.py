"""What a worker says while it works, at its most talkative: nothing of what a request is about."""

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from celery import Celery
from sqlalchemy import Engine, text

from tests.conftest import environ_for
from tests.support.producer import Producer
from tests.support.programs import Programs
from tests.support.sink import Sink
from tests.support.waiting import patience_s, wait_for
from tests.support.webhooks import an_endpoint
from worker.transport import redis_transport

TELL_TALES = {
    "customer_id": "cus-telltale-1",
    "payment_method_id": "pm-telltale-2",
    "description": "Ada's telltale-3",
    "statement_descriptor": "telltale-12",
    "receipt_email": "ada-telltale-13@example.org",
    "reference": "order telltale-4",
    "idempotency_key": "ada-telltale-5@example.org",
    "metadata": {"telltale_6": "telltale-7"},
}
GOOD = {"amount": 1999, "currency": "USD", **TELL_TALES}
NAME = "telltale-8@example.org"
CARD = "4242424242424242"
REFUSED: list[dict[str, Any]] = [
    {**GOOD, "amount": CARD},
    {**GOOD, "amount": int(CARD)},
    {**GOOD, "currency": "telltale-9@x"},
    {**GOOD, "producer": "telltale-10@example.org"},
    {**GOOD, NAME: 1},
    {**GOOD, "metadata": {"telltale-11": 5}},
]


@pytest.fixture
def heard(broker_url: str) -> Iterator[list[dict[str, Any]]]:
    """Every event that workers send, as Flower gets them."""
    redis_transport.register()
    app = Celery(broker=broker_url, set_as_current=False)
    events: list[dict[str, Any]] = []
    with app.connection_for_read() as connection:
        receiver = app.events.Receiver(connection, handlers={"*": events.append})
        listener = threading.Thread(
            target=receiver.capture, kwargs={"limit": None, "timeout": None, "wakeup": False}
        )
        listener.start()
        yield events
        receiver.should_stop = True
        listener.join(patience_s())


@pytest.fixture
def producer(broker_url: str) -> Iterator[Producer]:
    with Producer(broker_url) as sending:
        sending.declare()
        yield sending


@pytest.fixture
def talkative(
    start_programs: Callable[..., Programs], database_url: str, broker_url: str, tmp_path: Path
) -> Programs:
    """Our processes, at debug, on each broker."""
    environ = environ_for(database_url, broker_url, tmp_path)
    return start_programs(environ | {"BILLING_LOG_LEVEL": "debug", "BILLING_SLOTS": "4"})


Ended = Callable[[str], dict[str, Any]]


@pytest.fixture
def ended(heard: list[dict[str, Any]]) -> Ended:
    """The event with which a task ended."""

    def wait(task_id: str) -> dict[str, Any]:
        def found() -> list[dict[str, Any]]:
            return [
                event
                for event in heard
                if event.get("uuid") == task_id
                and event["type"] in ("task-succeeded", "task-failed", "task-rejected")
            ]

        return wait_for(found, what=f"{task_id} to end")[0]

    return wait


def test_neither_log_nor_events_tell_of_a_request_even_at_debug(
    talkative: Programs,
    producer: Producer,
    heard: list[dict[str, Any]],
    ended: Ended,
    engine: Engine,
    sink: Sink,
) -> None:
    an_endpoint(engine, sink.url)
    worker, webhooks = talkative.start("worker"), talkative.start("webhooks")
    wait_for(lambda: heard, what="the worker to be heard")

    good = ended(producer.send("billing.charge.create", **GOOD))
    refused = [ended(producer.send("billing.charge.create", **fields)) for fields in REFUSED]

    assert good["type"] == "task-succeeded"
    assert {event["type"] for event in refused} == {"task-failed"}
    sink.wait_for(1 + len(REFUSED))
    for program in (worker, webhooks):
        assert program.stop() == 0
        assert "debug" in program.output  # or there was nothing to be discreet about
    for told in (worker.output, webhooks.output, str(heard)):
        assert "telltale" not in told
        assert CARD not in told
    with engine.connect() as connection:
        asked = text("SELECT request::text || detail || coalesce(param, '') FROM rejected_requests")
        for (kept,) in connection.execute(asked):
            assert "telltale-" not in kept
            assert CARD not in kept


def test_a_refusal_is_one_clear_line_in_flower_and_no_traceback(
    talkative: Programs, producer: Producer, heard: list[dict[str, Any]], ended: Ended
) -> None:
    talkative.start("worker")
    wait_for(lambda: heard, what="the worker to be heard")

    event = ended(producer.send("billing.charge.create", amount=5.0, currency="USD"))

    says = "amount must be a whole number of minor units, not the decimal 5.0; send amount=5 if"
    assert says in event["exception"]
    assert says in event["traceback"]
    assert "File " not in event["traceback"]
    assert len(event["traceback"].splitlines()) == 1
