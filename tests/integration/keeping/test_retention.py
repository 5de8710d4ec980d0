"""What leaves when it was kept for its time, what stays, and who is told."""

from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import Engine, text

from payments.access.scopes import OPERATOR
from payments.audit.verify import verify
from payments.history.timeline import timeline
from payments.keeping import retention
from payments.keeping.retention import Keep
from payments.payment_errors import EventsGone
from payments.transaction import wakes_nothing
from payments.webhooks import feed
from payments.webhooks.draining.drains import Drained
from payments.webhooks.pings import ping
from service.settings import Settings
from service.wiring import services
from tests.support.acting import Database
from tests.support.command import Billing
from tests.support.counter import Counter, counter
from tests.support.every import every
from tests.support.sandbox import STATEMENTS
from tests.support.sink import Sink
from tests.support.webhooks import a_deliverer, an_endpoint, events_happen, rows
from worker.sweeps import sweeping
from worker.sweeps.sweeping import Sweeper

FOR_EVER = Keep(0, 0, 0, 0, 0)
ALL = Keep(90, 30, 90, 30, 30)


def kept(**days: int) -> Keep:
    return Keep(**{name: days.get(name, 0) for name in Keep.__slots__})


@pytest.fixture
def till(engine: Engine) -> Iterator[Counter]:
    with counter(engine) as busy:
        yield busy


def count(engine: Engine, table: str) -> int:
    return int(rows(engine, f"SELECT count(*) AS n FROM {table}")[0]["n"])


def days_pass(engine: Engine, days: int) -> None:
    """All that is there becomes so much older."""
    for table, *columns in (
        ("events", "created_at"),
        ("deliveries", "created_at", "finished_at"),
        ("delivery_attempts", "started_at"),
        ("charges", "created_at", "settled_at"),
        ("refunds", "created_at", "settled_at"),
        ("webhook_endpoints", "subscribed_at", "created_at"),
        ("rejected_requests", "created_at"),
        ("quarantined_messages", "created_at", "released_at"),
        ("requests_made", "created_at"),
    ):
        changes = ", ".join(f"{name} = {name} - :days * interval '1 day'" for name in columns)
        rows(engine, f"UPDATE {table} SET {changes}", days=days)


def sweep(engine: Engine, keep: Keep = ALL, *, times: int = 3) -> int:
    """So many sweeps, and nobody rests between walks."""
    left = 0
    for _ in range(times):
        rows(engine, "UPDATE retention SET rested_at = NULL")
        for step in retention.steps(keep):
            with Database(engine).transaction() as transaction:
                left += step(transaction)
    return left


def delivered(engine: Engine, sink: Sink, number: int = 3) -> str:
    """An endpoint, and so many events that arrived there; its id."""
    endpoint = an_endpoint(engine, sink.url)
    events_happen(engine, number)
    with a_deliverer(engine) as deliverer:
        assert deliverer.drain(endpoint.id) == Drained(delivered=number)
    return endpoint.id


def test_posts_leave_after_a_month_and_events_with_their_deliveries_after_a_quarter(
    engine: Engine, sink: Sink
) -> None:
    delivered(engine, sink)
    days_pass(engine, 29)
    assert sweep(engine) == 0
    days_pass(engine, 2)
    assert sweep(engine) == 3
    assert (count(engine, "events"), count(engine, "deliveries")) == (3, 3)
    assert count(engine, "delivery_attempts") == 0
    delivered(engine, sink, 2)
    days_pass(engine, 60)
    sweep(engine)
    assert count(engine, "events") == 2


def test_what_is_kept_for_ever_stays(engine: Engine, sink: Sink) -> None:
    delivered(engine, sink)
    days_pass(engine, 30_000)
    assert sweep(engine, FOR_EVER) == 0
    assert retention.steps(FOR_EVER) == []
    assert count(engine, "delivery_attempts") == 3


def test_what_is_still_to_be_delivered_stays_however_old(engine: Engine, sink: Sink) -> None:
    an_endpoint(engine, sink.url)
    events_happen(engine, 2)
    rows(engine, "UPDATE deliveries SET state = 'delivered', finished_at = now() WHERE id = 1")
    days_pass(engine, 100)
    assert sweep(engine) == 1
    (left,) = rows(engine, "SELECT id, state, event_id FROM deliveries")
    assert left["state"] == "pending"
    assert [row["id"] for row in rows(engine, "SELECT id FROM events")] == [left["event_id"]]
    rows(engine, "UPDATE deliveries SET state = 'exhausted', finished_at = created_at")
    assert sweep(engine) == 1
    assert count(engine, "deliveries") == 0


