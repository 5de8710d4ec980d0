"""Real workers through outages of their broker, and through hanging by themselves."""

import json
import signal
import socket
import time

import pytest
from celery import Celery
from kombu.exceptions import OperationalError

from service.broker.celery_config import configuration
from tests.support.waiting import slowness, wait_for
from tests.support.workers import RedisBroker, Worker
from worker.task_request import BillingTask
from worker.transport import redis_transport
from worker.watchdog import EXIT_DEAF, EXIT_TASK

SECRET = "4242424242424242"
# What any of our publishers may wait before it says no.
PUBLISH_MAX_S = 2.0


@pytest.fixture
def broker(tmp_path):
    made = RedisBroker(tmp_path)
    yield made
    made.close()


@pytest.fixture
def start(tmp_path, broker):
    started = []

    def make(*arguments, **environment):
        started.append(Worker(broker.url, tmp_path, *arguments, **environment))
        return started[-1].ready()

    yield make
    for worker in started:
        worker.stop()


def _send(broker, task_id, **kwargs):
    headers = {"lang": "go", "task": "billing.charge.create", "id": task_id}
    broker.send(json.dumps([[], {"customer_id": SECRET, **kwargs}, {}]).encode(), headers)


def _done(worker, broker, task_id):
    _send(broker, task_id)
    wait_for(lambda: worker.called(task_id), what=f"{task_id} to be done")


class Outage:
    """What can happen to a Redis."""

    @staticmethod
    def restart(broker):
        broker.stop(signal.SIGKILL)
        time.sleep(1)
        broker.start()

    @staticmethod
    def emptied(broker):
        broker.client.flushall()

    @staticmethod
    def connections_cut(broker):
        broker.client.client_kill_filter(_type="normal", skipme=True)
        broker.client.client_kill_filter(_type="pubsub", skipme=True)

    @staticmethod
    def frozen(broker):
        broker.send_signal(signal.SIGSTOP)
        time.sleep(3)
        broker.send_signal(signal.SIGCONT)


def test_the_same_worker_consumes_again_after_every_outage_of_redis(broker, start):
    worker = start()
    _done(worker, broker, "before")
    for number, name in enumerate(
        ("restart", "emptied", "connections_cut", "frozen", "restart", "emptied")
    ):
        getattr(Outage, name)(broker)
        _done(worker, broker, f"after {number} {name}")
        assert worker.process.poll() is None, worker.log


def test_a_task_under_way_when_redis_restarts_is_finished_by_the_same_worker(broker, start):
    worker = start()
    _send(broker, "long", until="redis is back")
    wait_for(lambda: "long] received" in worker.log, what="it to be received")
    Outage.restart(broker)
    (worker.out / "redis is back").touch()
    wait_for(lambda: worker.called("long"), what="it to be done")
    _done(worker, broker, "after")
    assert worker.process.poll() is None


def test_a_worker_that_is_stopped_leaves_nothing_half_acknowledged(broker, start):
    worker = start("-Q", "payments")
    for number in range(20):
        _send(broker, f"t{number}", sleep_s=0.2)
    wait_for(lambda: worker.called("t3"), what="some to be done")
    worker.stop()
    done = len(worker.lines("calls"))
    assert broker.client.hlen("unacked") == 0
    assert broker.client.llen("payments") == 20 - done


def test_a_long_task_keeps_its_message_as_long_as_its_worker_lives(broker, start):
    lease_s = 2 * slowness()
    worker = start(LEASE_S=str(lease_s))
    _send(broker, "long", sleep_s=3 * lease_s)
    wait_for(lambda: worker.called("long"), what="it to be done")
    wait_for(lambda: broker.unsettled() == 0, what="it to be acknowledged")
    assert worker.log.count("long] received") == 1


def test_the_message_of_a_killed_worker_comes_again_soon(broker, start):
    killed = start(LEASE_S="2")
    _send(broker, "orphan", until="it is dead")
    wait_for(lambda: "orphan] received" in killed.log, what="it to be received")
    killed.process.kill()
    killed.process.wait()
    (killed.out / "it is dead").touch()
    second = start(LEASE_S="2")
    wait_for(lambda: second.called("orphan"), what="the next worker to do it")


