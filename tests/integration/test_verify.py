"""`verify` finds every kind of wrong, and finds nothing wrong where nothing is."""

import re
from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import Connection, Engine, text

from local.embedded.throwaway import Servers
from models.base import table_of
from models.sandbox import SandboxMovement
from payments.audit.promises import Patience
from payments.audit.verify import Finding, check, is_sound, verify
from payments.audit.witness import INVARIANTS
from payments.webhooks import endpoints
from payments.webhooks.target import TargetCheck
from service.wiring import open_database
from tests.support import databases
from tests.support.approvals import an_approval
from tests.support.counter import Counter, counter
from tests.support.every import every
from tests.support.ledger import begin_in_this_hour
from tests.support.sandbox import STATEMENTS
from tests.support.vault import VAULT

BY_NAME = {one.name: one for one in INVARIANTS}


@pytest.fixture(scope="module")
def day(servers: Servers) -> Iterator[Counter]:
    """A counter with a day behind it: everything that may happen has happened."""
    with databases.fresh(servers.postgres) as url:
        engine = open_database(url)
        begin_in_this_hour(engine)
        with counter(engine) as busy:
            _live_through(busy)
            yield busy
        engine.dispose()


def _live_through(day: Counter) -> None:
    with day.database.transaction() as transaction:
        given: Any = {"url": "https://example.com/", "target_check": TargetCheck(), "vault": VAULT}
        endpoints.add(transaction, **given)
        types = ["charge.pending", "refund.pending"]
        endpoints.add(transaction, **given, event_types=types, producer="eager")
    day.query("UPDATE webhook_endpoints SET subscribed_at = now() - interval '1 day'")
    paid = day.charge(idempotency_key="paid", amount=1000)
    day.refund(paid["id"], idempotency_key="part", amount=300)
    day.refund(paid["id"], idempotency_key="rest")
    day.charge(idempotency_key="yen", amount=500, currency="JPY")
    day.charge(idempotency_key="declined", payment_method_id="pm_card_chargeDeclined")
    lost = day.charge(idempotency_key="lost", payment_method_id="pm_sandbox_timeout_after")
    day.go_on(lost["id"])
    day.charge(idempotency_key="dark", payment_method_id="pm_sandbox_timeout_after")
    day.charge(idempotency_key="customer", payment_method_id="pm_sandbox_requires_action")
    left = day.charge(idempotency_key="left", payment_method_id="pm_sandbox_requires_action")
    day.cancel(left["id"])
    paid_late = day.charge(payment_method_id="pm_sandbox_cancel_too_late")
    day.cancel(paid_late["id"])
    bad = day.charge(idempotency_key="bad", payment_method_id="pm_sandbox_refund_fails_later")
    day.refund(bad["id"], idempotency_key="back")
    day.query("UPDATE sandbox_requests SET turns_at = now() WHERE turns_at IS NOT NULL")
    day.hear_reports()
    held = day.charge(idempotency_key="held", capture="manual")
    day.capture(held["id"], idempotency_key="a part", amount=400, final=False)
    taken = day.charge(idempotency_key="taken", capture="manual")
    day.refund(day.capture(taken["id"], amount=700)["id"], amount=200)
    let_go = day.charge(capture="manual")
    day.cancel(let_go["id"])
    day.charge(idempotency_key="contested", payment_method_id="pm_sandbox_disputed")
    day.query("UPDATE sandbox_events SET next_offer_at = now() WHERE next_offer_at IS NOT NULL")
    day.hear_reports()
    tea = day.price(idempotency_key="tea", quantity_available=10)
    day.adjust(tea["id"], "increment", 5)
    bought = day.buy(tea["id"], 4, idempotency_key="bought")
    day.refund(bought["id"], idempotency_key="returned", amount=2000, restock=True,
               restock_quantity=1)  # fmt: skip
    day.buy(tea["id"], 2, idempotency_key="too dear", payment_method_id="pm_card_chargeDeclined")
    day.buy(
        tea["id"], 3, idempotency_key="in the dark", payment_method_id="pm_sandbox_timeout_after"
    )
    day.buy(day.price()["id"], 7)
    day.refund("ch_" + "a" * 32, idempotency_key="early")
    day.charge(payment_method_id="pm_sandbox_fees")
    large = day.charge(idempotency_key="large")
    an_approval(day.engine, large["id"])
    eager = day.charge(idempotency_key="eager", producer="eager")
    day.refund(eager["id"], producer="eager", amount=1)
    day.seal()
    day.refuse({"amount": "x", "currency": "USD", "idempotency_key": "nonsense"})


