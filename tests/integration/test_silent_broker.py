"""A broker, or what stands before it, that keeps its connections open and says nothing more."""

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from celery import Celery
from sqlalchemy import Engine

from infra.billing.broker_publisher import Post
from infra.billing.contract.messages.message import message
from payments.transaction import Wakes
from service.broker.celery_config import configuration
from service.broker.consumers import queues_read
from service.broker.publisher import Publisher
from service.settings import Settings
from tests.conftest import environ_for
from tests.support.factories import Till, a_charge
from tests.support.producer import Producer
from tests.support.programs import Programs
from tests.support.silent_proxy import SilentProxy, silent_proxy
from tests.support.waiting import answer_of, wait_for
from tests.support.workers import RabbitBroker, RedisBroker, Worker
from worker.transport import redis_transport

TASK = "billing.charge.create"


@pytest.fixture
def proxy(broker_url: str) -> Iterator[SilentProxy]:
    parts = urlsplit(broker_url)
    assert parts.hostname
    assert parts.port
    with silent_proxy(parts.hostname, parts.port) as running:
        yield running


def test_whoever_asks_or_tells_a_silent_broker_gives_up(
    broker_url: str, proxy: SilentProxy
) -> None:
    with Producer(broker_url) as producer:
        producer.declare()
    redis_transport.register()
    app = Celery("billing", set_as_current=False)
    app.conf.update(configuration(Settings(broker_url=proxy.url(broker_url))))
    publisher, sdk = Publisher(app), Post(proxy.url(broker_url), timeout_s=3.0)
    fields = {"amount": 1, "currency": "USD", "idempotency_key": "k", "producer": "p"}
    # With links that are open already, and with new ones.
    assert publisher.room("payments", 10) == 10
    assert sdk.send([message("charge", fields)]) == [None]
    for _ in range(2):
        proxy.fall_silent()
        assert answer_of(lambda: publisher.room("payments", 10)) == 0
        answer_of(lambda: publisher(Wakes(charges={"ch_" + "a" * 32})))
        (reason,) = answer_of(lambda: sdk.send([message("charge", fields)]))
        assert reason
        assert answer_of(lambda: queues_read(app, timeout_s=0.2).trouble)
        proxy.speak()
        wait_for(lambda: publisher.room("payments", 10), what="the queue to be counted again")
        wait_for(
            lambda: sdk.send([message("charge", fields)]) == [None],
            what="messages to be taken again",
        )
    publisher.close()
    sdk.close()
    app.close()


def test_beat_sweeps_whether_or_not_a_broker_speaks(
    broker_url: str,
    proxy: SilentProxy,
    database_url: str,
    engine: Engine,
    tmp_path: Path,
    start_programs: Callable[..., Programs],
) -> None:
    Till(engine).create(a_charge())  # something to wake somebody for
    proxy.fall_silent()
    programs = start_programs(environ_for(database_url, proxy.url(broker_url), tmp_path))
    beat = programs.start("beat")
    beat.wait_until("nobody is woken")
    assert "sweeper ready" in beat.output
    assert "sweep failed" not in beat.output


def test_workers_leave_links_that_fell_silent_and_work_on(tmp_path: Path) -> None:
    if why_not := RabbitBroker.why_not():
        pytest.skip(why_not)
    with ExitStack() as stack:
        places = []
        for name, kind in (("redis", RedisBroker), ("rabbitmq", RabbitBroker)):
            folder = tmp_path / name
            folder.mkdir()
            broker = kind(folder) if kind is RedisBroker else kind()  # type: ignore[call-arg]
            stack.callback(broker.close)
            parts = urlsplit(broker.url)
            proxy = stack.enter_context(silent_proxy(parts.hostname, parts.port or 5672))
            worker = Worker(proxy.url(broker.url), folder, "-Q", "payments")
            stack.callback(worker.stop)
            places.append((broker, proxy, worker))

        def send(task_id: str) -> None:
            for broker, _, _ in places:
                broker.send(
                    json.dumps([[], {}, {}]).encode(), {"lang": "go", "task": TASK, "id": task_id}
                )

        def done(task_id: str) -> bool:
            return all(worker.called(task_id) for _, _, worker in places)

        for _, _, worker in places:
            worker.ready()
        send("before")
        wait_for(lambda: done("before"), what="both to work")
        for _, proxy, _ in places:
            proxy.fall_silent()
        send("meanwhile")
        # New links are served, and those that fell silent stay so.
        for _, proxy, _ in places:
            proxy.speak()
        wait_for(lambda: done("meanwhile"), what="both to work on")
        assert [worker.process.poll() for _, _, worker in places] == [None, None]
