"""A worker that is unsafe does not start; one that runs does not obey strangers."""

import os
import sys

import pytest
from celery import Celery
from kombu import Connection, Exchange, Queue

from service.broker import celery_config
from service.settings import Settings
from tests.support import children
from tests.support.producer import Producer
from tests.support.waiting import patience_s, wait_for
from tests.support.workers import ROOT, RedisBroker, Worker
from worker.transport import foreign_queues, redis_transport
from worker.transport.purging import PurgeRefused


@pytest.fixture(scope="module")
def broker(tmp_path_factory):
    made = RedisBroker(tmp_path_factory.mktemp("redis"))
    yield made
    made.close()


@pytest.fixture
def start(tmp_path, broker):
    started = []

    def make(*arguments, **environment):
        started.append(Worker(broker.url, tmp_path, *arguments, **environment))
        return started[-1]

    yield make
    for worker in started:
        worker.stop()


def test_an_unsafe_worker_says_all_that_is_wrong_and_does_not_start(start):
    worker = start("-P", "solo", "--prefetch-multiplier", "4", UNSAFE="task_acks_late")
    assert worker.end_of_itself() == 1
    assert "task_acks_late is off: set it to True" in worker.log
    assert "worker_prefetch_multiplier is 4: set it to 1" in worker.log
    assert "the pool is solo: start with -P threads" in worker.log
    assert "Traceback" not in worker.log


@pytest.mark.parametrize("command", ["worker", "beat"])
def test_a_wrong_setting_is_one_line_and_the_end(command):
    ended = children.run(
        [sys.executable, "-m", "celery", "-A", "worker", command],
        cwd=ROOT,
        env={**os.environ, "BILLING_SLOTS": "many"},
        capture_output=True,
        text=True,
        timeout=patience_s(),
        check=False,
    )
    assert ended.returncode == 1
    assert ended.stderr.splitlines() == ["BILLING_SLOTS must be a whole number from 1 to 1024"]


def test_a_redis_that_evicts_is_refused(start, broker):
    broker.client.config_set("maxmemory-policy", "allkeys-lru")
    try:
        worker = start()
        assert worker.end_of_itself() == 1
        assert "set maxmemory-policy noeviction" in worker.log
    finally:
        broker.client.config_set("maxmemory-policy", "noeviction")


def test_strangers_can_look_but_not_touch(start, broker):
    worker = start().ready()
    redis_transport.register()
    app = Celery(broker=broker.url, set_as_current=False)
    with app.connection_for_write() as connection:
        app.control.revoke("good", connection=connection)
        forged = {"from_node": "x", "revoked": ["good"]}
        app.control.broadcast("hello", forged, connection=connection)
        app.control.cancel_consumer("payments", connection=connection)
        app.control.pool_shrink(3, connection=connection)
        app.control.shutdown(connection=connection)
        (answer,) = wait_for(
            lambda: app.control.ping(timeout=1, connection=connection), what="it to answer a ping"
        )
        refused = {
            command: app.control.broadcast(
                command,
                {"task_id": "good"},
                reply=True,
                limit=1,
                timeout=patience_s(),
                connection=connection,
            )
            for command in ("revoke", "shutdown", "no_such_command")
        }
        (failed,) = app.control.broadcast(
            "ping",
            {"nonsense": 1},
            reply=True,
            limit=1,
            timeout=patience_s(),
            connection=connection,
        )
    assert answer.popitem()[1] == {"ok": "pong"}
    told = {command: answers[0].popitem()[1]["error"] for command, answers in refused.items()}
    questions = "is refused: these workers take questions, and no orders"
    assert told == {
        "revoke": f"revoke {questions}",
        "shutdown": f"shutdown {questions}",
        "no_such_command": f"this command {questions}",
    }
    assert failed.popitem()[1] in ({"error": "ping failed: TypeError"}, {"ok": "pong"})
    assert "Traceback" not in worker.log
    assert "KeyError" not in worker.log
    broker.send(b"[[], {}, {}]", {"lang": "go", "task": "billing.charge.create", "id": "good"})
    wait_for(lambda: worker.called("good"), what="it to work still")
    assert worker.process.poll() is None