@pytest.fixture
def tampered(day: Counter) -> Iterator[Connection]:
    """A transaction on that day's books; whatever is done in it never happened."""
    with day.engine.connect() as connection, connection.begin() as transaction:
        yield connection
        transaction.rollback()


def finding(connection: Connection, name: str) -> Finding:
    return check(connection, BY_NAME[name], Patience(), STATEMENTS)


def test_an_empty_house_keeps_every_promise(engine: Engine) -> None:
    found = list(verify(engine, statements=STATEMENTS))
    assert len(found) == len(INVARIANTS)
    assert is_sound(found)
    assert all(one.is_kept and one.looked_at == 0 for one in found)


def test_a_day_of_everything_keeps_every_promise(day: Counter) -> None:
    found = {one.invariant.name: one for one in verify(day.engine, statements=STATEMENTS)}
    assert [one.view() for one in found.values() if not one.is_kept] == []
    assert found["charges moved money once"].looked_at == 20
    assert found["refunds moved money once"].looked_at == 8
    assert found["captures moved money once"].looked_at == 3
    assert found["what waits for approval is asked about"].looked_at == 1
    assert found["stock adds up"].looked_at == 1
    assert found["stock follows charges"].looked_at == 3
    assert found["amounts are what prices said"].looked_at == 4
    assert found["events are delivered"].looked_at > 0


