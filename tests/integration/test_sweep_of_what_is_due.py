"""The sweep of each second: it asks once, and makes only the sweeps that have something to do."""

from collections.abc import Callable
from datetime import timedelta
from types import SimpleNamespace
from typing import Any, cast

import pytest
from psycopg.errors import LockNotAvailable
from sqlalchemy import Engine, create_engine, text
from sqlalchemy.exc import OperationalError, ProgrammingError

from payments.keeping.retention import Keep
from payments.webhooks import endpoints
from service.settings import Settings
from service.wiring import services
from tests.support.factories import Till, a_charge
from tests.support.ledger import an_hour_passes
from tests.support.webhooks import an_endpoint, events_happen, rows
from worker.sweeps import sweeping
from worker.sweeps.looking import Look
from worker.sweeps.sweeping import Sweeper

KEEP = Keep(90, 30, 90, 30, 30)

Happens = Callable[[Till, Engine], object]


@pytest.fixture
def till(engine: Engine) -> Till:
    return Till(engine)


@pytest.fixture
def look(engine: Engine) -> Look:
    rows(engine, "UPDATE retention SET rested_at = now()")
    rows(engine, "UPDATE ledger_filling SET finished_at = now()")
    # Beyond the end of this hour, which may come while the test runs.
    rows(
        engine,
        "INSERT INTO ledger_seals (until, postings, hash)"
        " SELECT now() + interval '1 hour', 0, hash FROM ledger_seals LIMIT 1",
    )
    rows(engine, "UPDATE ledger_days_counted SET until = now() + interval '1 hour'")
    return Look(engine, keep=KEEP, processors=["sandbox"])


def a_lease_runs_out(till: Till, engine: Engine) -> None:
    claimed = till.claim(a_charge())
    till.time_passes(timedelta(minutes=1), claimed.id)


def a_call_is_lost(till: Till, engine: Engine) -> None:
    till.accept(a_charge())
    rows(engine, "UPDATE charges SET woken_at = now() - interval '11 seconds'")


def it_waits_for_a_processor_of_others(till: Till, engine: Engine) -> None:
    till.accept(a_charge())
    rows(engine, "UPDATE charges SET processor = 'x', woken_at = now() - interval '61 seconds'")


def a_charge_expires(till: Till, engine: Engine) -> None:
    till.accept(a_charge())
    rows(engine, "UPDATE charges SET expires_at = now() - interval '1 second'")


def an_authorization_ends(till: Till, engine: Engine) -> None:
    till.authorized()
    rows(engine, "UPDATE charges SET capture_before = now() - interval '1 second'")


def an_authorization_ends_soon(till: Till, engine: Engine) -> None:
    till.authorized()
    rows(engine, "UPDATE charges SET capture_before = now() + interval '1 hour'")


def a_message_was_never_masked(till: Till, engine: Engine) -> None:
    rows(
        engine,
        "INSERT INTO quarantined_messages (queue, reason, sha256, size, raw)"
        " VALUES ('payments', 'not JSON', 'x', 1, '{')",
    )


def a_webhook_is_due(till: Till, engine: Engine) -> None:
    an_endpoint(engine, "http://127.0.0.1:9/")
    events_happen(engine, 1)


def an_endpoint_is_deleted(till: Till, engine: Engine) -> None:
    endpoint = an_endpoint(engine, "http://127.0.0.1:9/")
    events_happen(engine, 1)
    with till.database.transaction() as transaction:
        endpoints.delete(transaction, endpoint.id)
    rows(engine, "UPDATE deliveries SET state = 'pending', finished_at = NULL")  # came later


def an_endpoint_is_gone(till: Till, engine: Engine) -> None:
    an_endpoint(engine, "http://127.0.0.1:9/")
    rows(engine, "UPDATE webhook_endpoints SET held_back_because = 'gone', held_back_until = now()")


def a_walk_has_rested(till: Till, engine: Engine) -> None:
    rows(engine, "UPDATE retention SET rested_at = now() - interval '11 minutes'")


def a_walk_is_under_way(till: Till, engine: Engine) -> None:
    rows(engine, "UPDATE retention SET through = 7")


def a_request_made_is_old(till: Till, engine: Engine) -> None:
    rows(
        engine,
        "INSERT INTO requests_made"
        " (id, producer, idempotency_key, operation, fingerprint, created_at)"
        " VALUES ('old', 'shop', 'key', 'x', 'x', now() - interval '31 days')",
    )


