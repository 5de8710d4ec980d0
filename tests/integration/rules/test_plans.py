"""Ten million finished charges cost nothing: no statement of the rules scans a table.

EXPLAIN on tables that are large enough for a scan to be the wrong plan.
"""

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import Engine, create_engine, event, text

from local.embedded.throwaway import Servers
from payments.access import keys
from payments.audit import health, outstanding
from payments.history import search
from payments.keeping import retention
from payments.keeping.retention import Keep
from payments.kinds import CHARGE, REFUND, Kind
from payments.lifecycle import payment_queries
from payments.lifecycle.accepting import at_once
from payments.lifecycle.accepting.asked import NewCharge
from payments.processors.outcomes import Declined
from payments.processors.port import ProcessorEvent
from payments.webhooks.pings import ping
from payments.webhooks.replays import replay
from service.database.planning import FORGET
from service.wiring import open_database
from tests.support import acting, databases
from tests.support.every import every
from tests.support.factories import SUCCEEDED, TIMEOUT, Till, a_charge, a_refund
from tests.support.webhooks import an_endpoint

ROWS = 100_000
CASTS = {
    timedelta: "::interval", int: "::bigint", float: "::float", datetime: "::timestamptz",
    bool: "::boolean",
}  # fmt: skip
# Tables that may be read whole: they are as small as an installation has endpoints.
SMALL = {"webhook_endpoints", "retention", "disputes"}

_LIFECYCLE = """
    id, producer, idempotency_key, fingerprint, processor, currency, amount, state, failure_code,
    settled_at, created_at
"""
_FILL = f"""
    INSERT INTO charges ({_LIFECYCLE})
    SELECT 'ch_' || md5(n::text), 'past', n, 'f', 'sandbox', 'USD', 1000,
           CASE WHEN mod(n, 10) = 0 THEN 'failed' ELSE 'succeeded' END,
           CASE WHEN mod(n, 10) = 0 THEN 'card_declined' END, now(), now() - n * interval '1 s'
    FROM generate_series(1, {ROWS}) n;
    INSERT INTO refunds ({_LIFECYCLE}, charge_id, reserved)
    SELECT 're_' || md5(n::text), 'past', n, 'f', 'sandbox', 'USD', 10, 'succeeded', NULL, now(),
           now() - n * interval '1 s', 'ch_' || md5((n / 2)::text), true
    FROM generate_series(1, {ROWS}) n;
    INSERT INTO attempts (object_id, number, verb, outcome)
    SELECT 'ch_' || md5(n::text), 1, 'charge', 'succeeded' FROM generate_series(1, {ROWS}) n;
    INSERT INTO events (id, type, object_id, sequence, body)
    SELECT 'evt_' || n, 'charge.succeeded', 'ch_' || md5(n::text), 1, '{{}}'
    FROM generate_series(1, {ROWS}) n;
    INSERT INTO api_keys (id, producer, scopes, secret_sha256, all_producers)
    SELECT 'key_' || n, 'past', ARRAY['read'], decode(repeat('00', 32), 'hex'), false
    FROM generate_series(1, {ROWS}) n;
    INSERT INTO products (id, producer, idempotency_key, fingerprint, name)
    SELECT 'prod_' || md5(n::text), 'past', n, 'f', 'Tea' FROM generate_series(1, {ROWS}) n;
    INSERT INTO prices (id, producer, idempotency_key, fingerprint, product_id, type,
                        billing_scheme, currency, unit_amount, lookup_key, quantity_available,
                        initial_quantity, created_at)
    SELECT 'price_' || md5(n::text), 'past', n, 'f', 'prod_' || md5(n::text), 'one_time',
           'per_unit', 'USD', 100, 'key-' || n, 1, 1, now() - n / 10 * interval '1 s'
    FROM generate_series(1, {ROWS}) n;
    INSERT INTO reservations (charge_id, price_id, quantity, state, settled_at)
    SELECT 'ch_' || md5(n::text), 'price_' || md5(n::text), 1, 'sold', now()
    FROM generate_series(1, {ROWS}) n;
    INSERT INTO inventory_changes (id, price_id, producer, idempotency_key, fingerprint, change,
                                   available_after)
    SELECT 'inv_' || n, 'price_' || md5(n::text), 'past', n, 'f', 1, 1
    FROM generate_series(1, {ROWS}) n;
    INSERT INTO ledger_books (id, producer, processor, currency, livemode)
    SELECT n, 'past-' || n, 'sandbox', 'USD', false FROM generate_series(1, {ROWS}) n;
    INSERT INTO ledger_seals (until, postings, hash)
    SELECT now() - n * interval '1 hour', 0, 'h' FROM generate_series(1, {ROWS}) n;
    ANALYZE;
"""