# In these, {paid} and the like are replaced by the ids of the rows with these keys.
TAMPERINGS = [
    (
        "one key, one row",
        """INSERT INTO charges SELECT (json_populate_record(c, '{"id": "ch_copy"}')).*
           FROM charges c WHERE id = {paid}""",
    ),
    (
        "refunds within charges",
        """ALTER TABLE charges DROP CONSTRAINT charges_refunds_within_charge_check;
           UPDATE charges SET refund_reserved = 1001 WHERE id = {paid}""",
    ),
    (
        "refunds within charges",
        "UPDATE refunds SET amount = 999 WHERE id = {part}",
    ),
    (
        "refunds are counted",
        "UPDATE charges SET refunded_amount = 999 WHERE id = {paid}",
    ),
    (
        "refunds are counted",
        "UPDATE charges SET refund_reserved = 5 WHERE id = {customer}",
    ),
    (
        "refunds have a charge",
        "UPDATE refunds SET currency = 'EUR' WHERE id = {part}",
    ),
    (
        "refunds have a charge",
        "UPDATE refunds SET charge_id = 'ch_gone' WHERE id = {part}",
    ),
    (
        "refunds have a charge",
        "UPDATE refunds SET charge_id = {customer} WHERE id = {part}",
    ),
    (
        "events have no gap",
        """DELETE FROM deliveries;
           DELETE FROM events WHERE object_id = {paid} AND sequence = 1""",
    ),
    (
        "events have no gap",
        "UPDATE charges SET sequence = 3 WHERE id = {paid}",
    ),
    (
        "events have no gap",
        "UPDATE prices SET sequence = sequence + 1 WHERE id = {tea}",
    ),
    (
        "stock adds up",
        "UPDATE prices SET quantity_available = quantity_available + 1 WHERE id = {tea}",
    ),
    (
        "stock adds up",
        "DELETE FROM inventory_changes WHERE price_id = {tea}",
    ),
    (
        "stock adds up",
        "UPDATE reservations SET restocked = 0 WHERE charge_id = {bought}",
    ),
    (
        "stock follows charges",
        """UPDATE reservations SET state = 'sold', settled_at = now()
           WHERE charge_id = {in the dark}""",
    ),
    (
        "stock follows charges",
        "UPDATE reservations SET state = 'sold' WHERE charge_id = {too dear}",
    ),
    (
        "stock follows charges",
        "UPDATE reservations SET quantity = 5 WHERE charge_id = {bought}",
    ),
    (
        "stock follows charges",
        "DELETE FROM reservations WHERE charge_id = {bought}",
    ),
    (
        "goods come back once",
        "UPDATE reservations SET restocked = 2 WHERE charge_id = {bought}",
    ),
    (
        "goods come back once",
        """UPDATE refunds SET restocked = 0 WHERE id = {returned};
           UPDATE reservations SET restocked = 0 WHERE charge_id = {bought}""",
    ),
    (
        "amounts are what prices said",
        "UPDATE charges SET amount = amount + 1 WHERE id = {bought}",
    ),
    (
        "amounts are what prices said",
        "UPDATE charges SET currency = 'EUR' WHERE id = {bought}",
    ),
    (
        "amounts are what prices said",
        "UPDATE charges SET price_id = 'price_gone' WHERE id = {bought}",
    ),
    (
        "events tell the truth",
        """UPDATE events SET type = 'charge.failed'
           WHERE object_id = {paid} AND sequence = 1""",
    ),
    (
        "events tell the truth",
        """INSERT INTO events (id, type, object_id, sequence, body)
           VALUES ('evt_x', 'charge.succeeded', {paid}, 2, '')""",
    ),
    (
        "leases end",
        """UPDATE charges SET lease_token = gen_random_uuid(),
           lease_expires_at = now() - interval '31 s' WHERE id = {customer}""",
    ),
    (
        "nothing is forgotten",
        "UPDATE charges SET next_attempt_at = NULL WHERE id = {customer}",
    ),
    (
        "due work is done",
        """UPDATE charges SET next_attempt_at = now() - interval '61 s'
           WHERE id = {customer}""",
    ),
    ("what waits for approval is asked about", "DELETE FROM approvals"),
    (
        "what waits for approval is asked about",
        "UPDATE approvals SET state = 'overtaken', decided_at = now()",
    ),
    (
        "what waits for approval is asked about",
        """DROP INDEX approvals_pending_idx;
           INSERT INTO approvals SELECT (json_populate_record(a, '{"id": "apr_copy"}')).*
           FROM approvals a""",
    ),
    ("what waits for approval is asked about", "UPDATE approvals SET object_id = 're_gone'"),
    ("what waits for approval is asked about", "UPDATE approvals SET object_id = {part}"),
    (
        "what waits for approval is asked about",
        "UPDATE approvals SET action = 'refund.resolve', decision = 'failed'",
    ),
    (
        "what waits for approval is asked about",
        """UPDATE refunds SET phase = 'queued', next_attempt_at = now()
           WHERE phase = 'awaiting_approval'""",
    ),
    (
        "what waits for approval is asked about",
        """INSERT INTO approvals (id, state, action, object_id, decision, requested_by)
           VALUES ('apr_x', 'pending', 'charge.resolve', {paid}, 'failed', 'ada')""",
    ),
    (
        "what waits for approval can be done",
        """UPDATE charges SET state = 'failed', failure_code = 'expired_card'
           WHERE id = {large}""",
    ),
    (
        "outcomes are known",
        "UPDATE charges SET first_called_at = now() - interval '61 min' WHERE id = {dark}",
    ),
    (
        "pending is told",
        """DELETE FROM deliveries; DELETE FROM events WHERE type = 'charge.pending';
           UPDATE charges SET sequence = 0 WHERE producer = 'eager'""",
    ),
    (
        "pending is told",
        "UPDATE events SET type = 'refund.needs_review' WHERE type = 'refund.pending'",
    ),
    (
        "events tell the truth",
        """INSERT INTO events (id, type, object_id, sequence, body)
           VALUES ('evt_x', 'charge.pending', {paid}, 2, '')""",
    ),
    (
        "events are delivered",
        """DELETE FROM deliveries WHERE event_id =
           (SELECT id FROM events WHERE object_id = {paid} AND sequence = 1)""",
    ),
    (
        "delivered means accepted",
        """UPDATE deliveries SET state = 'delivered'
           WHERE id = (SELECT min(id) FROM deliveries)""",
    ),
    (
        "due webhooks are sent",
        """UPDATE deliveries SET next_attempt_at = now() - interval '61 s'
           WHERE id = (SELECT min(id) FROM deliveries)""",
    ),
    (
        "nothing waits for the deleted",
        """UPDATE deliveries SET created_at = now() - interval '11 min';
           UPDATE webhook_endpoints SET state = 'deleted', secrets = '{{}}',
           deleted_at = now() - interval '11 min'
           WHERE id = (SELECT endpoint_id FROM deliveries WHERE state = 'pending' LIMIT 1)""",
    ),
    (
        "no webhook is given up",
        """UPDATE deliveries SET state = 'exhausted'
           WHERE id = (SELECT min(id) FROM deliveries)""",
    ),
    (
        "messages can be read",
        """INSERT INTO quarantined_messages (queue, reason, sha256, size, raw)
           VALUES ('payments', 'not JSON', 'x', 1, 'x')""",
    ),
    (
        "what is to end ends",
        "UPDATE charges SET expires_at = now() - interval '2 min' WHERE id = {customer}",
    ),
    (
        "what is to end ends",
        """UPDATE charges SET cancel_code = 'canceled', cancel_requested_by = 'shop',
           cancel_requested_at = now() - interval '2 hours' WHERE id = {customer}""",
    ),
    (
        "events tell the truth",
        "UPDATE events SET type = 'charge.failed' WHERE type = 'charge.canceled'",
    ),
    (
        "events tell the truth",
        "UPDATE events SET type = 'charge.requires_action' WHERE type = 'charge.succeeded'",
    ),
    (
        "charges moved money once",
        """INSERT INTO sandbox_ledger (object_id, charge_id, reference, direction, amount, currency)
           VALUES ({left}, {left}, 'x', 'charge', 1000, 'USD')""",
    ),
    (
        "charges moved money once",
        "DELETE FROM sandbox_ledger WHERE object_id = {paid}",
    ),
    (
        "charges moved money once",
        "UPDATE sandbox_ledger SET amount = 999 WHERE object_id = {paid}",
    ),
    (
        "charges moved money once",
        "UPDATE sandbox_ledger SET currency = 'EUR' WHERE object_id = {paid}",
    ),
    (
        "charges moved money once",
        """INSERT INTO sandbox_ledger (object_id, charge_id, reference, direction, amount, currency)
           VALUES ({paid}, {paid}, 'x', 'charge', 1000, 'USD')""",
    ),
    (
        "charges moved money once",
        """INSERT INTO sandbox_ledger (object_id, charge_id, reference, direction, amount, currency)
           VALUES ({dark}, {dark}, 'x', 'charge', 1000, 'USD')""",
    ),
    (
        "charges moved money once",
        """INSERT INTO sandbox_ledger (object_id, charge_id, reference, direction, amount, currency)
           VALUES ({declined}, {declined}, 'x', 'charge', 1000, 'USD')""",
    ),
    (
        "charges moved money once",
        """INSERT INTO sandbox_ledger (object_id, charge_id, reference, direction, amount, currency)
           VALUES ('ch_x', 'ch_x', 'x', 'charge', 1000, 'USD')""",
    ),
    (
        "captures are carried out",
        "UPDATE captures SET state = 'pending', settled_at = NULL WHERE charge_id = {held}",
    ),
    (
        "captures are carried out",
        "UPDATE charges SET phase = 'unknown' WHERE id = {held}",
    ),
    (
        "disputes are counted",
        "UPDATE charges SET disputed_amount = 1 WHERE id = {contested}",
    ),
    (
        "disputes are counted",
        "DELETE FROM disputes WHERE charge_id = {contested}",
    ),
    (
        "captures are counted",
        "UPDATE captures SET amount = 401 WHERE charge_id = {held}",
    ),
    (
        "captures moved money once",
        "DELETE FROM sandbox_ledger WHERE charge_id = {held}",
    ),
    (
        "captures moved money once",
        "UPDATE charges SET amount_captured = 399 WHERE id = {taken}",
    ),
    (
        "captures moved money once",
        """INSERT INTO sandbox_ledger (object_id, charge_id, reference, direction, amount, currency)
           SELECT id, charge_id, 'x', 'capture', 400, 'USD' FROM captures
           WHERE charge_id = {held}""",
    ),
    (
        "refunds moved money once",
        "DELETE FROM sandbox_ledger WHERE object_id = {part}",
    ),
    (
        "refunds moved money once",
        """INSERT INTO sandbox_ledger (object_id, charge_id, reference, direction, amount, currency)
           VALUES ({part}, {paid}, 'x', 'refund', 300, 'USD')""",
    ),
    (
        "refunds moved money once",
        "DELETE FROM sandbox_ledger WHERE object_id = {back} AND direction = 'reversal'",
    ),
    (
        "refunds moved money once",
        """INSERT INTO sandbox_ledger
           (object_id, charge_id, reference, direction, amount, currency, moved_at)
           VALUES ({part}, {paid}, 'x', 'reversal', 300, 'USD', now() - interval '3 min')""",
    ),
    (
        "money adds up",
        "DELETE FROM sandbox_ledger WHERE object_id = {paid}",
    ),
    (
        "money adds up",
        "UPDATE sandbox_ledger SET amount = 299 WHERE object_id = {part}",
    ),
]

