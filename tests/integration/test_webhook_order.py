"""What happened to one object arrives in order, and what is replayed behind what just happened."""

from datetime import UTC, datetime
from uuid import uuid4

import pytest
from sqlalchemy import Engine

from payments.transaction import Transaction
from payments.webhooks.draining.drains import Drained, Record
from payments.webhooks.outbox import Fact, publish
from payments.webhooks.replays import replay
from tests.support.acting import ADA, Database
from tests.support.drains import next_batch, take
from tests.support.sink import Answer, Received, Sink
from tests.support.waiting import wait_for
from tests.support.webhooks import (
    a_deliverer,
    all_is_due,
    an_endpoint,
    deliveries,
    events_happen,
    rows,
)

URL = "http://127.0.0.1:1/hook"
LONG_AGO = datetime(2000, 1, 1, tzinfo=UTC)


def happens(engine: Engine, object_id: str, first: int, last: int = 0) -> None:
    """Events of one object, each in a transaction of its own."""
    for sequence in range(first, (last or first) + 1):
        fact = Fact("charge.succeeded", object_id, sequence, {}, datetime.now(UTC), "tests")
        with Database(engine).transaction() as transaction:
            publish(transaction, [fact])


def ordered(engine: Engine, how: str) -> None:
    rows(engine, "UPDATE webhook_endpoints SET ordered = :how", how=how)


def came(sink: Sink) -> list[int]:
    """The `sequence` of each event that arrived, in the order of arrival."""
    return [one.json()["sequence"] for one in sink.requests]


def is_waiting(engine: Engine) -> list[int]:
    """Which deliveries wait for an earlier one of their object."""
    return [row["object_sequence"] for row in deliveries(engine) if row["waits_for"]]


def a_minute_passes(engine: Engine) -> None:
    rows(engine, "UPDATE deliveries SET created_at = created_at - interval '61 seconds'")
    rows(
        engine,
        "UPDATE deliveries SET next_attempt_at = next_attempt_at - interval '61 seconds'",
    )


def send_again(engine: Engine, endpoint_id: str) -> int:
    """Everything is replayed."""
    with Database(engine).transaction() as transaction:
        return replay(transaction, endpoint_id, since=LONG_AGO, only="all").count


# --- Order ---


@pytest.mark.parametrize("how", ["strict", "relaxed"])
def test_events_of_one_object_arrive_one_after_the_other_beside_those_of_others(
    engine: Engine, sink: Sink, how: str
) -> None:
    endpoint = an_endpoint(engine, sink.url)
    ordered(engine, how)
    happens(engine, "ch_a", 1, 30)
    events_happen(engine, 20)

    def answer(received: Received) -> Answer:
        if received.json()["data"] == {} and received.json()["sequence"] == 1:
            sink.wait_for(21)  # all of the other objects come meanwhile, and none of its own
        return Answer()

    sink.answer = answer
    with a_deliverer(engine) as deliverer:
        assert deliverer.drain(endpoint.id) == Drained(delivered=50)
    of_it = [one.json()["sequence"] for one in sink.requests if one.json()["data"] == {}]
    assert of_it == list(range(1, 31))
    assert is_waiting(engine) == []
    numbers = [int(one.headers["webhook-sequence"]) for one in sink.requests]
    assert sorted(numbers) == list(range(1, 51))


def test_what_fails_for_long_holds_up_its_object_where_order_is_strict(
    engine: Engine, sink: Sink
) -> None:
    endpoint = an_endpoint(engine, sink.url)
    ordered(engine, "strict")
    sink.answer = lambda one: Answer(500 if one.json()["sequence"] == 1 else 204)
    happens(engine, "ch_a", 1, 3)
    happens(engine, "ch_b", 2)
    with a_deliverer(engine) as deliverer:
        deliverer.drain(endpoint.id)
        assert sorted(came(sink)) == [1, 2]  # the second is of the other object
        assert is_waiting(engine) == [2, 3]
        a_minute_passes(engine)
        for _ in range(3):
            deliverer.drain(endpoint.id)
        assert set(came(sink)) == {1, 2}
        assert is_waiting(engine) == [2, 3]
        sink.answer = Answer()
        rows(engine, "UPDATE deliveries SET next_attempt_at = now() WHERE object_sequence = 1")
        assert deliverer.drain(endpoint.id) == Drained(delivered=3)
    assert came(sink)[-3:] == [1, 2, 3]