def test_what_happened_to_something_pending_stays(till: Counter) -> None:
    waiting = till.charge(payment_method_id="pm_sandbox_requires_action")
    paid = till.charge()
    days_pass(till.engine, 100)
    sweep(till.engine)
    left = {row["object_id"] for row in rows(till.engine, "SELECT object_id FROM events")}
    assert left == {waiting["id"]}
    assert paid["id"] not in left


def test_the_numbers_of_an_endpoints_events_go_on(engine: Engine, sink: Sink) -> None:
    endpoint = an_endpoint(engine, sink.url)

    def pinged() -> str:
        with Database(engine).transaction() as transaction:
            return ping(transaction, endpoint.id)

    ids = [pinged() for _ in range(3)]
    rows(engine, "UPDATE deliveries SET state = 'delivered', finished_at = now()")
    days_pass(engine, 100)
    assert sweep(engine) == 2
    assert rows(engine, "SELECT sequence FROM events") == [{"sequence": 3}]
    assert pinged() not in ids


def test_a_page_at_a_time_and_a_walk_goes_on_where_it_was(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retention, "PAGE", 2)
    events_happen(engine, 5)
    days_pass(engine, 100)
    events_happen(engine)
    (step,) = retention.steps(kept(events=90))

    def swept() -> int:
        with Database(engine).transaction() as transaction:
            return step(transaction)

    assert [swept() for _ in range(4)] == [2, 2, 1, 0]  # then it rests
    assert count(engine, "events") == 1


def test_two_beats_walk_no_page_twice_and_wait_for_nobody(engine: Engine) -> None:
    events_happen(engine, 3)
    days_pass(engine, 100)
    (step,) = retention.steps(kept(events=90))
    with Database(engine).transaction() as one, Database(engine).transaction() as other:
        assert step(one) == 3
        assert step(other) == 0


def test_what_another_transaction_holds_is_left_for_the_next_walk(engine: Engine) -> None:
    first, _ = events_happen(engine, 2)
    days_pass(engine, 100)
    with engine.begin() as connection:
        connection.execute(
            text("SELECT FROM events WHERE object_id = :id FOR KEY SHARE"), {"id": first}
        )
        assert sweep(engine) == 1
    assert sweep(engine) == 1


REJECTED = """
    INSERT INTO rejected_requests (id, task, code, detail, request)
    VALUES ('rej_1', 't', 'c', 'd', '{}')
"""
RELEASED = """
    INSERT INTO quarantined_messages (queue, reason, sha256, size, raw, released_at)
    VALUES ('q', 'r', 's', 1, 'x', now())
"""
MADE = """
    INSERT INTO requests_made (id, producer, idempotency_key, operation, fingerprint)
    VALUES ('1', 'p', 'k', 'o', 'f')
"""


@every(
    "table, make, days",
    [
        ("rejected_requests", REJECTED, 90),
        ("quarantined_messages", RELEASED, 30),
        ("requests_made", MADE, 30),
    ],
)
def test_each_table_has_its_time(engine: Engine, table: str, make: str, days: int) -> None:
    rows(engine, make)
    days_pass(engine, days - 1)
    assert sweep(engine) == 0
    days_pass(engine, 1)
    assert sweep(engine, kept(**{table: days + 1})) == 0
    assert sweep(engine) == 1
    assert count(engine, table) == 0


def test_a_message_that_nobody_was_done_with_stays_in_quarantine(engine: Engine) -> None:
    rows(
        engine,
        "INSERT INTO quarantined_messages (queue, reason, sha256, size, raw)"
        " VALUES ('q', 'r', 's', 1, 'x')",
    )
    days_pass(engine, 10_000)
    assert sweep(engine) == 0
    assert count(engine, "quarantined_messages") == 1


# --- who is told ---


def test_the_feed_begins_behind_what_has_left_and_tells_who_missed_some(engine: Engine) -> None:
    events_happen(engine, 3)
    days_pass(engine, 100)
    events_happen(engine, 2)
    sweep(engine)
    with engine.connect() as connection:
        gone = feed.beginning(connection)
        assert len(feed.read(connection, after=gone, limit=10)) == 2
        for after in (gone, gone + 1):
            feed.require_kept(connection, after=after)
        with pytest.raises(EventsGone) as error:
            feed.require_kept(connection, after=gone - 1)
    assert error.value.facts == {"kept_after": gone}
    assert "after=0" in str(error.value)