def fill(engine: Engine, statements: str) -> None:
    """Write a past, without our limits: it takes its time on a busy machine."""
    filling = create_engine(engine.url)
    with filling.begin() as connection:
        connection.exec_driver_sql(statements)
    filling.dispose()


@pytest.fixture(scope="module")
def old_engine(servers: Servers) -> Iterator[Engine]:
    """A database with a past, and connections that explain whatever they run."""
    with databases.fresh(servers.postgres) as url:
        engine = open_database(url)
        fill(engine, _FILL)
        yield engine
        engine.dispose()


@contextmanager
def explained(engine: Engine, *, texts: bool = False) -> Iterator[list[tuple[str, Any]]]:
    """Every statement that runs in here, and its plans: for its values, and for any value.

    With `texts` also those that are written with a line break first.

    psycopg prepares what runs often, and PostgreSQL may then plan it once for all values.
    """
    plans: list[tuple[str, Any]] = []

    def explain(
        connection: Any, cursor: Any, statement: str, parameters: Any, _: Any, many: bool
    ) -> None:
        if statement == FORGET:  # it is time that asks for it
            return
        if statement.startswith(("SELECT", "INSERT", "UPDATE", "WITH")) or texts:
            names = list(parameters)
            generic = re.sub(
                r"%\((\w+)\)s",
                lambda one: f"${names.index(one[1]) + 1}{_cast(parameters[one[1]])}",
                statement,
            )
            explaining = connection.connection.cursor()
            explaining.execute(f"EXPLAIN (FORMAT JSON) {statement}", parameters)
            plans.append((statement, explaining.fetchone()[0][0]["Plan"]))
            explaining.execute(f"EXPLAIN (FORMAT JSON, GENERIC_PLAN) {generic}", prepare=False)
            plans.append((f"(generic) {statement}", explaining.fetchone()[0][0]["Plan"]))

    event.listen(engine, "before_cursor_execute", explain)
    try:
        yield plans
    finally:
        event.remove(engine, "before_cursor_execute", explain)


def _cast(value: Any) -> str:
    """What psycopg would tell PostgreSQL of the value's type, where the statement does not."""
    return CASTS.get(type(value), "")


def scans(plan: dict[str, Any]) -> list[str]:
    """The tables that a plan reads whole."""
    below = [name for inner in plan.get("Plans", []) for name in scans(inner)]
    return [plan["Relation Name"], *below] if plan["Node Type"] == "Seq Scan" else below


def assert_no_scan(plans: list[tuple[str, Any]]) -> None:
    assert plans
    for statement, plan in plans:
        scanned = set(scans(plan)) - SMALL
        assert not scanned, f"{scanned} scanned by {statement}\n{json.dumps(plan, indent=1)}"


@pytest.fixture
def aging_till(engine: Engine) -> Till:
    """On a database with such a past that is one test's alone, for what deletes of it."""
    fill(engine, _FILL)
    return Till(engine)


@pytest.fixture
def old_till(old_engine: Engine) -> Till:
    return Till(old_engine)