def an_hour_ends(till: Till, engine: Engine) -> None:
    rows(engine, "ALTER TABLE ledger_seals DISABLE TRIGGER USER")  # it is append-only
    rows(engine, "UPDATE ledger_seals SET until = until - interval '3 hours'")


def the_ledger_is_not_whole(till: Till, engine: Engine) -> None:
    rows(engine, "UPDATE ledger_filling SET finished_at = NULL")


@pytest.mark.parametrize(
    ("happens", "needed"),
    [
        (a_lease_runs_out, "payments"),
        (a_call_is_lost, "payments"),
        (it_waits_for_a_processor_of_others, "payments"),
        (a_charge_expires, "payments"),
        (an_authorization_ends, "payments"),
        (an_authorization_ends_soon, "payments"),
        (a_message_was_never_masked, "payments"),
        (a_webhook_is_due, "webhooks"),
        (an_endpoint_is_deleted, "webhooks"),
        (an_endpoint_is_gone, "webhooks"),
        (a_walk_has_rested, "retention"),
        (a_walk_is_under_way, "retention"),
        (a_request_made_is_old, "retention"),
        (an_hour_ends, "ledger"),
        (the_ledger_is_not_whole, "ledger"),
    ],
)
def test_what_is_to_be_swept_is_found_by_one_look(
    till: Till, engine: Engine, look: Look, happens: Happens, needed: str
) -> None:
    assert look() == []
    happens(till, engine)
    assert needed in look()


def test_nothing_is_to_be_swept_of_what_is_on_its_way_or_done(
    till: Till, engine: Engine, look: Look
) -> None:
    till.charged()
    till.claim(a_charge())  # leased
    till.accept(a_charge())  # somebody was told a moment ago
    rows(engine, "UPDATE charges SET woken_at = now() WHERE state = 'pending'")
    assert look() == []


def test_a_look_is_planned_once_and_not_for_each(engine: Engine) -> None:
    one = create_engine(engine.url, pool_size=1, max_overflow=0)  # each connection has its plans
    look = Look(one, keep=KEEP, processors=["it's", "50 %"])
    for _ in range(20):
        look()
    (made,) = rows(one, "SELECT generic_plans, custom_plans FROM pg_prepared_statements")
    assert made["generic_plans"] >= 10  # some looks go by before it is prepared
    assert made["custom_plans"] == 0
    one.dispose()


class Sweeping:
    """A sweeper whose sweeps only say that they are made."""

    def __init__(self, settings: Settings, **failing: Exception) -> None:
        self.names: list[str] = []
        self._services = services(settings, lambda _: None)
        self.sweeper: Any = Sweeper(self._services, None)  # type: ignore[arg-type]
        self.sweeper._sweeps = {
            name: self._make(name, failing.get(name)) for name in self.sweeper._sweeps
        }

    def _make(self, name: str, failure: Exception | None) -> Callable[[], int]:
        def make() -> int:
            self.names.append(name)
            if failure is not None:
                raise failure
            return 1

        return make

    def close(self) -> None:
        self._services.engine.dispose()


def test_only_what_has_something_to_do_is_swept_and_all_are_known_to_be_looked_after(
    till: Till, engine: Engine, look: Look, make_settings: Callable[..., Settings]
) -> None:
    made = Sweeping(make_settings())
    a_webhook_is_due(till, engine)
    assert made.sweeper.sweep("due") == 2
    made.close()
    assert made.names == ["webhooks", "processor"]
    noted = rows(engine, "SELECT name FROM heartbeats ORDER BY name")
    assert [row["name"] for row in noted] == [
        "ledger",
        "payments",
        "processor",
        "retention",
        "webhooks",
    ]


def test_a_sweep_that_fails_is_not_noted_and_holds_up_no_other(
    till: Till, engine: Engine, look: Look, make_settings: Callable[..., Settings]
) -> None:
    made = Sweeping(make_settings(), webhooks=ConnectionError("away"))
    a_webhook_is_due(till, engine)
    with pytest.raises(ConnectionError):  # for the log: beat tries again in a second
        made.sweeper.sweep("due")
    made.close()
    assert made.names == ["webhooks", "processor"]
    noted = rows(engine, "SELECT name FROM heartbeats ORDER BY name")
    assert [row["name"] for row in noted] == ["ledger", "payments", "processor", "retention"]


