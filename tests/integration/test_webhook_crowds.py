"""Many endpoints in one process: what their drains ask goes together, and each gets its own."""

import threading
from collections.abc import Callable, Collection, Iterator, Sequence
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import Connection, Engine, event, text

from payments.webhooks.draining import drains
from payments.webhooks.draining.drains import Begin, DrainBatch, Drained, NextBatch
from payments.webhooks.draining.together import LOCKED
from payments.webhooks.pacing import troubles
from payments.webhooks.pacing.breaker import Tally
from payments.webhooks.pacing.troubles import Note
from service.wiring import DRAINS_MAX
from tests.support.drains import a_record, next_batch, take
from tests.support.sink import Answer, Received, Sink
from tests.support.statements import statements_of
from tests.support.waiting import patience_s, wait_for
from tests.support.webhooks import (
    PATIENT,
    a_deliverer,
    an_endpoint,
    attempts,
    deliveries,
    events_happen,
    rows,
)

ONE, OTHER = uuid4(), uuid4()
URL = "http://127.0.0.1:1/hook"


@pytest.fixture
def connection(engine: Engine) -> Iterator[Connection]:
    """Each statement commits by itself, as it does in a drain."""
    with engine.execution_options(isolation_level="AUTOCOMMIT").connect() as connection:
        yield connection


def test_each_of_many_gets_what_it_asked_for_as_if_it_were_alone(
    connection: Connection, engine: Engine
) -> None:
    ids = sorted(an_endpoint(engine, URL).id for _ in range(3))
    events_happen(engine, 4)
    begins = [Begin(id_, uuid4(), wanted=n) for n, id_ in enumerate(ids, start=1)]
    first = drains.begin(connection, begins, waits=False)
    assert [len(batch.due) for batch in batches(first)] == [1, 2, 3]
    turns = [
        NextBatch(
            one.endpoint_id,
            one.token,
            records=[a_record(due.delivery_id) for due in batch.due[:1]],
            held=[due.delivery_id for due in batch.due],
            wanted=10 * (n > 0),
            releasing=n == 0,
        )
        for n, (one, batch) in enumerate(zip(begins, batches(first), strict=True))
    ]
    second = batches(drains.next_batches(connection, turns, waits=False))
    assert [(one.recorded, len(one.due), one.has_more) for one in second] == [
        (1, 0, None),
        (1, 2, False),
        (1, 1, False),
    ]
    for id_, batch, more in zip(ids, batches(first), second, strict=True):
        numbers = [due.sequence for due in (*batch.due, *more.due)]
        assert numbers == list(range(1, len(numbers) + 1))
        (row,) = rows(engine, "SELECT * FROM webhook_endpoints WHERE id = :id", id=id_)
        assert row["last_sequence"] == len(numbers)
        assert row["recent_ms"] == [100]
        assert (row["drain_token"] is None) == (id_ == ids[0])
    assert len(attempts(engine)) == 3


def test_one_that_lost_its_lease_costs_the_others_nothing(
    connection: Connection, engine: Engine
) -> None:
    lost, kept = (an_endpoint(engine, URL).id for _ in range(2))
    events_happen(engine)
    turns = []
    for id_ in (lost, kept):
        assert take(connection, id_, ONE)
        batch = next_batch(connection, id_, ONE, wanted=1)
        assert batch is not None
        turns.append(NextBatch(id_, ONE, records=[a_record(batch.due[0].delivery_id)]))
    rows(engine, "UPDATE webhook_endpoints SET drain_token = :t WHERE id = :id", t=OTHER, id=lost)
    none, batch = drains.next_batches(connection, turns, waits=False)
    assert none is None
    assert isinstance(batch, DrainBatch)
    assert batch.recorded == 1
    (attempt,) = attempts(engine)
    assert attempt["delivery_id"] == turns[1].records[0].delivery_id