def test_nothing_that_happens_to_a_charge_scans(old_till: Till) -> None:
    till = old_till
    with explained(till.engine) as plans:
        requests = [a_charge(reference=a_charge().idempotency_key) for _ in range(3)]
        till.accept(*requests)
        claimed = till.create(*requests, a_charge())
        till.create(a_charge(reference=requests[0].reference))
        till.settle_all(*((c, "charge", TIMEOUT) for c in claimed))
        till.submit(*(r.id for r in requests))
        till.report_all(*(ProcessorEvent(r.id, "charge", SUCCEEDED) for r in requests))
    assert_no_scan(plans)


def test_nothing_that_happens_to_a_charge_is_planned_again_and_again(till: Till) -> None:
    """PostgreSQL plans a prepared statement for its values five times; then once for all values,
    unless that looks dearer."""
    for _ in range(40):
        till.settle(till.claim(a_charge()), SUCCEEDED)
    with till.engine.connect() as connection:
        prepared = connection.execute(
            text("SELECT statement, custom_plans FROM pg_prepared_statements")
        ).all()
    assert any("INSERT INTO charges" in statement for statement, _ in prepared)
    assert {one for one in prepared if one.custom_plans > 5} == set()


def test_a_charge_that_is_written_at_once_scans_nothing(old_till: Till) -> None:
    database = acting.Database(old_till.engine)
    with database.transaction() as transaction:
        made, _ = keys.create(transaction, producer="shop")
        key = keys.read(transaction.connection, [made.id])[made.id]
    request = a_charge(reference="at-once")
    with explained(old_till.engine) as plans, database.transaction() as transaction:
        row = at_once.columns(NewCharge(request, processor="sandbox"), key, {})
        assert row is not None
        assert at_once.insert(transaction, [row]).keys() == {request.id}
    assert_no_scan(plans)


def test_nothing_that_happens_to_a_refund_scans(old_till: Till) -> None:
    till = old_till
    with explained(till.engine) as plans:
        charge_id = till.charged()
        refunds = [a_refund(charge_id, amount=10) for _ in range(3)]
        early = a_refund(a_charge())
        claimed = till.create(*refunds, early)
        till.settle_all(*((c, "refund", SUCCEEDED) for c in claimed[:3]))
        till.submit(early.id, refunds[0].id)
        returned = Declined("refund_failed", "returned", "")
        till.report_all(*(ProcessorEvent(r.id, "refund", returned) for r in refunds))
    assert_no_scan(plans)


def test_the_sweeps_do_not_see_what_is_finished(old_till: Till) -> None:
    till = old_till
    due, dead = a_charge(), till.claim(a_charge())
    till.accept(due)
    till.time_passes(timedelta(minutes=1), due.id, dead.id)
    with explained(till.engine) as plans:
        woken = till.sweep().charges
    assert {due.id, dead.id} <= woken
    assert_no_scan(plans)


def test_looking_at_how_things_stand_and_replaying_scan_nothing(old_till: Till) -> None:
    till = old_till
    endpoint_id = an_endpoint(till.engine, "http://127.0.0.1:1/").id
    fill(
        till.engine,
        "INSERT INTO deliveries (event_id, endpoint_id, state, attempts)"
        f" SELECT id, '{endpoint_id}', 'delivered', 1 FROM events;"
        " UPDATE events SET created_at = now() - (1e6 - position) * interval '1 s';"
        " ANALYZE",
    )
    since = datetime.now(UTC) - timedelta(days=11)
    with explained(till.engine) as plans:
        with till.engine.begin() as connection:
            assert outstanding.piles(connection) is not None
            assert len(outstanding.late(connection, ["sandbox"])) == 2
            assert outstanding.elsewhere(connection, ["sandbox"]) == []
            assert len(health.receivers(connection)) == 1
        with till.database.transaction() as transaction:
            until = since + timedelta(hours=1)
            assert replay(transaction, endpoint_id, since=since, until=until, only="all").count
            ping(transaction, endpoint_id)
    assert_no_scan(plans)


