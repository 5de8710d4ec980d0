"""What an endpoint is sent after a replay, a ping, or when it is deleted."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import Engine

from infra.billing import webhook
from infra.billing.contract.ids import event_id
from payments.audit import verify
from payments.payment_errors import EndpointDisabled, InvalidRequest
from payments.transaction import Transaction
from payments.webhooks import endpoints, leftovers, replays
from payments.webhooks.draining.drains import Drained
from payments.webhooks.outbox import Fact, publish
from payments.webhooks.pings import ping
from payments.webhooks.replays import Replayed, replay
from payments.webhooks.target import TargetCheck
from tests.support.acting import Database
from tests.support.every import every
from tests.support.sink import Answer, Received, Sink
from tests.support.vault import VAULT
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
LONG_AGO = datetime(2000, 1, 1, tzinfo=UTC)


def send_again(engine: Engine, endpoint_id: str, **what: Any) -> Replayed:
    what = what or {"since": LONG_AGO}
    with Database(engine).transaction() as transaction:
        replayed = replay(transaction, endpoint_id, **what)
        assert transaction.wakes.endpoints == ({endpoint_id} if replayed.count else set())
    return replayed


def change(engine: Engine, verb: Any, endpoint_id: str, **options: Any) -> Any:
    with Database(engine).transaction() as transaction:
        return verb(transaction, endpoint_id, **options)


def event_ids(charge_ids: list[str]) -> list[str]:
    return [event_id(id_, 1) for id_ in charge_ids]


def drained(engine: Engine, endpoint_id: str) -> Drained:
    with a_deliverer(engine) as deliverer:
        return deliverer.drain(endpoint_id)


# --- Replays ---


def test_what_was_delivered_is_sent_again_under_the_same_id(engine: Engine, sink: Sink) -> None:
    endpoint = an_endpoint(engine, sink.url)
    ids = event_ids(events_happen(engine, 3))
    drained(engine, endpoint.id)
    assert send_again(engine, endpoint.id, event_ids=ids[:1]) == Replayed(1)
    assert drained(engine, endpoint.id) == Drained(delivered=1)
    *first, again = sink.requests
    (before,) = [one for one in first if one.headers["webhook-id"] == ids[0]]
    assert (again.headers["webhook-id"], again.body) == (ids[0], before.body)
    assert sorted(row["attempts"] for row in deliveries(engine)) == [1, 1, 2]
    assert len(attempts(engine)) == 4


def test_what_was_given_up_gets_all_its_attempts_anew(engine: Engine, sink: Sink) -> None:
    sink.answer = Answer(500)
    endpoint = an_endpoint(engine, sink.url)
    events_happen(engine)

    def until_given_up() -> int:
        with a_deliverer(engine) as deliverer:
            for tries in range(1, 12):
                if deliverer.drain(endpoint.id).exhausted:
                    return tries
                all_is_due(engine)
                rows(
                    engine,
                    "UPDATE webhook_endpoints SET held_back_until = now()"
                    " WHERE held_back_until IS NOT NULL",
                )
        raise AssertionError("never given up")

    assert until_given_up() == 10
    assert send_again(engine, endpoint.id).count == 1
    (delivery,) = deliveries(engine)
    assert (delivery["state"], delivery["finished_at"]) == ("pending", None)
    assert until_given_up() == 10
    assert [row["number"] for row in attempts(engine)] == list(range(1, 21))


def test_only_what_was_not_delivered_is_sent_unless_all_is_asked_for(
    engine: Engine, sink: Sink
) -> None:
    endpoint = an_endpoint(engine, sink.url)
    events_happen(engine, 2)
    drained(engine, endpoint.id)
    assert send_again(engine, endpoint.id).count == 0
    events_happen(engine)
    rows(
        engine,
        "UPDATE deliveries SET next_attempt_at = now() + interval '1 day' WHERE state = 'pending'",
    )
    assert send_again(engine, endpoint.id, since=LONG_AGO).count == 1
    assert drained(engine, endpoint.id).delivered == 1
    assert send_again(engine, endpoint.id, since=LONG_AGO, only="all").count == 3
    assert drained(engine, endpoint.id).delivered == 3


def test_an_endpoint_hears_of_what_happened_before_it_was_there_or_while_it_was_disabled(
    engine: Engine, sink: Sink
) -> None:
    ids = event_ids(events_happen(engine, 2))
    endpoint = an_endpoint(engine, sink.url)
    change(engine, endpoints.disable, endpoint.id)
    ids += event_ids(events_happen(engine, 2))
    change(engine, endpoints.enable, endpoint.id)
    assert deliveries(engine) == []
    assert send_again(engine, endpoint.id) == Replayed(4, has_more=False, next_after=5)
    drained(engine, endpoint.id)
    assert sorted(one.headers["webhook-id"] for one in sink.requests) == sorted(ids)


def test_a_range_holds_what_the_endpoint_asks_for_now(engine: Engine) -> None:
    endpoint = an_endpoint(engine, URL)
    events_happen(engine, 2)
    rows(engine, "UPDATE events SET type = 'charge.pending' WHERE position = 1")
    rows(engine, "DELETE FROM deliveries")
    other = an_endpoint(engine, URL)
    change(engine, ping, other.id)
    assert send_again(engine, endpoint.id).count == 1
    types = {"event_types": ["charge.pending", "charge.succeeded", "ping"]}
    with Database(engine).transaction() as transaction:
        given = {"target_check": TargetCheck(), "vault": VAULT}
        endpoints.update(transaction, endpoint.id, changes=types, **given)
    assert send_again(engine, endpoint.id).count == 2  # another's ping is nobody else's
    assert send_again(engine, other.id, only="all", since=LONG_AGO).count == 2


def test_a_range_begins_with_its_first_moment_and_ends_before_its_last(engine: Engine) -> None:
    events_happen(engine, 500)
    # An hour apart each, and a little out of order, as concurrent transactions leave them.
    rows(
        engine,
        "UPDATE events SET created_at = timestamptz '2026-01-01 00:00Z'"
        " + (position + CASE position % 10 WHEN 0 THEN 1 WHEN 1 THEN -1 ELSE 0 END)"
        " * interval '20 seconds'",
    )
    endpoint = an_endpoint(engine, URL)
    start = datetime(2026, 1, 1, tzinfo=UTC)
    for first, last in ((0, 501), (1, 2), (100, 101), (99, 113), (250, 490), (490, 900), (9, 9)):
        since, until = (start + timedelta(seconds=20 * n) for n in (first, last))
        rows(engine, "DELETE FROM deliveries")
        send_again(engine, endpoint.id, since=since, until=until)
        sent = {row["event_id"] for row in deliveries(engine)}
        wished = rows(
            engine,
            "SELECT id FROM events WHERE created_at >= :since AND created_at < :until",
            since=since,
            until=until,
        )
        assert sent == {row["id"] for row in wished}


def test_what_was_written_early_and_dated_late_is_in_its_range(engine: Engine) -> None:
    events_happen(engine, 60)
    # A transaction that lasted half a minute: its event is dated when it began, and numbered when
    # it was written. Each third is half a minute out of order, both ways.
    rows(
        engine,
        "UPDATE events SET created_at = timestamptz '2026-01-01 00:00Z'"
        " + position * interval '1 second'"
        " + (CASE position % 3 WHEN 0 THEN 30 WHEN 1 THEN -30 ELSE 0 END) * interval '1 second'",
    )
    endpoint = an_endpoint(engine, URL)
    start = datetime(2026, 1, 1, tzinfo=UTC)
    for first, last in ((20, 21), (0, 30), (30, 45), (59, 91)):
        since, until = (start + timedelta(seconds=n) for n in (first, last))
        rows(engine, "DELETE FROM deliveries")
        send_again(engine, endpoint.id, since=since, until=until)
        within = "SELECT id FROM events WHERE created_at >= :since AND created_at < :until"
        wished = {row["id"] for row in rows(engine, within, since=since, until=until)}
        assert {row["event_id"] for row in deliveries(engine)} == wished
        assert wished


def test_a_long_range_comes_in_parts(engine: Engine) -> None:
    events_happen(engine, 7)
    endpoint = an_endpoint(engine, URL)
    counts, after = [], 0
    for more in (True, True, False):
        part = send_again(engine, endpoint.id, since=LONG_AGO, limit=3, after=after)
        assert part.has_more is more
        counts.append(part.count)
        after = part.next_after
    assert counts == [3, 3, 1]
    assert send_again(engine, endpoint.id, since=LONG_AGO, after=after).count == 0
    assert not send_again(engine, endpoint.id, since=LONG_AGO, limit=7).has_more


def test_a_call_looks_at_some_events_and_says_where_to_go_on(
    engine: Engine, sink: Sink, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many were delivered long ago, each call ends."""
    monkeypatch.setattr(replays, "LOOKED_AT_MAX", 3)
    endpoint = an_endpoint(engine, sink.url)
    events_happen(engine, 8)
    assert drained(engine, endpoint.id).delivered == 8
    (last,) = rows(engine, "SELECT id FROM events ORDER BY position DESC LIMIT 1")
    rows(engine, "DELETE FROM deliveries WHERE event_id = :id", id=last["id"])
    parts, after = [], 0
    while not parts or parts[-1].has_more:
        parts.append(send_again(engine, endpoint.id, since=LONG_AGO, after=after))
        after = parts[-1].next_after
    assert [part.count for part in parts] == [0, 0, 1]


