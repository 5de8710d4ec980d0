"""The number of a delivery at its endpoint: given once, without a gap, whatever happens."""

import threading
from uuid import UUID, uuid4

import pytest
from sqlalchemy import Engine, text

from payments.webhooks.draining.drains import DrainBatch, Drained
from payments.webhooks.replays import replay
from tests.support.acting import Database
from tests.support.drains import next_batch, take
from tests.support.sink import Answer, Received, Sink
from tests.support.waiting import patience_s, wait_for
from tests.support.webhooks import (
    a_deliverer,
    all_is_due,
    an_endpoint,
    deliveries,
    events_happen,
    lease_runs_out,
    rows,
)

ONE, OTHER = uuid4(), uuid4()
URL = "http://127.0.0.1:1/hook"


def claim(engine: Engine, endpoint_id: str, token: UUID, wanted: int = 100) -> list[int]:
    """The numbers of what a drainer claims."""
    with engine.begin() as connection:
        return numbers(next_batch(connection, endpoint_id, token, wanted=wanted))


def numbers(batch: DrainBatch | None) -> list[int]:
    assert batch is not None
    return [due.sequence for due in batch.due]


def taken(engine: Engine, endpoint_id: str, token: UUID) -> bool:
    with engine.begin() as connection:
        return take(connection, endpoint_id, token)


def headers(sink: Sink) -> list[tuple[str, int]]:
    """Which event came under which number."""
    return [
        (one.headers["webhook-id"], int(one.headers["webhook-sequence"])) for one in sink.requests
    ]


def last_number(engine: Engine, endpoint_id: str) -> int:
    (row,) = rows(
        engine, "SELECT last_sequence FROM webhook_endpoints WHERE id = :id", id=endpoint_id
    )
    return int(row["last_sequence"])


def test_each_endpoint_counts_its_own_from_one_without_a_gap(engine: Engine, sink: Sink) -> None:
    first = an_endpoint(engine, f"{sink.url}/first")
    events_happen(engine, 70)
    with a_deliverer(engine) as deliverer:
        assert deliverer.drain(first.id) == Drained(delivered=70)
        second = an_endpoint(engine, f"{sink.url}/second")
        events_happen(engine, 30)
        for endpoint in (first, second):
            assert deliverer.drain(endpoint.id) == Drained(delivered=30)
    came: dict[str, list[int]] = {"/first": [], "/second": []}
    for one in sink.requests:
        came[one.path].append(int(one.headers["webhook-sequence"]))
    assert sorted(came["/first"]) == list(range(1, 101))
    assert sorted(came["/second"]) == list(range(1, 31))


def test_they_are_numbered_in_the_order_in_which_they_are_sent(engine: Engine, sink: Sink) -> None:
    endpoint = an_endpoint(engine, sink.url, max_in_flight=1)
    events_happen(engine, 90)
    rows(
        engine,
        "UPDATE deliveries SET next_attempt_at = next_attempt_at - id * interval '1 second'",
    )
    with a_deliverer(engine) as deliverer:
        deliverer.drain(endpoint.id)
    assert [number for _, number in headers(sink)] == list(range(1, 91))


def test_a_number_stays_in_retries_and_replays(engine: Engine, sink: Sink) -> None:
    def fails_at_first(_: Received) -> Answer:
        return Answer(500 if len(sink.requests) <= 5 else 204)

    sink.answer = fails_at_first
    endpoint = an_endpoint(engine, sink.url)
    events_happen(engine, 5)
    with a_deliverer(engine) as deliverer:
        assert deliverer.drain(endpoint.id).retried == 5
        events_happen(engine, 2)
        deliverer.drain(endpoint.id)
        all_is_due(engine)
        deliverer.drain(endpoint.id)
        ids = [row["event_id"] for row in deliveries(engine)]
        with Database(engine).transaction() as transaction:
            replay(transaction, endpoint.id, event_ids=ids[2:6])
        deliverer.drain(endpoint.id)
    assert len(sink.requests) == 5 + 2 + 5 + 4
    assert len(set(headers(sink))) == 7  # one number for each event
    assert {number for _, number in headers(sink)} == set(range(1, 8))