def test_what_was_kept_for_its_time_is_found_without_a_scan(aging_till: Till) -> None:
    till = aging_till
    endpoint_id = an_endpoint(till.engine, "http://127.0.0.1:1/").id
    fill(
        till.engine,
        "INSERT INTO deliveries (event_id, endpoint_id, state, attempts, finished_at, created_at)"
        f" SELECT id, '{endpoint_id}', 'delivered', 1, now() - interval '1 year',"
        " now() - interval '1 year' FROM events;"
        " INSERT INTO delivery_attempts (delivery_id, number, started_at, duration_ms)"
        " SELECT id, 1, created_at, 1 FROM deliveries;"
        " UPDATE events SET created_at = now() - interval '1 year';"
        " INSERT INTO rejected_requests (id, task, code, detail, request, created_at)"
        f" SELECT 'rej_' || n, 't', 'c', 'd', '{{}}', now() - n * interval '1 min'"
        f" FROM generate_series(1, {ROWS}) n;"
        " INSERT INTO quarantined_messages (queue, reason, sha256, size, raw, released_at)"
        f" SELECT 'q', 'r', n, 1, 'x', now() - n * interval '1 min'"
        f" FROM generate_series(1, {ROWS}) n;"
        " INSERT INTO requests_made"
        " (id, producer, idempotency_key, operation, fingerprint, created_at)"
        f" SELECT n, 'p', 'k', 'o', 'f', now() - n * interval '1 min'"
        f" FROM generate_series(1, {ROWS}) n;"
        " ANALYZE",
    )
    with explained(till.engine, texts=True) as plans:
        left = []
        for step in retention.steps(Keep(90, 30, 60, 60, 60)):
            with till.database.transaction() as transaction:
                left.append(step(transaction))
        with till.engine.connect() as connection:
            assert all(retention.oldest_s(connection).values())
    assert left == [retention.PAGE] * 5
    assert_no_scan(plans)


@every("kind", [CHARGE, REFUND], ids=lambda kind: kind.name)
@every(
    "filters",
    [
        {"state": "pending"},
        {"state": "failed"},
        {"phase": "in_flight"},
        {"phase": "needs_review"},
        {"state": "pending", "phase": "queued"},
    ],
    ids=str,
)
def test_a_list_of_what_there_are_few_of_reads_few(
    old_till: Till, kind: Kind, filters: dict[str, str]
) -> None:
    with explained(old_till.engine) as plans, old_till.engine.connect() as connection:
        payment_queries.page(connection, kind, filters=filters)
    (_, plan), (_, generic) = plans
    for one in (plan, generic):
        used = set(re.findall(r'"Index Name": "(\w+)"', json.dumps(one)))
        small = {f"{kind.table.name}_{name}" for name in ("review_idx", "due_idx", "leases_idx")}
        of_all_but_succeeded = f"{kind.table.name}_open_created_idx"
        assert used
        assert used <= small | {of_all_but_succeeded}, used
        # A page of pending ones is no walk past all that failed.
        is_few = kind is CHARGE and filters != {"state": "failed"}
        assert not (is_few and of_all_but_succeeded in used), used


def test_a_list_is_planned_for_what_is_asked_for_however_often(old_till: Till) -> None:
    """Once it is planned for any value, nobody knows that this one is rare."""
    # The names of producers and currencies are asked for without any value, and who locks rows
    # names them.
    prepared = text(
        "SELECT count(*) FROM pg_prepared_statements WHERE statement LIKE '%FROM charges%'"
        " AND statement NOT LIKE '%RECURSIVE%' AND statement NOT LIKE '%FOR NO KEY UPDATE%'"
    )
    with old_till.engine.connect() as connection:
        for _ in range(12):
            payment_queries.page(connection, CHARGE, filters={"price_id": "price_" + "a" * 32})
            search.search(connection, "nobody-has-this")
        assert connection.scalar(prepared) == 0
        assert connection.connection.driver_connection.prepare_threshold is not None