def test_what_is_replayed_while_it_is_posted_stays_due(engine: Engine, sink: Sink) -> None:
    endpoint = an_endpoint(engine, sink.url)
    events_happen(engine)

    def answer(_: Received) -> Answer:
        if len(sink.requests) == 1:
            send_again(engine, endpoint.id)
            return Answer(500)
        return Answer()

    sink.answer = answer
    # The second post is made at once: the first one's schedule is not what counts.
    rows(engine, "UPDATE deliveries SET attempts = 9")
    with a_deliverer(engine) as deliverer:
        first = deliverer.drain(endpoint.id)
        assert first.delivered or deliverer.drain(endpoint.id).delivered
    assert [row["state"] for row in deliveries(engine)] == ["delivered"]
    assert [row["status_code"] for row in attempts(engine)] == [500, 204]


@every(
    "what, fix",
    [
        ({"since": None}, "send event_ids, or since"),
        ({"since": LONG_AGO, "event_ids": ["evt_x"]}, "send event_ids, or since"),
        ({"event_ids": []}, "1 to 1000"),
        ({"event_ids": ["evt_x"] * 1001}, "1 to 1000"),
        ({"event_ids": [7]}, "1 to 1000"),
        ({"event_ids": "evt_x"}, "list"),
        ({"event_ids": ["evt_x", "\x00", "evt_" + "a" * 32]}, "3 of the 3 event ids are not"),
        ({"since": datetime(2026, 1, 1)}, "zone"),  # noqa: DTZ001
        ({"since": LONG_AGO, "until": datetime(2026, 1, 1)}, "zone"),  # noqa: DTZ001
        (
            {"since": LONG_AGO, "only": "some"},
            "one of 'undelivered', 'failed', 'missed', 'all'",
        ),
    ],
)
def test_what_is_wrong_is_named(engine: Engine, what: dict[str, Any], fix: str) -> None:
    endpoint = an_endpoint(engine, URL)
    with pytest.raises(InvalidRequest, match=fix):
        send_again(engine, endpoint.id, **what)