def test_verify_knows_that_old_history_has_left_and_still_finds_what_is_missing(
    till: Counter, sink: Sink
) -> None:
    engine = till.engine

    def broken() -> set[str]:
        found = verify(engine, statements=STATEMENTS)
        return {
            one.invariant.name for one in found if one.invariant.level == "error" and one.broken
        }

    endpoint = an_endpoint(engine, sink.url)
    till.refund(till.charge()["id"])
    till.charge(payment_method_id="pm_card_chargeDeclined")
    with a_deliverer(engine) as deliverer:
        deliverer.drain(endpoint.id)
    days_pass(engine, 100)
    young = till.charge()
    with a_deliverer(engine) as deliverer:
        deliverer.drain(endpoint.id)
    assert broken() == set()
    assert sweep(engine) > 0
    assert count(engine, "events") == 1
    assert broken() == set()
    rows(engine, "DELETE FROM delivery_attempts")
    assert broken() == {"delivered means accepted"}
    rows(engine, "DELETE FROM deliveries")
    assert broken() == {"events are delivered"}
    rows(engine, "DELETE FROM events WHERE object_id = :id AND sequence = 1", id=young["id"])
    assert {"events have no gap", "events tell the truth"} <= broken()


def test_a_timeline_says_that_events_have_left(till: Counter) -> None:
    charge = till.charge()
    days_pass(till.engine, 100)
    refund = till.refund(charge["id"])
    sweep(till.engine)
    with till.engine.connect() as connection:
        told = timeline(connection, charge["id"], statements=STATEMENTS, access=OPERATOR)
        fresh = timeline(connection, refund["id"], statements=STATEMENTS, access=OPERATOR)
    texts = [entry.text for entry in told if entry.what == "event"]
    assert texts == ["1 event is not kept any more (BILLING_KEEP_EVENTS_DAYS)"]
    assert not [entry for entry in fresh if "not kept" in entry.text]


def test_the_sweep_is_made_by_beat_as_the_settings_say(
    engine: Engine, make_settings: Callable[..., Settings]
) -> None:
    events_happen(engine, 2)
    days_pass(engine, 10)
    for days, left in ((0, 0), (11, 0), (9, 2)):
        rows(engine, "UPDATE retention SET rested_at = NULL")
        ours = services(make_settings(keep_events_days=days), wakes_nothing)
        sweeper: Any = Sweeper(ours, None)  # type: ignore[arg-type]  # it wakes nobody
        assert sweeper.sweep("retention") == left
        ours.engine.dispose()
    assert rows(engine, "SELECT FROM heartbeats WHERE name = 'retention'")


def test_a_sweep_deletes_whole_pages_as_long_as_it_has_time(
    engine: Engine, make_settings: Callable[..., Settings], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retention, "PAGE", 2)
    now = [1000.0]
    monkeypatch.setattr(sweeping.time, "monotonic", lambda: now[0])
    ours = services(make_settings(keep_events_days=9), wakes_nothing)
    sweeper: Any = Sweeper(ours, None)  # type: ignore[arg-type]  # it wakes nobody

    def swept(*, takes_s: float) -> Any:
        """What a sweep deletes whose transactions take so long, each."""
        in_transaction = sweeper._in_transaction

        def slowly(step: Any) -> Any:
            now[0] += takes_s
            return in_transaction(step)

        with monkeypatch.context() as patch:
            patch.setattr(sweeper, "_in_transaction", slowly)
            return sweeper.sweep("retention")

    events_happen(engine, 9)
    days_pass(engine, 10)
    assert swept(takes_s=sweeping.RETENTION_S) == 2
    assert swept(takes_s=0.0) == 7  # the last page is not whole, and nothing is asked for again
    assert count(engine, "events") == 0
    ours.engine.dispose()


def test_the_doctor_tells_how_old_the_oldest_is_and_whether_somebody_sweeps(
    engine: Engine, billing: Billing, monkeypatch: pytest.MonkeyPatch
) -> None:
    def told() -> list[tuple[str, str]]:
        findings = billing("doctor", "--json").json["findings"]
        return [(f["level"], f["seen"]) for f in findings if f["subject"] == "retention"]

    events_happen(engine, 2)
    days_pass(engine, 12)
    ((level, seen),) = told()
    assert level == "warn"
    assert "nobody has ever deleted" in seen
    with Database(engine).transaction() as transaction:
        from payments.audit import health

        health.note_sweeps(transaction, "retention")
    ((level, seen),) = told()
    assert level == "ok"
    assert "events for 90 days, the oldest 12 days old" in seen
    monkeypatch.setenv("BILLING_KEEP_EVENTS_DAYS", "0")
    assert "events for ever, the oldest 12 days old" in told()[0][1]


def test_a_walk_begins_where_the_time_of_what_is_kept_begins(engine: Engine) -> None:
    """However many events there are, only those are read that are old enough."""
    events_happen(engine, 3)
    days_pass(engine, 50)
    events_happen(engine, 5)
    (step,) = retention.steps(kept(events=40))
    with Database(engine).transaction() as transaction:
        assert step(transaction) == 3
    (row,) = rows(engine, "SELECT gone, through FROM retention WHERE name = 'events'")
    assert row == {"gone": 3, "through": None}
    assert timedelta(minutes=1) < retention.REST
