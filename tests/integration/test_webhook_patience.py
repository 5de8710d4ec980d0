"""What fails is left alone for a while, and for good after days; what asks for patience has it."""

from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import Engine, RowMapping, event

from infra.billing.contract.ids import delivery_id
from models.rows import EndpointRow
from payments.webhooks import endpoints, pings, replays
from payments.webhooks.draining.drains import Drained, due_endpoints
from payments.webhooks.draining.together import LOCKED
from payments.webhooks.pacing import disabling, troubles
from payments.webhooks.pacing.breaker import Tally
from payments.webhooks.pacing.troubles import Note
from tests.support.acting import Database
from tests.support.drains import take
from tests.support.sink import Answer, Received, Sink
from tests.support.vault import VAULT
from tests.support.waiting import patience_s
from tests.support.webhooks import (
    a_deliverer,
    all_is_due,
    an_endpoint,
    attempts,
    deliveries,
    events_happen,
    rows,
)

URL = "http://127.0.0.1:1/hook"


def standing(engine: Engine) -> RowMapping:
    """The one endpoint that has a delivery, with the seconds for which it is left alone."""
    (row,) = rows(
        engine,
        "SELECT *, extract(epoch FROM held_back_until - now())::float AS held_back_s"
        " FROM webhook_endpoints e WHERE EXISTS (SELECT FROM deliveries WHERE endpoint_id = e.id)",
    )
    return row


def change(engine: Engine, values: str) -> None:
    told_of = "id IN (SELECT endpoint_id FROM deliveries)"
    rows(engine, f"UPDATE webhook_endpoints SET {values} WHERE {told_of}")


def swept(engine: Engine) -> int:
    with Database(engine).transaction() as transaction:
        return disabling.disable_or_warn(transaction, limit=100)


def told(engine: Engine) -> list[tuple[str, str]]:
    """The events about endpoints, and who is told."""
    found = rows(
        engine,
        "SELECT e.type, d.endpoint_id FROM events e LEFT JOIN deliveries d ON d.event_id = e.id"
        " WHERE e.type LIKE 'endpoint.%' ORDER BY e.position, d.endpoint_id",
    )
    return [(row["type"], row["endpoint_id"]) for row in found]


@pytest.mark.parametrize("status", [429, 503])
def test_who_asks_for_patience_is_left_alone_and_no_other_delivery_is_tried(
    engine: Engine, sink: Sink, status: int
) -> None:
    sink.answer = Answer(status, headers={"retry-after": "1000"})
    endpoint = an_endpoint(engine, sink.url, max_in_flight=1)
    events_happen(engine, 5)
    with a_deliverer(engine) as deliverer:
        assert deliverer.drain(endpoint.id) == Drained(retried=1)
        all_is_due(engine)
        assert deliverer.drain(endpoint.id) == Drained()
    assert [row["attempts"] for row in deliveries(engine)] == [1, 0, 0, 0, 0]
    row = standing(engine)
    assert row["held_back_because"] == "retry_after"
    assert 900 < row["held_back_s"] <= 1000
    with engine.begin() as connection:
        assert due_endpoints(connection) == []


def test_nobody_is_woken_for_what_is_left_alone(engine: Engine, sink: Sink) -> None:
    sink.answer = Answer(503, headers={"retry-after": "1000"})
    endpoint = an_endpoint(engine, sink.url)
    events_happen(engine)
    with a_deliverer(engine) as deliverer:
        deliverer.drain(endpoint.id)
    woken: list[Any] = []
    with Database(engine, woken.append).transaction() as transaction:
        endpoints.disable(transaction, an_endpoint(engine, URL).id)  # an event for all others
    assert woken == []
    change(engine, "held_back_until = now()")
    with engine.begin() as connection:
        assert due_endpoints(connection) == [endpoint.id]


def test_patience_has_an_end(engine: Engine, sink: Sink) -> None:
    sink.answer = Answer(429, headers={"retry-after": "999999"})
    endpoint = an_endpoint(engine, sink.url)
    events_happen(engine)
    with a_deliverer(engine) as deliverer:
        deliverer.drain(endpoint.id)
    assert standing(engine)["held_back_s"] <= 36_000


def test_other_errors_with_retry_after_speak_for_their_webhook_alone(
    engine: Engine, sink: Sink
) -> None:
    sink.answer = Answer(500, headers={"retry-after": "1000"})
    endpoint = an_endpoint(engine, sink.url)
    events_happen(engine)
    with a_deliverer(engine) as deliverer:
        deliverer.drain(endpoint.id)
    assert standing(engine)["held_back_until"] is None