@pytest.mark.parametrize("step", ["begin", "next_batches", "note"])
def test_an_endpoint_whose_row_somebody_holds_keeps_none_of_the_others_waiting(
    connection: Connection, engine: Engine, step: str
) -> None:
    held, free = (an_endpoint(engine, URL).id for _ in range(2))
    events_happen(engine)
    if step != "begin":
        for id_ in (held, free):
            assert take(connection, id_, ONE)
    items: Any = {
        "begin": [Begin(id_, ONE, wanted=1) for id_ in (held, free)],
        "next_batches": [NextBatch(id_, ONE, wanted=1) for id_ in (held, free)],
        "note": [Note(id_, ONE, Tally(failed=1), 0.5) for id_ in (held, free)],
    }[step]
    function = troubles.note if step == "note" else getattr(drains, step)
    with engine.begin() as somebody:
        somebody.execute(
            text("SELECT FROM webhook_endpoints WHERE id = :id FOR UPDATE"), {"id": held}
        )
        first, second = function(connection, items, waits=False)
        assert first is LOCKED
        assert second is not LOCKED
    (again,) = function(connection, items[:1], waits=True)
    assert again is not LOCKED
    is_done = {"begin": "drain_token IS NOT NULL", "next_batches": "last_sequence = 1",
               "note": "counted_failed = 1"}[step]  # fmt: skip
    done = rows(engine, f"SELECT id FROM webhook_endpoints WHERE {is_done}")
    assert {row["id"] for row in done} == {held, free}


def test_the_first_statements_of_many_endpoints_are_few(engine: Engine, sink: Sink) -> None:
    ids = [an_endpoint(engine, sink.url).id for _ in range(2 * DRAINS_MAX)]
    events_happen(engine)
    begun: list[int] = []

    def answer(_: Received) -> Answer:
        sink.wait_for(len(ids))  # nobody has anything to record before
        begun.append(len(statements))
        return Answer()

    sink.answer = answer
    with (
        statements_of(engine, that=is_of_a_drain) as statements,
        a_deliverer(engine, limits=PATIENT) as deliverer,
    ):
        deliverer.hand_over(ids).result(patience_s())
        wait_for(
            lambda: {row["state"] for row in deliveries(engine)},
            until=lambda states: states == {"delivered"},
            what="all to be recorded",
        )
    # Each list of theirs is one statement: a lease and a claim for all. How many come together is a
    # matter of the moment.
    assert min(begun) <= len(ids) / 8


def test_one_that_works_waits_behind_none_of_those_that_nobody_knows(
    engine: Engine, sink: Sink
) -> None:
    well = an_endpoint(engine, sink.url)
    events_happen(engine)
    goes_on = threading.Event()

    def stand_still(others: Collection[str]) -> Callable[..., None]:
        def before(_c: Any, _cursor: Any, statement: str, parameters: Any, *_: Any) -> None:
            if is_of_a_drain(statement) and any(id_ in str(parameters) for id_ in others):
                goes_on.wait(patience_s())

        return before

    with a_deliverer(engine) as deliverer:
        assert deliverer.drain(well.id) == Drained(delivered=1)  # so it is known
        others = [an_endpoint(engine, URL).id for _ in range(20)]
        events_happen(engine)
        listener = stand_still(others)
        event.listen(engine, "before_cursor_execute", listener)
        try:
            deliverer.hand_over(others).result(patience_s())
            for number in range(2, 5):
                assert deliverer.submit(well.id).result(patience_s()) == Drained(delivered=1)
                assert len(sink.requests) == number
                events_happen(engine)
        finally:
            goes_on.set()
            event.remove(engine, "before_cursor_execute", listener)


def batches(answers: Sequence[Any]) -> list[DrainBatch]:
    assert all(isinstance(one, DrainBatch) for one in answers)
    return list(answers)


def is_of_a_drain(statement: str) -> bool:
    return "looked_at AS" in statement
