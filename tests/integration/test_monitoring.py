"""What monitors of Celery read: the labels of celery-exporter come from just these."""

import json
import threading
from collections.abc import Callable
from pathlib import Path

from celery import Celery
from celery.events.state import State
from celery.utils import nodesplit
from sqlalchemy import Engine, text

from tests.conftest import environ_for
from tests.support.producer import Producer
from tests.support.programs import Programs
from tests.support.waiting import patience_s, wait_for

HEADERS = {"task": "billing.charge.create", "id": "m1", "lang": "go"}
TRACE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


def test_monitors_see_which_queue_a_task_came_from_and_both_workers(
    broker_url: str,
    database_url: str,
    engine: Engine,
    tmp_path: Path,
    start_programs: Callable[..., Programs],
) -> None:
    programs = start_programs(environ_for(database_url, broker_url, tmp_path))
    programs.start_all("worker", "webhooks")
    app, state = Celery(broker=broker_url, set_as_current=False), State()
    heard: list[tuple[str, str]] = []
    workers: set[str] = set()
    done = threading.Event()

    def on_event(event: dict) -> None:
        state.event(event)
        # As celery-exporter does (src/exporter.py, get_hostname): what stands before the @ goes.
        workers.add(nodesplit(event["hostname"])[1])
        if "uuid" in event:
            task = state.tasks[event["uuid"]]
            heard.append((event["type"], getattr(task, "queue", "celery")))
            if event["type"] == "task-succeeded":
                done.set()

    connection = app.connection()
    receiver = app.events.Receiver(connection, handlers={"*": on_event})
    thread = threading.Thread(target=receiver.capture, kwargs={"timeout": None}, daemon=True)
    thread.start()
    wait_for(lambda: len(workers) == 2, what="heartbeats of both workers")
    with Producer(broker_url) as producer:
        producer.send_raw(
            json.dumps([[], {"amount": 1999, "currency": "USD"}, {}]).encode(),
            headers={**HEADERS, "traceparent": TRACE},
        )
    assert done.wait(patience_s())
    receiver.should_stop = True
    thread.join(patience_s())
    connection.release()
    kinds = ["task-received", "task-started", "task-succeeded"]
    assert [kind for kind, _ in heard] == kinds
    assert {queue for _, queue in heard} == {"payments"}
    queues = wait_for(
        lambda: app.control.inspect(timeout=3).active_queues() or {},
        until=lambda answers: len(answers) >= 2,
        what="both workers to tell their queues",
    )
    assert {one["name"] for answers in queues.values() for one in answers} >= {
        "payments",
        "webhooks",
    }
    assert len({nodesplit(name)[1] for name in queues}) == 2
    app.close()
    with engine.connect() as connection:
        kept = connection.execute(text("SELECT request_id, traceparent FROM charges")).one()
    assert kept == ("m1", TRACE)