def test_most_of_ten_fail_and_one_probe_decides(engine: Engine, sink: Sink) -> None:
    sink.answer = Answer(500)
    endpoint = an_endpoint(engine, sink.url, max_in_flight=1)
    events_happen(engine, 30)
    with a_deliverer(engine) as deliverer:
        deliverer.drain(endpoint.id)
        tried = len(sink.requests)
        assert 10 <= tried < 30
        row = standing(engine)
        assert (row["held_back_because"], row["back_offs"]) == ("failing", 1)
        assert 25 < row["held_back_s"] <= 36
        # Its time is up, and it fails again: one attempt, and twice the wait.
        change(engine, "held_back_until = now()")
        assert deliverer.drain(endpoint.id) == Drained(retried=1)
        row = standing(engine)
        assert (len(sink.requests), row["back_offs"]) == (tried + 1, 2)
        assert 50 < row["held_back_s"] <= 72
        # And it is back: all that is due arrives, beginning with one at a time.
        sink.answer = Answer()
        change(engine, "held_back_until = now()")
        all_is_due(engine)
        assert deliverer.drain(endpoint.id) == Drained(delivered=30)
    row = standing(engine)
    assert (row["back_offs"], row["failing_since"], row["counted_since"]) == (0, None, None)


def test_a_probe_is_one_post_however_wide_the_window_may_be(engine: Engine, sink: Sink) -> None:
    endpoint = an_endpoint(engine, sink.url, max_in_flight=64)
    events_happen(engine, 20)
    change(engine, "back_offs = 3")
    sink.answer = Answer(500)
    with a_deliverer(engine) as deliverer:
        assert deliverer.drain(endpoint.id) == Drained(retried=1)
    assert len(sink.requests) == 1


def test_an_endpoint_that_dislikes_one_in_ten_is_not_left_alone(engine: Engine, sink: Sink) -> None:
    def answer(_: Received) -> Answer:
        return Answer(500 if len(sink.requests) % 10 == 0 else 204)

    sink.answer = answer
    endpoint = an_endpoint(engine, sink.url)
    events_happen(engine, 100)
    with a_deliverer(engine) as deliverer:
        drained = deliverer.drain(endpoint.id)
    assert drained.delivered + drained.retried == 100
    assert standing(engine)["held_back_until"] is None


def test_410_disables_the_endpoint_and_the_others_are_told(engine: Engine, sink: Sink) -> None:
    sink.answer = Answer(410)
    gone = an_endpoint(engine, sink.url, max_in_flight=1)
    events_happen(engine, 3)
    other = an_endpoint(engine, URL)
    with a_deliverer(engine) as deliverer:
        assert deliverer.drain(gone.id) == Drained(retried=1)
        assert swept(engine) == 1
        assert swept(engine) == 0
        assert deliverer.drain(gone.id) == Drained()
    (row,) = rows(engine, "SELECT * FROM webhook_endpoints WHERE id = :id", id=gone.id)
    assert (row["state"], row["disabled_because"]) == ("disabled", "gone")
    assert told(engine) == [("endpoint.disabled", other.id)]
    # Its rows stay, and are sent when somebody enables it.
    assert [row["state"] for row in deliveries(engine)[:3]] == ["pending"] * 3
    sink.answer = Answer()
    with Database(engine).transaction() as transaction:
        enabled = endpoints.enable(transaction, gone.id)
    assert (enabled.disabled_because, enabled.held_back_until) == (None, None)
    all_is_due(engine)
    with a_deliverer(engine) as deliverer:
        assert deliverer.drain(gone.id) == Drained(delivered=3)


def test_after_days_the_others_are_warned_and_then_it_is_disabled(engine: Engine) -> None:
    failing, other = an_endpoint(engine, URL), an_endpoint(engine, URL)

    def failing_for(hours: int, *, has_given_up: bool) -> None:
        rows(
            engine,
            "UPDATE webhook_endpoints SET failing_since = now() - :hours * interval '1 hour',"
            " has_given_up = :has_given_up WHERE id = :id",
            id=failing.id,
            hours=hours,
            has_given_up=has_given_up,
        )

    failing_for(59, has_given_up=True)
    assert swept(engine) == 0
    failing_for(61, has_given_up=False)
    assert (swept(engine), swept(engine)) == (1, 0)
    assert told(engine) == [("endpoint.failing", other.id)]
    failing_for(121, has_given_up=False)
    assert swept(engine) == 0
    failing_for(121, has_given_up=True)
    assert (swept(engine), swept(engine)) == (1, 0)
    assert told(engine)[1:] == [("endpoint.disabled", other.id)]
    with Database(engine).transaction() as transaction:
        shown = endpoints.view(endpoints.get(transaction, failing.id))
    assert (shown["state"], shown["disabled_because"]) == ("disabled", "failing")


def test_what_uses_up_its_attempts_is_remembered_until_something_is_accepted(
    engine: Engine, sink: Sink
) -> None:
    sink.answer = Answer(500)
    endpoint = an_endpoint(engine, sink.url)
    events_happen(engine)
    rows(engine, "UPDATE deliveries SET attempts = 9")
    with a_deliverer(engine) as deliverer:
        assert deliverer.drain(endpoint.id) == Drained(exhausted=1)
        row = standing(engine)
        assert row["has_given_up"]
        assert row["failing_since"] is not None
        sink.answer = Answer()
        events_happen(engine)
        assert deliverer.drain(endpoint.id) == Drained(delivered=1)
    row = standing(engine)
    assert (row["has_given_up"], row["failing_since"]) == (False, None)