# What a superuser can: the tables of the ledger refuse every change otherwise.
_UNGUARDED = "SET LOCAL session_replication_role = replica;"
TAMPERINGS += [
    ("the ledger is what states say", "UPDATE charges SET amount = 1001 WHERE id = {paid}"),
    (
        "the ledger is what states say",
        _UNGUARDED + "DELETE FROM ledger_postings WHERE object_id = {part}",
    ),
    (
        "the ledger is what states say",
        _UNGUARDED + "UPDATE ledger_postings SET debit = 4 WHERE object_id = {contested}",
    ),
    ("the ledger is whole", "UPDATE ledger_filling SET finished_at = NULL"),
    (
        "every entry has its pair",
        _UNGUARDED + "UPDATE ledger_postings SET book = 1 WHERE object_id = {paid}",
    ),
    (
        "every entry has its pair",
        _UNGUARDED + "UPDATE ledger_books SET currency = 'EUR' WHERE currency = 'USD'",
    ),
    (
        "the seals are unbroken",
        _UNGUARDED + "UPDATE ledger_postings SET amount = amount + 1 WHERE object_id = {paid}",
    ),
    (
        "the seals are unbroken",
        _UNGUARDED + "DELETE FROM ledger_postings WHERE object_id = {paid}",
    ),
    (
        "the seals are unbroken",
        _UNGUARDED + "UPDATE ledger_seals SET hash = 'x' WHERE postings > 0",
    ),
    (
        "the seals are unbroken",
        _UNGUARDED + "DELETE FROM ledger_seals WHERE postings = 0",
    ),
    (
        "the seals are unbroken",
        """INSERT INTO ledger_postings
           (at, effective_at, amount, book, debit, credit, object_id)
           SELECT at, effective_at, amount, book, debit, credit, object_id FROM ledger_postings
           WHERE object_id = {paid}""",
    ),
    (
        "balances are what was posted",
        _UNGUARDED + "UPDATE ledger_balances SET balance = balance + 1 WHERE account = 2",
    ),
    ("balances are what was posted", _UNGUARDED + "DELETE FROM ledger_balances"),
    ("days are what was posted", "UPDATE ledger_days SET amount = amount + 1 WHERE account = 2"),
    ("days are what was posted", "DELETE FROM ledger_days"),
    ("days are what was posted", "DELETE FROM ledger_days_counted"),
    (
        "the ledger is what processors say",
        "DELETE FROM sandbox_ledger WHERE object_id = {paid}",
    ),
    (
        "the ledger is what processors say",
        _UNGUARDED + "DELETE FROM ledger_postings WHERE object_id = {part}",
    ),
]


