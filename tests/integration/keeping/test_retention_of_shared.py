"""An event leaves with all of its deliveries, or with none."""

import pytest
from sqlalchemy import Engine, text

from payments.webhooks.draining.drains import Drained
from tests.integration.keeping.test_retention import count, days_pass, sweep
from tests.support.sink import Sink
from tests.support.webhooks import a_deliverer, an_endpoint, deliveries, events_happen


@pytest.mark.parametrize("which", [0, 1])
def test_what_is_replayed_meanwhile_keeps_what_the_others_were_sent(
    engine: Engine, sink: Sink, which: int
) -> None:
    endpoints = [an_endpoint(engine, sink.url) for _ in range(2)]
    events_happen(engine, 2)
    with a_deliverer(engine) as deliverer:
        for endpoint in endpoints:
            assert deliverer.drain(endpoint.id) == Drained(delivered=2)
    days_pass(engine, 100)
    replayed = deliveries(engine)[which]["id"]
    with engine.begin() as connection:
        # As a replay does, which doesn't touch the event.
        connection.execute(
            text(
                "UPDATE deliveries SET state = 'pending', next_attempt_at = now(),"
                " finished_at = NULL WHERE id = :id"
            ),
            {"id": replayed},
        )
        sweep(engine)
    assert count(engine, "events") == 1
    assert count(engine, "deliveries") == 2
    (event,) = {row["event_id"] for row in deliveries(engine)}
    assert event is not None
    assert {row["endpoint_id"] for row in deliveries(engine)} == {one.id for one in endpoints}
