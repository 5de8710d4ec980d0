"""A Redis at its limit of memory, and one that refuses to work: it is drained, or asked again."""

import json

import pytest
import redis

from tests.support.waiting import slowness, wait_for
from tests.support.workers import RedisBroker, Worker

TASK = "billing.charge.create"
ROOM_BYTES = 256 * 1024


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
    headers = {"lang": "go", "task": TASK, "id": task_id}
    broker.send(json.dumps([[], kwargs, {}]).encode(), headers)


def _fill(broker):
    """Messages until Redis takes no more; returns their ids."""
    limit = broker.client.info("memory")["used_memory"] + ROOM_BYTES
    broker.client.config_set("maxmemory", limit)
    sent = []
    while _is_taken(_send, broker, f"t{len(sent)}", padding="x" * 2000):
        sent.append(f"t{len(sent)}")
    while _is_taken(broker.client.append, "full", "x" * 16):  # what is left for small things
        pass
    return sent


def _is_taken(push, *args, **kwargs):
    try:
        push(*args, **kwargs)
    except redis.exceptions.OutOfMemoryError:
        return False
    return True


def _drained(worker, sent):
    called = {call["id"] for call in worker.lines("calls")}
    return called >= set(sent)


def test_a_full_redis_is_drained_by_a_worker_that_is_there(broker, start):
    lease_s = 5 * slowness()
    worker = start(LEASE_S=str(lease_s))
    _send(broker, "before")
    wait_for(lambda: worker.called("before"), what="it to work")
    _send(broker, "holds", sleep_s=1.2 * lease_s)  # renewed meanwhile
    wait_for(lambda: "holds] received" in worker.log, what="it to be received")
    sent = _fill(broker)
    wait_for(lambda: _drained(worker, [*sent, "holds"]), what="all of them to be done")
    wait_for(lambda: broker.unsettled() == 0, what="everything to be acknowledged")
    assert worker.log.count("holds] received") == 1
    assert "onnection to broker lost" not in worker.log
    assert "Error in timer" not in worker.log


def test_a_full_redis_is_drained_by_a_worker_that_starts(broker, start):
    sent = _fill(broker)
    worker = start()
    wait_for(lambda: _drained(worker, sent), what="all of them to be done")
    assert "onnection to broker lost" not in worker.log
    assert worker.log.count("\n") < 200 + 3 * len(sent), worker.log


def test_what_a_dead_worker_held_comes_back_in_a_full_redis(broker, start):
    killed = start(LEASE_S="2", SLOTS="8")
    for number in range(8):
        _send(broker, f"held{number}", until="it is dead")
    wait_for(lambda: broker.client.hlen("unacked") == 8, what="all to be held")
    killed.process.kill()
    killed.process.wait()
    (killed.out / "it is dead").touch()
    sent = _fill(broker)
    worker = start(LEASE_S="2")
    wait_for(
        lambda: _drained(worker, [*sent, *(f"held{n}" for n in range(8))]), what="all to be done"
    )


def test_a_redis_that_refuses_to_work_is_asked_again_ever_more_rarely(broker, start):
    """As a replica does; the next failover makes it a primary again."""
    worker = start()
    _send(broker, "before")
    wait_for(lambda: worker.called("before"), what="it to work")
    broker.client.replicaof("127.0.0.1", 1)
    wait_for(lambda: worker.log.count("asked again in") >= 4, what="it to be asked some times")
    pauses = [
        float(line.rpartition(" in ")[2].split()[0])
        for line in worker.log.splitlines()
        if "asked again in" in line
    ]
    assert pauses[:4] == [0.5, 1.0, 2.0, 4.0]
    broker.client.replicaof("NO", "ONE")
    _send(broker, "after")
    wait_for(lambda: len(worker.lines("calls")) == 2, what="it to work again")
    assert worker.process.poll() is None
