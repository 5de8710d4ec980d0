"""Order beside replays, and where an endpoint goes over from strict to relaxed."""

from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import Engine

from payments.webhooks import endpoints
from payments.webhooks.draining.drains import Drained
from payments.webhooks.outbox import Fact, publish
from payments.webhooks.replays import replay
from payments.webhooks.target import TargetCheck
from tests.support.acting import Database
from tests.support.drains import next_batch, take
from tests.support.sink import Answer, Sink
from tests.support.vault import VAULT
from tests.support.webhooks import LOOPBACK, a_deliverer, an_endpoint, deliveries


def happens(engine: Engine, object_id: str, sequence: int) -> None:
    fact = Fact("charge.succeeded", object_id, sequence, {}, datetime.now(UTC), "tests")
    with Database(engine).transaction() as transaction:
        publish(transaction, [fact])


def change(engine: Engine, endpoint_id: str, **changes: Any) -> set[str]:
    """Changes the endpoint; returns which are woken."""
    with Database(engine).transaction() as transaction:
        endpoints.update(
            transaction,
            endpoint_id,
            changes=changes,
            target_check=TargetCheck(LOOPBACK),
            vault=VAULT,
        )
        return set(transaction.wakes.endpoints)


@pytest.mark.parametrize(("how", "waits"), [("relaxed", []), ("strict", [2])])
def test_what_just_happened_waits_for_no_replay_but_where_order_is_strict(
    engine: Engine, sink: Sink, how: str, waits: list[int]
) -> None:
    endpoint = an_endpoint(engine, sink.url)
    change(engine, endpoint.id, ordered=how)
    happens(engine, "ch_a", 1)
    with a_deliverer(engine) as deliverer:
        assert deliverer.drain(endpoint.id) == Drained(delivered=1)
    with Database(engine).transaction() as transaction:
        replay(transaction, endpoint.id, since=datetime(2000, 1, 1, tzinfo=UTC), only="all")
    happens(engine, "ch_a", 2)
    token = uuid4()
    with engine.begin() as connection:
        assert take(connection, endpoint.id, token)
        batch = next_batch(connection, endpoint.id, token, wanted=10, releasing=True)
    assert batch is not None
    assert len(batch.due) == 1 - len(waits)
    assert [row["object_sequence"] for row in deliveries(engine) if row["waits_for"]] == waits


def test_what_waited_for_a_strict_order_goes_on_at_once_when_it_is_relaxed(
    engine: Engine, sink: Sink
) -> None:
    endpoint = an_endpoint(engine, sink.url)
    change(engine, endpoint.id, ordered="strict", retry_schedule=[3600])
    sink.answer = lambda one: Answer(500 if one.json()["sequence"] == 1 else 204)
    for object_id in ("ch_a", "ch_b"):
        for sequence in (1, 2, 3):
            happens(engine, object_id, sequence)
    with a_deliverer(engine) as deliverer:
        assert deliverer.drain(endpoint.id) == Drained(retried=2)
        assert change(engine, endpoint.id, description="the shop") == set()
        assert deliverer.drain(endpoint.id) == Drained()
        assert change(engine, endpoint.id, ordered="relaxed") == {endpoint.id}
        assert deliverer.drain(endpoint.id) == Drained(delivered=4)
    assert [one.json()["sequence"] for one in sink.requests].count(3) == 2