@pytest.mark.parametrize("what", ["ping", "replay", "url"])
def test_who_says_that_it_works_again_is_believed(engine: Engine, sink: Sink, what: str) -> None:
    sink.answer = Answer(503, headers={"retry-after": "1000"})
    endpoint = an_endpoint(engine, sink.url)
    events_happen(engine)
    with a_deliverer(engine) as deliverer:
        deliverer.drain(endpoint.id)
        sink.answer = Answer()
        with Database(engine).transaction() as transaction:
            if what == "ping":
                pings.ping(transaction, endpoint.id)
            elif what == "replay":
                ids = [row["id"] for row in rows(engine, "SELECT id FROM events")]
                replays.replay(transaction, endpoint.id, event_ids=ids)
            else:
                url = f"{sink.url}/new"
                check = deliverer._target_check
                endpoints.update(
                    transaction,
                    endpoint.id,
                    changes={"url": url},
                    target_check=check,
                    vault=VAULT,
                )
        all_is_due(engine)
        assert deliverer.drain(endpoint.id).delivered
    assert standing(engine)["held_back_until"] is None


@pytest.mark.parametrize("what", ["ping", "retry", "replay"])
def test_who_asks_for_one_has_one_posted_and_what_failed_is_not_forgotten(
    engine: Engine, sink: Sink, what: str
) -> None:
    sink.answer = Answer(500)
    endpoint = an_endpoint(engine, sink.url, max_in_flight=64)
    events_happen(engine, 30)
    # It has failed for days, and is left alone; all that waits is due.
    change(
        engine,
        "failing_since = now() - interval '5 days', has_given_up = true, back_offs = 3,"
        " held_back_until = now() + interval '5 minutes', held_back_because = 'failing'",
    )
    events = [row["id"] for row in rows(engine, "SELECT id FROM events ORDER BY position")]
    with Database(engine).transaction() as transaction:
        if what == "ping":
            wanted = pings.ping(transaction, endpoint.id)
        elif what == "retry":
            wanted = events[20]
            (one,) = [row for row in deliveries(engine) if row["event_id"] == wanted]
            replays.retry(transaction, delivery_id(one["id"]))
        else:
            replays.replay(transaction, endpoint.id, event_ids=events)
    with a_deliverer(engine) as deliverer:
        assert deliverer.drain(endpoint.id) == Drained(retried=1)
    (posted,) = sink.requests
    if what != "replay":
        assert posted.headers["webhook-id"] == wanted
    row = standing(engine)
    assert (row["back_offs"], row["has_given_up"]) == (4, True)
    assert row["held_back_s"] > 200
    (age,) = rows(
        engine,
        "SELECT now() - failing_since > interval '4 days' AS is_old FROM webhook_endpoints"
        " WHERE failing_since IS NOT NULL",
    )
    assert age["is_old"]


def test_what_is_enabled_while_answers_are_counted_stays_so(engine: Engine) -> None:
    """A person enables it between what is read of it and what is written."""
    endpoint = an_endpoint(engine, URL)
    events_happen(engine)
    token = uuid4()
    with engine.connect() as connection:
        assert take(connection, endpoint.id, token)
        connection.commit()
    change(engine, "failing_since = now() - interval '5 days', has_given_up = true, back_offs = 3")
    note = Note(endpoint.id, token, Tally(failed=1), 0.0)

    enabled: list[EndpointRow] = []

    def enable(connection: object, cursor: object, statement: str, *_: object) -> None:
        # What was judged is about to be written.
        if "was text" in statement and not enabled:
            with Database(engine).transaction() as transaction:
                enabled.append(endpoints.enable(transaction, endpoint.id))

    event.listen(engine, "before_cursor_execute", enable)
    with engine.connect() as connection:
        at_once = connection.execution_options(isolation_level="AUTOCOMMIT")
        assert troubles.note(at_once, [note], waits=False) == [LOCKED]
        assert standing(engine)["back_offs"] == 0
        assert troubles.note(at_once, [note], waits=True) == [None]
    row = standing(engine)
    assert (row["back_offs"], row["counted_failed"], row["has_given_up"]) == (0, 1, False)


def test_a_drainer_that_lost_its_lease_counts_nothing(engine: Engine, sink: Sink) -> None:
    endpoint = an_endpoint(engine, sink.url)
    events_happen(engine)

    asked: list[Received] = []

    def answer(received: Received) -> Answer:
        asked.append(received)
        if len(asked) == 1:
            change(engine, "drain_token = NULL, drain_expires_at = NULL")
        return Answer(410)

    sink.answer = answer
    with a_deliverer(engine) as deliverer:
        deliverer.submit(endpoint.id).result(patience_s())
    # It took the endpoint again, and only what it was answered then counts.
    assert [attempt["number"] for attempt in attempts(engine)] == [1] * (len(asked) - 1)
    assert (standing(engine)["held_back_because"] == "gone") == (len(asked) > 1)