def tamper(connection: Connection, statements: str) -> None:
    """Do what no rule of ours would."""
    kinds = {"part": "refunds", "back": "refunds", "returned": "refunds", "tea": "prices"}
    keys = (
        "paid",
        "part",
        "back",
        "customer",
        "left",
        "dark",
        "declined",
        "held",
        "taken",
        "contested",
        "large",
    )
    for key in (*keys, "tea", "bought", "returned", "too dear", "in the dark"):
        id_ = f"(SELECT id FROM {kinds.get(key, 'charges')} WHERE idempotency_key = '{key}')"
        statements = statements.replace(f"{{{key}}}", id_)
    for statement in statements.split(";"):
        # Straight to the driver: what looks like a parameter here is JSON.
        connection.exec_driver_sql(statement)


@every("promise, tampering", TAMPERINGS)
def test_what_breaks_a_promise_is_found_and_named(
    tampered: Connection, promise: str, tampering: str
) -> None:
    with tampered.begin_nested() as savepoint:
        assert finding(tampered, promise).is_kept
        tamper(tampered, tampering)
        found = finding(tampered, promise)
        savepoint.rollback()
    assert found.broken >= 1
    assert found.offenders[0].id
    assert found.offenders[0].detail
    assert is_sound([found]) is (found.invariant.level == "warning")