def test_while_somebody_holds_a_table_the_sweeps_of_the_others_go_on(
    engine: Engine, make_settings: Callable[..., Settings]
) -> None:
    made = Sweeping(make_settings())
    with engine.connect() as connection, connection.begin():
        connection.execute(text("LOCK TABLE quarantined_messages"))
        assert made.sweeper.sweep("due") == 5
    made.close()
    assert made.names == ["payments", "webhooks", "retention", "ledger", "processor"]


def test_what_no_patience_helps_holds_up_the_sweeps_of_its_table_alone(
    engine: Engine, make_settings: Callable[..., Settings]
) -> None:
    broken = ProgrammingError("INSERT", {}, Exception("permission denied for table ledger_seals"))
    made = Sweeping(make_settings(), ledger=broken)
    rows(engine, "ALTER TABLE ledger_filling RENAME TO is_not_there")
    with pytest.raises(ProgrammingError):
        made.sweeper.sweep("due")
    rows(engine, "ALTER TABLE is_not_there RENAME TO ledger_filling")
    made.close()
    assert made.names == ["payments", "webhooks", "retention", "ledger", "processor"]


def test_an_endpoint_that_cannot_be_disabled_keeps_nobody_from_being_woken(
    till: Till, make_settings: Callable[..., Settings], monkeypatch: pytest.MonkeyPatch
) -> None:
    def held(*_: object, **__: object) -> int:
        raise OperationalError("", {}, LockNotAvailable())

    endpoint = an_endpoint(till.engine, "http://127.0.0.1:1/hook")
    events_happen(till.engine)
    monkeypatch.setattr(sweeping.disabling, "disable_or_warn", held)
    woken: set[str] = set()
    ours = services(make_settings(), lambda wakes: woken.update(wakes.endpoints))
    queues = SimpleNamespace(room=lambda queue, most: most)
    try:
        with pytest.raises(OperationalError):
            Sweeper(ours, cast(Any, queues)).sweep("webhooks")
    finally:
        ours.engine.dispose()
    assert woken == {endpoint.id}


def test_a_seal_that_fails_keeps_nothing_from_being_posted(
    engine: Engine, make_settings: Callable[..., Settings]
) -> None:
    given = services(make_settings(), lambda _: None)
    sweeper = Sweeper(given, None)  # type: ignore[arg-type]
    an_hour_passes(engine)
    rows(engine, "UPDATE ledger_filling SET finished_at = NULL")
    rows(engine, "ALTER TABLE ledger_balances RENAME TO is_not_there")
    with pytest.raises(ProgrammingError):
        sweeper.sweep("ledger")
    rows(engine, "ALTER TABLE is_not_there RENAME TO ledger_balances")
    given.engine.dispose()
    assert rows(engine, "SELECT FROM ledger_filling WHERE finished_at IS NULL") == []


def test_who_watches_hears_of_each_sweep_also_of_one_that_failed(
    engine: Engine, make_settings: Callable[..., Settings]
) -> None:
    made = Sweeping(make_settings(), webhooks=ConnectionError("away"))
    heard: list[str] = []
    made.sweeper._needed = lambda: ["payments", "webhooks", "retention"]
    made.sweeper.on_made = lambda: heard.append(made.names[-1])
    with pytest.raises(ConnectionError):
        made.sweeper.sweep("due")
    made.close()
    assert heard == made.names == ["payments", "webhooks", "retention", "processor"]


def test_a_database_that_is_away_is_waited_for_once(
    till: Till, engine: Engine, look: Look, make_settings: Callable[..., Settings]
) -> None:
    away = OperationalError("SELECT", {}, Exception("no answer within 6 s"))
    made = Sweeping(make_settings(), webhooks=away)
    a_webhook_is_due(till, engine)
    with pytest.raises(OperationalError):
        made.sweeper.sweep("due")
    made.close()
    assert made.names == ["webhooks"]
    assert rows(engine, "SELECT name FROM heartbeats") == []


def test_a_note_is_made_now_and_then(
    engine: Engine,
    look: Look,
    make_settings: Callable[..., Settings],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made = Sweeping(make_settings())
    now = [1000.0]
    monkeypatch.setattr(sweeping.time, "monotonic", lambda: now[0])
    seen = []
    for _ in range(5):
        made.sweeper.sweep("due")
        (note,) = rows(engine, "SELECT at FROM heartbeats WHERE name = 'payments'")
        seen.append(note["at"])
        now[0] += sweeping.NOTE_EVERY_S / 2
    made.close()
    assert len(set(seen)) == 3