def test_what_was_given_up_lets_the_next_pass_and_its_number_tells(
    engine: Engine, sink: Sink
) -> None:
    endpoint = an_endpoint(engine, sink.url)
    ordered(engine, "strict")
    sink.answer = lambda one: Answer(500 if one.json()["sequence"] == 1 else 204)
    happens(engine, "ch_a", 1, 2)
    rows(engine, "UPDATE deliveries SET attempts = 9 WHERE object_sequence = 1")
    with a_deliverer(engine) as deliverer:
        assert deliverer.drain(endpoint.id) == Drained(delivered=1, exhausted=1)
    assert came(sink) == [1, 2]
    assert sink.requests[-1].headers["webhook-sequence"] == "2"


def test_relaxed_waits_for_a_try_that_is_near_and_passes_one_that_is_far(
    engine: Engine, sink: Sink
) -> None:
    endpoint = an_endpoint(engine, sink.url)
    sink.answer = lambda one: Answer(500 if one.json()["sequence"] == 1 else 204)
    happens(engine, "ch_a", 1, 2)
    with a_deliverer(engine) as deliverer:
        assert deliverer.drain(endpoint.id) == Drained(retried=1)  # again in five seconds
        assert is_waiting(engine) == [2]
        rows(engine, "UPDATE deliveries SET next_attempt_at = now() WHERE object_sequence = 1")
        # Again in five minutes.
        assert deliverer.drain(endpoint.id) == Drained(retried=1, delivered=1)
        happens(engine, "ch_a", 3)
        assert deliverer.drain(endpoint.id) == Drained(delivered=1)
    assert came(sink) == [1, 1, 2, 3]


def test_relaxed_waits_for_no_longer_than_a_minute(engine: Engine, sink: Sink) -> None:
    endpoint = an_endpoint(engine, sink.url)
    happens(engine, "ch_a", 1, 3)

    def answer(one: Received) -> Answer:
        if one.json()["sequence"] == 1:
            sink.wait_for(3)
        return Answer()

    sink.answer = answer
    with a_deliverer(engine) as deliverer:
        drained = deliverer.submit(endpoint.id)
        wait_for(lambda: is_waiting(engine) == [2, 3], what="the others to wait")
        rows(engine, "UPDATE deliveries SET created_at = created_at - interval '61 seconds'")
        rows(engine, "UPDATE deliveries SET next_attempt_at = now() WHERE waits_for IS NOT NULL")
        deliverer.drain(endpoint.id)
        assert drained.result(60) == Drained(delivered=3)


@pytest.mark.parametrize("how", ["strict", "relaxed"])
def test_what_waits_is_looked_at_by_and_by_though_nobody_says_that_it_may_pass(
    engine: Engine, sink: Sink, how: str
) -> None:
    endpoint = an_endpoint(engine, sink.url)
    ordered(engine, how)
    happens(engine, "ch_a", 1, 2)
    token = uuid4()
    with engine.begin() as connection:
        assert take(connection, endpoint.id, token)
        next_batch(connection, endpoint.id, token, wanted=10, releasing=True)
    assert is_waiting(engine) == [2]
    # What it waits for is gone, in a way that no drain knows of.
    rows(
        engine,
        "UPDATE deliveries SET state = 'delivered', finished_at = now() WHERE object_sequence = 1",
    )
    (row,) = rows(
        engine,
        "SELECT next_attempt_at - now() AS wait FROM deliveries WHERE object_sequence = 2",
    )
    assert row["wait"].total_seconds() <= {"strict": 3600, "relaxed": 60}[how]
    all_is_due(engine)
    with a_deliverer(engine) as deliverer:
        assert deliverer.drain(endpoint.id) == Drained(delivered=1)
    assert is_waiting(engine) == []


def test_a_replay_keeps_the_order_where_it_is_strict(engine: Engine, sink: Sink) -> None:
    endpoint = an_endpoint(engine, sink.url)
    ordered(engine, "strict")
    happens(engine, "ch_a", 1, 5)
    happens(engine, "ch_b", 1, 5)
    with a_deliverer(engine) as deliverer:
        deliverer.drain(endpoint.id)
        assert send_again(engine, endpoint.id) == 10
        assert deliverer.drain(endpoint.id) == Drained(delivered=10)
    again = sink.requests[10:]
    for object_id in ("ch_a", "ch_b"):
        ids = rows(
            engine, "SELECT id FROM events WHERE object_id = :id ORDER BY sequence", id=object_id
        )
        wanted = [row["id"] for row in ids]
        assert [o.headers["webhook-id"] for o in again if o.headers["webhook-id"] in wanted] == (
            wanted
        )