def test_with_one_unknown_id_nothing_is_sent(engine: Engine) -> None:
    ids = event_ids(events_happen(engine))
    endpoint = an_endpoint(engine, URL)
    with pytest.raises(InvalidRequest, match="1 of the 2"):
        send_again(engine, endpoint.id, event_ids=[*ids, event_id("ch_nobody", 1)])
    assert deliveries(engine) == []


# --- Pings ---


def test_a_ping_is_for_one_endpoint_alone_whatever_it_asks_for(engine: Engine, sink: Sink) -> None:
    endpoint, other = an_endpoint(engine, sink.url), an_endpoint(engine, URL)
    rows(engine, "UPDATE webhook_endpoints SET event_types = '{charge.failed}'")
    ids = [change(engine, ping, endpoint.id) for _ in range(2)]
    assert ids == [event_id(endpoint.id, 1), event_id(endpoint.id, 2)]
    assert drained(engine, endpoint.id).delivered == 2
    assert {row["endpoint_id"] for row in deliveries(engine)} == {endpoint.id}
    for number, received in enumerate(sorted(sink.requests, key=lambda r: r.json()["sequence"]), 1):
        event = webhook.verify(received.body, received.headers, endpoint.secrets[0])
        assert (event.type, event.sequence) == ("ping", number)
        assert event.data["id"] == endpoint.id
        assert "secret" not in received.body.decode()
    assert other.id not in sink.requests[0].body.decode()