@pytest.mark.parametrize(
    "url", ["redis_url", pytest.param("rabbitmq_url", marks=pytest.mark.rabbitmq)]
)
def test_requests_that_wait_are_not_purged(url, request, tmp_path):
    """They would be gone without a trace, and their producers were told that they are taken."""
    url = request.getfixturevalue(url)
    with Producer(url) as producer:
        producer.declare()
        producer.send("billing.charge.create", amount=1, currency="USD")
    ended = children.run(
        [
            sys.executable,
            "-m",
            "celery",
            "-A",
            "tests.support.workerapp",
            "purge",
            "-f",
            "-Q",
            "payments",
        ],
        cwd=ROOT,
        env={**os.environ, "BROKER": url, "OUT": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=patience_s(),
        check=False,
    )
    assert ended.returncode == 1
    assert ended.stderr.startswith("Error: the queue payments is not purged: it may hold requests")
    redis_transport.register()
    app = Celery(broker=url, set_as_current=False)
    app.conf.update(celery_config.configuration(Settings(broker_url=url)))
    with app.connection_for_write() as connection, pytest.raises(PurgeRefused):
        app.control.purge(connection=connection)
    with Connection(url) as connection, connection.channel() as channel:
        assert channel.queue_declare("payments", passive=True).message_count == 1


def test_workers_do_not_talk_to_each_other(start):
    worker = start().ready()
    assert "mingle" not in worker.log
    assert "gossip" not in worker.log.lower()


def _made_by_a_producer(url, *, messages):
    """`payments`, as a plain client declares it before any worker ran."""
    with Connection(url) as connection, connection.channel() as channel:
        Queue("payments", durable=True)(channel).declare()
        for number in range(messages):
            connection.Producer().publish(
                [[], {"n": number}, {}],
                exchange="",
                routing_key="payments",
                headers={"task": "billing.charge.create", "id": f"m{number}", "lang": "go"},
            )


def test_an_empty_queue_of_another_kind_is_made_anew(rabbitmq_url, tmp_path):
    _made_by_a_producer(rabbitmq_url, messages=0)
    worker = Worker(rabbitmq_url, tmp_path)
    try:
        worker.ready()
        with Producer(rabbitmq_url) as producer:
            producer.declare()  # as it should be, or this would fail
            task_id = producer.send("billing.charge.create")
        wait_for(lambda: worker.called(task_id), what="it to work")
    finally:
        worker.stop()


def test_a_queue_of_another_kind_ends_the_worker_and_one_command_mends_it(rabbitmq_url, tmp_path):
    _made_by_a_producer(rabbitmq_url, messages=3)
    worker = Worker(rabbitmq_url, tmp_path)
    try:
        assert worker.end_of_itself() == 1
    finally:
        worker.stop()
    assert (
        "messages wait in it, or may yet: stop the senders, run `billing queues mend`" in worker.log
    )
    assert "RestartFreqExceeded" not in worker.log
    for _ in range(2):  # it may be run again
        mended = children.run(
            [sys.executable, "-m", "cli", "queues", "mend"],
            cwd=ROOT,
            env={**os.environ, "BILLING_BROKER_URL": rabbitmq_url},
            capture_output=True,
            text=True,
            timeout=patience_s(),
            check=False,
        )
        assert (mended.returncode, mended.stderr) == (0, "")
    worker = Worker(rabbitmq_url, tmp_path)
    try:
        worker.ready()
        wait_for(
            lambda: all(worker.called(f"m{n}") for n in range(3)), what="all messages to be done"
        )
    finally:
        worker.stop()


def test_an_empty_quorum_queue_is_deleted_only_when_senders_are_stopped(rabbitmq_url):
    """RabbitMQ deletes a quorum queue with what just arrived in it."""
    theirs = Queue("payments", durable=True, queue_arguments={"x-queue-type": "quorum"})
    with Connection(rabbitmq_url) as connection, connection.channel() as channel:
        theirs(channel).declare()
    app = Celery(broker=rabbitmq_url, set_as_current=False)
    redis_transport.register()
    app.conf.update(celery_config.configuration(Settings(broker_url=rabbitmq_url)))
    assert foreign_queues.mend(app, move=False) == ["payments"]
    with Connection(rabbitmq_url) as connection, connection.channel() as channel:
        theirs(channel).declare()  # it is as it was
    assert foreign_queues.mend(app, move=True) == []
    with Producer(rabbitmq_url) as producer:
        producer.declare()  # as it should be


def test_no_queues_are_made_for_delays_that_nobody_has(rabbitmq_url, tmp_path):
    worker = Worker(rabbitmq_url, tmp_path)
    try:
        worker.ready()
        with (
            Connection(rabbitmq_url) as connection,
            connection.channel() as channel,
            pytest.raises(connection.channel_errors, match="NOT_FOUND"),
        ):
            channel.queue_declare("celery_delayed_0", passive=True)
    finally:
        worker.stop()


@pytest.mark.parametrize(
    "url", ["redis_url", pytest.param("rabbitmq_url", marks=pytest.mark.rabbitmq)]
)
def test_further_queues_are_read_as_their_producers_made_them_or_will(url, request, tmp_path):
    url = request.getfixturevalue(url)
    orders = Queue("orders", Exchange("theirs", type="direct"), routing_key="orders")
    celery = Queue("celery", Exchange("celery", type="direct"), routing_key="celery")
    with Connection(url) as connection, connection.channel() as channel:
        for queue in (orders, celery):
            channel.queue_delete(queue.name)
        orders(channel).declare()
    worker = Worker(url, tmp_path, "-Q", "payments", EXTRA_QUEUES="orders celery")
    try:
        worker.ready()
        with Connection(url) as connection, connection.channel() as channel:
            for queue in (orders, celery):
                queue(channel).declare()  # as its producer does
                connection.Producer().publish(
                    [[], {}, {}],
                    exchange="",
                    routing_key=queue.name,
                    headers={"task": "billing.charge.create", "id": queue.name, "lang": "py"},
                )
        wait_for(
            lambda: worker.called("orders") and worker.called("celery"), what="both to be read"
        )
    finally:
        worker.stop()
        with Connection(url) as connection, connection.channel() as channel:
            for queue in (orders, celery):
                channel.queue_delete(queue.name)