def test_a_thousand_events_of_one_object_are_each_looked_at_once(engine: Engine) -> None:
    endpoint = an_endpoint(engine, URL)
    ordered(engine, "strict")
    facts = [
        Fact("charge.succeeded", "ch_a", n, {}, datetime.now(UTC), "tests") for n in range(1, 1001)
    ]
    with Database(engine).transaction() as transaction:
        publish(transaction, facts)
    events_happen(engine, 5)
    token, claimed = uuid4(), set()
    with engine.execution_options(isolation_level="AUTOCOMMIT").connect() as connection:
        assert take(connection, endpoint.id, token)
        for _ in range(20):
            batch = next_batch(connection, endpoint.id, token, wanted=100, held=sorted(claimed))
            assert batch is not None
            claimed |= {due.delivery_id for due in batch.due}
            if not batch.has_more:
                break
        assert len(claimed) == 6
        assert len(is_waiting(engine)) == 999
        # Now none of them is due, so none is in the way of others.
        events_happen(engine)
        batch = next_batch(connection, endpoint.id, token, wanted=1, held=sorted(claimed))
        assert batch is not None
        assert len(batch.due) == 1
        (first,) = (
            row
            for row in deliveries(engine)
            if row["object_sequence"] == 1 and row["object_id"] == "ch_a"
        )
        done = Record(first["id"], 1, "delivered", None, 0.1, 100, 200, None, None, None)
        batch = next_batch(connection, endpoint.id, token, records=[done])
        assert batch is not None
        assert batch.has_more
        assert len(is_waiting(engine)) == 998
        batch = next_batch(connection, endpoint.id, token, wanted=10, held=sorted(claimed))
        assert batch is not None
        assert len([due for due in batch.due if due.delivery_id not in claimed]) >= 1


# --- Replays behind what happens ---


def test_what_is_replayed_says_so_and_what_just_happened_goes_before_it(
    engine: Engine, sink: Sink
) -> None:
    endpoint = an_endpoint(engine, sink.url, max_in_flight=1)
    events_happen(engine, 300)
    with a_deliverer(engine) as deliverer:
        deliverer.drain(endpoint.id)
        assert send_again(engine, endpoint.id) == 300
        before = len(sink.requests)

        def answer(_: Received) -> Answer:
            if len(sink.requests) == before + 10:
                events_happen(engine, 5)
                deliverer.submit(endpoint.id)  # the wake-up call
            return Answer(delay_s=0.005)

        sink.answer = answer
        assert deliverer.drain(endpoint.id) == Drained(delivered=305)
    after = sink.requests[before:]
    fresh = [place for place, one in enumerate(after) if "webhook-replay" not in one.headers]
    assert len(fresh) == 5
    assert max(fresh) < 150  # of 305; how soon depends on the machine
    assert {one.headers.get("webhook-replay") for one in after} == {"1", None}
    assert {one.headers.get("webhook-replay") for one in sink.requests[:before]} == {None}


def test_replays_leave_half_of_the_window_to_what_happens(engine: Engine, sink: Sink) -> None:
    endpoint = an_endpoint(engine, sink.url, max_in_flight=8)
    events_happen(engine, 40)
    with a_deliverer(engine) as deliverer:
        deliverer.drain(endpoint.id)
        send_again(engine, endpoint.id)
        before = len(sink.requests)

        def answer(one: Received) -> Answer:
            if "webhook-replay" in one.headers and len(sink.requests) < before + 8:
                # All that may be replayed at once wait until what happened has come.
                wait_for(
                    lambda: any("webhook-replay" not in r.headers for r in sink.requests[before:]),
                    what="what just happened",
                )
            return Answer()

        sink.answer = answer
        drained = deliverer.submit(endpoint.id)
        sink.wait_for(before + 1)
        events_happen(engine, 2)
        deliverer.drain(endpoint.id)
        assert drained.result(120) == Drained(delivered=42)


def test_what_is_replayed_by_kind(engine: Engine, sink: Sink) -> None:
    events_happen(engine, 2)  # missed: there was no endpoint
    endpoint = an_endpoint(engine, sink.url)
    events_happen(engine, 3)
    with a_deliverer(engine) as deliverer:
        deliverer.drain(endpoint.id)
        sink.answer = Answer(500)
        events_happen(engine, 4)  # failed
        deliverer.drain(endpoint.id)
    events_happen(engine, 5)  # waits
    counts = {
        only: _counted(engine, endpoint.id, only)
        for only in ("failed", "missed", "undelivered", "all")
    }
    assert counts == {"failed": 4, "missed": 2, "undelivered": 11, "all": 14}


def _counted(engine: Engine, endpoint_id: str, only: str) -> int:
    with engine.connect() as connection:
        count = replay(Transaction(connection, ADA), endpoint_id, since=LONG_AGO, only=only).count
        connection.rollback()
    return count