@pytest.mark.parametrize("verb", [ping, lambda t, id_: replay(t, id_, since=LONG_AGO)])
def test_a_disabled_endpoint_is_to_be_enabled_first(engine: Engine, verb: Any) -> None:
    endpoint = an_endpoint(engine, URL)
    change(engine, endpoints.disable, endpoint.id)
    with pytest.raises(EndpointDisabled, match="enable it first"):
        change(engine, verb, endpoint.id)


# --- Deleted ones ---


def test_an_endpoint_that_is_deleted_while_it_is_drained_gets_nothing_more(
    engine: Engine, sink: Sink
) -> None:
    endpoint = an_endpoint(engine, sink.url, max_in_flight=1)
    events_happen(engine, 20)

    def answer(_: Received) -> Answer:
        if len(sink.requests) == 1:
            change(engine, endpoints.delete, endpoint.id)
            with Database(engine).transaction() as transaction:
                leftovers.give_up(transaction, limit=100)  # as the sweep does
        return Answer(500 if len(sink.requests) == 1 else 204, delay_s=0.2)

    sink.answer = answer
    drained(engine, endpoint.id)
    assert len(sink.requests) < 10
    told = deliveries(engine)
    assert {row["state"] for row in told} <= {"exhausted", "delivered"}
    # What was posted is on record, and what failed is not tried again.
    assert len(attempts(engine)) == len(sink.requests)
    assert next(row["state"] for row in told if row["attempts"]) == "exhausted"
    for row in told:
        assert row["next_attempt_at"] is None
        assert row["finished_at"] is not None
    events_happen(engine)
    assert len(deliveries(engine)) == 20


def test_what_waits_for_a_deleted_endpoint_is_given_up_in_turns(engine: Engine) -> None:
    endpoint, other = an_endpoint(engine, URL), an_endpoint(engine, URL)
    events_happen(engine, 3)
    with engine.connect() as slow:
        # It began before the endpoint was deleted and ends after: who deletes can't see it.
        fact = Fact(
            "charge.succeeded", "ch_slow", 1, {"charge_id": "ch_slow"}, datetime.now(UTC), "tests"
        )
        publish(Transaction(slow), [fact])
        change(engine, endpoints.delete, endpoint.id)
        slow.commit()
    given_up: list[int] = []
    while not given_up or given_up[-1]:
        with Database(engine).transaction() as transaction:
            given_up.append(leftovers.give_up(transaction, limit=3))
    assert given_up == [3, 1, 0]
    states = {(row["endpoint_id"], row["state"]) for row in deliveries(engine)}
    assert states == {(endpoint.id, "exhausted"), (other.id, "pending")}


def test_the_ping_of_another_endpoint_is_not_replayed(engine: Engine) -> None:
    endpoint, other = an_endpoint(engine, URL), an_endpoint(engine, URL)
    change(engine, ping, other.id)
    with pytest.raises(InvalidRequest, match="not known"):
        send_again(engine, endpoint.id, event_ids=[event_id(other.id, 1)])
    assert send_again(engine, other.id, event_ids=[event_id(other.id, 1)]).count == 1


def test_verify_is_content_with_pings_new_types_replays_and_deleted_endpoints(
    engine: Engine, sink: Sink
) -> None:
    endpoint, deleted = an_endpoint(engine, sink.url), an_endpoint(engine, URL)
    rows(engine, "UPDATE webhook_endpoints SET subscribed_at = now() - interval '1 hour'")
    change(engine, ping, endpoint.id)
    change(engine, ping, deleted.id)
    events_happen(engine)
    send_again(engine, endpoint.id, since=LONG_AGO, only="all")
    change(engine, endpoints.delete, deleted.id)
    drained(engine, endpoint.id)
    for finding in verify.verify(engine, statements={}):
        assert finding.is_kept, finding