def _publisher(url):
    redis_transport.register()
    app = Celery("publisher", task_cls=BillingTask, set_as_current=False)

    class Settings:
        broker_url = url
        slots = 4
        shutdown_s = 2.0
        lease_s = 20.0
        extra_queues = ()

    app.conf.update(configuration(Settings()))

    @app.task(name="billing.charge.submit", shared=False)
    def submit(**kwargs):
        pass

    return submit


@pytest.fixture
def in_vain(monkeypatch):
    """For how long sockets were told to wait for each thing that did not come, 0 for what was
    refused: all the time that a busy machine doesn't add."""
    waits = []
    for verb in ("connect", "recv", "recv_into"):
        as_ever = getattr(socket.socket, verb)

        def wait(self, *args, as_ever=as_ever):
            try:
                return as_ever(self, *args)
            except TimeoutError:
                waits.append(self.gettimeout())
                raise
            except ConnectionRefusedError:
                waits.append(0.0)
                raise

        monkeypatch.setattr(socket.socket, verb, wait)
    return waits


def _refusal_s(task, in_vain):
    in_vain.clear()
    with pytest.raises((OperationalError, OSError)):
        task.apply_async(kwargs={"id": "ch_1"})
    assert 1 <= len(in_vain) <= 4
    return sum(in_vain)


def test_a_publisher_is_told_at_once_that_redis_is_down(broker, in_vain):
    task = _publisher(broker.url)
    task.apply_async(kwargs={"id": "ch_1"})
    broker.stop()
    assert _refusal_s(task, in_vain) == 0
    assert _refusal_s(task, in_vain) == 0
    assert _refusal_s(_publisher(broker.url), in_vain) == 0


def test_a_publisher_is_told_within_two_seconds_that_redis_does_not_answer(broker, in_vain):
    task = _publisher(broker.url)
    task.apply_async(kwargs={"id": "ch_1"})
    broker.send_signal(signal.SIGSTOP)
    try:
        assert 0 < _refusal_s(task, in_vain) < PUBLISH_MAX_S
        assert 0 < _refusal_s(_publisher(broker.url), in_vain) < PUBLISH_MAX_S
    finally:
        broker.send_signal(signal.SIGCONT)


def test_a_publisher_works_again_after_redis_was_restarted_or_emptied(broker):
    task = _publisher(broker.url)
    task.apply_async(kwargs={"id": "ch_1"})
    Outage.restart(broker)
    task.apply_async(kwargs={"id": "ch_2"})
    broker.client.flushall()
    task.apply_async(kwargs={"id": "ch_3"})
    assert broker.client.llen("payments") == 1


def test_a_task_that_outlives_its_limit_ends_the_worker_and_the_message_stays(broker, start):
    worker = start(TASK_LIMIT_S="2")
    _send(broker, "endless", sleep_s=86_400)
    assert worker.end_of_itself() == EXIT_TASK
    assert "task_id=endless" in worker.log
    assert "tests/support/workerapp.py:" in worker.log
    assert SECRET not in worker.log
    assert broker.unsettled() == 1


def test_waiting_for_the_database_is_not_hanging(broker, start):
    limit_s = 2 * slowness()
    worker = start(TASK_LIMIT_S=str(limit_s))
    _send(broker, "patient", wait_s=3 * limit_s)
    wait_for(lambda: worker.called("patient"), what="it to be done")
    assert worker.process.poll() is None


def test_a_worker_whose_event_loop_stands_still_ends_itself(broker, start):
    worker = start(STALL_LIMIT_S="3")
    _send(broker, "blocker", block_loop_s=86_400)
    wait_for(lambda: broker.client.llen("payments") == 0, what="it to be taken")
    _send(broker, "waits")
    assert worker.end_of_itself() == EXIT_DEAF
    assert "the event loop stands still" in worker.log


def test_a_redis_that_is_away_is_no_reason_to_end(broker, start):
    limit_s = 5 * slowness()
    worker = start(STALL_LIMIT_S=str(limit_s))
    broker.stop()
    time.sleep(1.6 * limit_s)
    assert worker.process.poll() is None
    broker.start()
    _done(worker, broker, "after")