def test_every_promise_can_be_broken() -> None:
    assert {promise for promise, _ in TAMPERINGS} == set(BY_NAME)


def test_a_charge_that_is_settled_while_we_look_is_no_finding(engine: Engine) -> None:
    with counter(engine) as till:
        checks = verify(engine, statements=STATEMENTS)
        seen = [next(checks)]  # the snapshot is taken
        till.charge(idempotency_key="meanwhile")
        till.query("DELETE FROM sandbox_ledger")
        assert is_sound([*seen, *checks])
    assert not is_sound(list(verify(engine, statements=STATEMENTS)))


def test_a_refund_that_just_came_back_is_given_time_to_be_reported(tampered: Connection) -> None:
    tamper(
        tampered,
        """INSERT INTO sandbox_ledger (object_id, charge_id, reference, direction, amount, currency)
           VALUES ({part}, {paid}, 'x', 'reversal', 300, 'USD')""",
    )
    assert is_sound([finding(tampered, name) for name in BY_NAME])


def test_events_before_an_endpoint_was_enabled_again_are_not_missing(tampered: Connection) -> None:
    tamper(tampered, "DELETE FROM deliveries; UPDATE webhook_endpoints SET subscribed_at = now()")
    assert finding(tampered, "events are delivered").is_kept


def test_a_disabled_endpoint_misses_events_by_its_own_wish(tampered: Connection) -> None:
    tamper(tampered, "DELETE FROM deliveries; UPDATE webhook_endpoints SET state = 'disabled'")
    assert finding(tampered, "events are delivered").is_kept


def test_twenty_offenders_are_shown_and_all_are_counted(tampered: Connection) -> None:
    tampered.execute(
        text(
            "INSERT INTO quarantined_messages (queue, reason, sha256, size, raw)"
            " SELECT 'payments', 'not JSON', n, 1, 'x' FROM generate_series(1, 25) n"
        )
    )
    found = finding(tampered, "messages can be read")
    assert (found.broken, len(found.offenders)) == (25, 20)


def test_verifying_cannot_write(day: Counter) -> None:
    for _ in verify(day.engine, statements=STATEMENTS):
        (locks,) = day.query(
            "SELECT count(*) AS strong FROM pg_locks JOIN pg_class c ON c.oid = relation"
            " JOIN pg_stat_activity USING (pid)"
            " WHERE c.relname = 'charges' AND mode <> 'AccessShareLock'"
            " AND backend_type = 'client backend'"  # and not the database's own vacuum
        )
        assert locks["strong"] == 0


def test_money_that_moved_at_a_processor_that_a_charge_does_not_name_is_found(
    day: Counter,
) -> None:
    """Each by itself says that it moved once; only both together say that it moved twice."""
    there = STATEMENTS["sandbox"].where(table_of(SandboxMovement).c.direction == "charge").limit(1)
    both = {**STATEMENTS, "elsewhere": there}
    found = {one.invariant.name: one for one in verify(day.engine, statements=both)}
    broken = [name for name, one in found.items() if one.broken and one.invariant.level == "error"]
    assert broken == [
        "charges moved money once", "money adds up", "the ledger is what processors say",
    ]  # fmt: skip
    (offender,) = found["charges moved money once"].offenders
    assert "nothing at elsewhere here; moved there 1 times, " in offender.detail
    assert offender.detail.endswith(" USD")
    (sums,) = found["money adds up"].offenders
    assert re.match(r"elsewhere: taken 0\.00 USD here, [0-9]+\.[0-9]{2} USD there;", sums.detail)


def test_a_processor_without_a_statement_is_believed(day: Counter) -> None:
    assert is_sound(list(verify(day.engine, statements={})))
