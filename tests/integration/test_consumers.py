"""Which worker reads which queue, on both brokers, and on one that isn't there."""

import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import redis
from celery import Celery

from service.broker.celery_config import configuration
from service.broker.consumers import Readers, queues_read
from service.settings import Settings
from tests.conftest import environ_for
from tests.support.programs import Programs
from tests.support.waiting import wait_for
from worker.transport import redis_transport


def an_app(broker_url: str) -> Celery:
    redis_transport.register()
    app = Celery("billing", set_as_current=False)
    app.conf.update(configuration(Settings(broker_url=broker_url)))
    return app


@pytest.fixture
def silent_broker() -> Iterator[int]:
    """The port of one that takes connections and never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def test_workers_tell_which_queues_they_read(
    broker_url: str,
    redis_admin_url: str,
    database_url: str,
    tmp_path: Path,
    start_programs: Callable[..., Programs],
) -> None:
    app = an_app(broker_url)
    assert queues_read(app, timeout_s=0.3) == Readers({})
    programs = start_programs(environ_for(database_url, broker_url, tmp_path))
    started = programs.start_all("worker", "webhooks")

    def readers() -> Readers | None:
        found = queues_read(app, wanted=("payments", "webhooks"))
        return found if not found.lacking(("payments", "webhooks")) else None

    found = wait_for(readers, what="both workers to answer")
    assert found is not None
    assert found.trouble is None
    assert [name.split("@")[0] for name in found.queues["payments"]] == ["payments"]
    assert [name.split("@")[0] for name in found.queues["webhooks"]] == ["webhooks"]

    # It returns with the first answer; or this test would run into its own limit.
    assert not queues_read(app, timeout_s=86_400.0, wanted=("payments",)).lacking(("payments",))

    if broker_url.startswith("redis"):
        # The answer that nobody waited for may come when the queue is gone, and make it anew.
        client = redis.Redis.from_url(redis_admin_url)
        wait_for(
            lambda: [key for key in client.keys("*reply*") if client.ttl(key) == -1],
            until=lambda lasting: not lasting,
            what="answers to be of no duration",
        )

    started["webhooks"].kill()
    wait_for(
        lambda: queues_read(app, timeout_s=0.5).lacking(("payments", "webhooks")),
        until=lambda lacking: lacking == ["webhooks"],
        what="the one that lives to answer alone",
    )


def test_an_answer_that_comes_too_late_is_not_kept_for_ever(redis_url: str) -> None:
    name = "somebody.reply.celery.pidbox"
    with an_app(redis_url).connection_for_write() as link:
        producer = link.Producer(serializer="json")
        producer.publish({"late": True}, exchange="", routing_key=name)
    assert 0 < redis.Redis.from_url(redis_url).ttl(name) <= 60


def test_asking_leaves_nothing_behind(redis_url: str, redis_admin_url: str) -> None:
    queues_read(an_app(redis_url), timeout_s=0.1)
    assert redis.Redis.from_url(redis_admin_url).keys("*reply*") == []


@pytest.mark.parametrize("scheme", ["redis", "amqp"])
def test_a_broker_that_is_away_is_trouble_and_no_error(scheme: str) -> None:
    found = queues_read(an_app(f"{scheme}://user:hunter2@127.0.0.1:1/"), timeout_s=0.5)
    assert found.queues == {}
    assert found.trouble
    assert "hunter2" not in found.trouble


@pytest.mark.parametrize("scheme", ["redis", "amqp"])
def test_a_broker_that_says_nothing_is_given_up_soon(scheme: str, silent_broker: int) -> None:
    found = queues_read(an_app(f"{scheme}://user:pw@127.0.0.1:{silent_broker}/"), timeout_s=0.5)
    assert found.trouble  # without a limit it would never say so