def test_what_was_claimed_and_never_sent_keeps_its_number(engine: Engine) -> None:
    endpoint = an_endpoint(engine, URL)
    events_happen(engine, 3)
    assert taken(engine, endpoint.id, ONE)
    assert claim(engine, endpoint.id, ONE) == [1, 2, 3]
    before = {row["id"]: row["sequence"] for row in deliveries(engine)}
    events_happen(engine, 2)
    lease_runs_out(engine)  # ONE was killed
    assert taken(engine, endpoint.id, OTHER)
    assert sorted(claim(engine, endpoint.id, OTHER)) == [1, 2, 3, 4, 5]
    after = {row["id"]: row["sequence"] for row in deliveries(engine)}
    assert before.items() <= after.items()


def test_a_drainer_that_lost_its_lease_gives_no_number(engine: Engine) -> None:
    endpoint = an_endpoint(engine, URL)
    events_happen(engine)
    assert taken(engine, endpoint.id, ONE)
    lease_runs_out(engine)
    assert taken(engine, endpoint.id, OTHER)
    with engine.begin() as connection:
        assert next_batch(connection, endpoint.id, ONE, wanted=10) is None
    assert last_number(engine, endpoint.id) == 0
    assert [row["sequence"] for row in deliveries(engine)] == [None]


def test_a_statement_that_is_sent_twice_at_once_numbers_once(engine: Engine) -> None:
    """The connection broke, and the first one is still at work on the server."""
    endpoint = an_endpoint(engine, URL)
    events_happen(engine, 5)
    assert taken(engine, endpoint.id, ONE)
    second: list[int] = []
    waiting = "SELECT count(*) AS n FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
    with engine.connect() as connection:
        first = numbers(next_batch(connection, endpoint.id, ONE, wanted=3))
        again = threading.Thread(target=lambda: second.extend(claim(engine, endpoint.id, ONE)))
        again.start()
        wait_for(lambda: rows(engine, waiting)[0]["n"] == 1, what="the second to wait")
        connection.commit()
        again.join(patience_s())
    assert first == [1, 2, 3]
    assert sorted(second) == [1, 2, 3, 4, 5]
    assert last_number(engine, endpoint.id) == 5
    assert sorted(row["sequence"] for row in deliveries(engine)) == [1, 2, 3, 4, 5]


def test_who_publishes_does_not_wait_for_who_numbers(engine: Engine) -> None:
    endpoint = an_endpoint(engine, URL)
    events_happen(engine)
    assert taken(engine, endpoint.id, ONE)
    with engine.connect() as connection:
        next_batch(connection, endpoint.id, ONE, wanted=10)  # and it isn't committed yet
        published = threading.Thread(target=events_happen, args=(engine, 3))
        published.start()
        published.join(patience_s())
        assert not published.is_alive()
        connection.rollback()
    assert len(deliveries(engine)) == 4


def test_two_never_have_one_number(engine: Engine) -> None:
    endpoint = an_endpoint(engine, URL)
    events_happen(engine, 2)
    assert taken(engine, endpoint.id, ONE)
    claim(engine, endpoint.id, ONE)
    with engine.connect() as connection, pytest.raises(Exception, match="deliveries_sequence_key"):
        connection.execute(text("UPDATE deliveries SET sequence = 1"))


def test_what_was_finished_before_there_were_numbers_gets_one_when_it_is_sent_again(
    engine: Engine, sink: Sink
) -> None:
    endpoint = an_endpoint(engine, sink.url)
    events_happen(engine, 3)
    with a_deliverer(engine) as deliverer:
        deliverer.drain(endpoint.id)
        rows(engine, "UPDATE deliveries SET sequence = NULL")
        rows(engine, "UPDATE webhook_endpoints SET last_sequence = 0")
        (first, *_) = [row["event_id"] for row in deliveries(engine)]
        with Database(engine).transaction() as transaction:
            replay(transaction, endpoint.id, event_ids=[first])
        deliverer.drain(endpoint.id)
    assert headers(sink)[-1] == (first, 1)
    assert last_number(engine, endpoint.id) == 1
