"""The gauges of what stands in the database: what they tell, and what it costs to tell it."""

import json
import socket
from typing import Any

import pytest
from sqlalchemy import Engine, text

from payments.audit import backlog, health, outstanding
from payments.lifecycle.accepting.asked import Accepted
from service.metrics.gauges import FRESH_S, DatabaseGauges, families, of_database
from tests.support.factories import Till, a_charge, a_refund
from tests.support.sink import Sink
from tests.support.webhooks import an_endpoint, events_happen


def gauges(engine: Engine) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    with engine.connect() as connection:
        found = backlog.look(connection)
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in families(found)
        for sample in family.samples
    }


def test_more_than_is_counted_is_told_as_a_part(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outstanding, "COUNT_MAX", 2)
    Till(engine).accept(*(a_charge() for _ in range(3)))
    with engine.begin() as connection:
        connection.execute(
            text(
                "UPDATE charges SET phase = 'needs_review', next_attempt_at = NULL"
                " WHERE id = (SELECT min(id) FROM charges)"
            )
        )
        (review,) = (one for one in outstanding.piles(connection) if one.phase == "needs_review")
        assert (review.count, review.is_part) == (1, False)
        connection.execute(text("UPDATE charges SET phase = 'queued', next_attempt_at = now()"))
        (queued,) = outstanding.piles(connection)
    assert (queued.kind, queued.phase, queued.count, queued.is_part) == (
        "charge",
        "queued",
        2,
        True,
    )


def test_a_refund_that_waits_for_its_charge_is_of_no_mode(engine: Engine) -> None:
    (accepted,) = Till(engine).accept(a_refund(a_charge()))
    assert isinstance(accepted, Accepted)
    with engine.begin() as connection:
        assert outstanding.in_other_mode(connection, {"sandbox": True}) == []
        connection.execute(text("UPDATE refunds SET currency = 'USD', amount = 1"))
        (told,) = outstanding.in_other_mode(connection, {"sandbox": True})
    assert (told.processor, told.livemode, told.waiting) == ("sandbox", False, 1)


def test_an_endpoint_that_was_left_alone_and_has_nothing_waiting_is_not_late(
    engine: Engine, sink: Sink
) -> None:
    an_endpoint(engine, sink.url)
    events_happen(engine)
    with engine.begin() as connection:
        connection.execute(
            text(
                "UPDATE webhook_endpoints SET held_back_until = now() - interval '1 hour',"
                " held_back_because = 'failing'"
            )
        )
        connection.execute(text("UPDATE deliveries SET next_attempt_at = now() - interval '2 h'"))
        (late,) = health.receivers(connection)
        assert 3600 <= late.overdue_s < 7200
        connection.execute(text("UPDATE deliveries SET state = 'exhausted', finished_at = now()"))
        (idle,) = health.receivers(connection)
    assert (idle.waiting, idle.overdue_s) == (0, 0)


def test_gauges_tell_what_waits_and_for_how_long(engine: Engine, sink: Sink) -> None:
    accepted = Till(engine).accept(a_charge(), a_charge(), a_charge())
    late, unknown, review = (one.row for one in accepted if isinstance(one, Accepted))
    endpoint = an_endpoint(engine, sink.url)
    events_happen(engine)
    with engine.begin() as connection:
        for id_, phase, due in (
            (late.id, "queued", "now() - interval '90 s'"),
            (unknown.id, "unknown", "now() + interval '1 hour'"),
            (review.id, "needs_review", "NULL"),
        ):
            connection.execute(
                text(
                    "UPDATE charges SET lease_token = NULL, lease_expires_at = NULL, leased_at ="
                    " NULL, worker = NULL, created_at = now() - interval '1 hour',"
                    f" first_called_at = NULL, phase = :phase, next_attempt_at = {due}"
                    " WHERE id = :id"
                ),
                {"id": id_, "phase": phase},
            )
        connection.execute(text("UPDATE deliveries SET next_attempt_at = now() - interval '120 s'"))
        connection.execute(
            text("INSERT INTO heartbeats VALUES ('payments', now() - interval '7 s')")
        )
    told = gauges(engine)

    def value(name: str, **labels: str) -> float:
        return told[name, frozenset(labels.items())]

    for phase in ("queued", "unknown", "needs_review"):
        of = {"operation": "charge", "phase": phase}
        assert value("billing_pending", **of) >= 1
        assert value("billing_pending_oldest_seconds", **of) >= 3600
    assert value("billing_overdue", operation="charge") >= 1
    assert value("billing_overdue_oldest_seconds", operation="charge") >= 90
    assert value("billing_webhook_overdue_seconds", endpoint_id=endpoint.id) >= 120
    assert value("billing_webhook_endpoints", state="enabled") == 1
    assert value("billing_sweep_age_seconds", sweep="payments") >= 7
    # The template of the tests' databases was sealed an hour ago.
    assert value("billing_ledger_unsealed_seconds") >= 3600
    assert value("billing_overdue_oldest_seconds", operation="refund") == 0
    assert ("billing_table_dead_rows", frozenset({("table", "charges")})) in told


def test_gauges_read_partial_indexes_and_no_finished_row(engine: Engine) -> None:
    with engine.begin() as connection:
        connection.execute(text("SET LOCAL enable_seqscan = off"))
        of_pending = (outstanding._PILES, outstanding._ELSEWHERE)
        for statement in (*of_pending, backlog._OVERDUE, backlog._STOCK_HELD):
            plan = connection.execute(
                text(f"EXPLAIN (FORMAT JSON) {statement.text}"),
                {"most": 10, "processors": ["sandbox"]},
            ).scalar_one()
            assert "Seq Scan" not in json.dumps(plan), statement.text


def test_the_database_is_asked_once_however_many_ask() -> None:
    looks, now = [], [0.0]

    def look() -> Any:
        looks.append(1)
        raise OSError("away")

    them = DatabaseGauges(look, clock=lambda: now[0])
    for _ in range(3):
        (up,) = them.collect()
        assert (up.name, up.samples[0].value) == ("billing_database_up", 0)
    assert len(looks) == 1
    now[0] = FRESH_S
    them.collect()
    assert len(looks) == 2


def test_a_database_that_is_away_is_told_and_nothing_else() -> None:
    with socket.create_server(("127.0.0.1", 0)) as nobody:
        port = nobody.getsockname()[1]
    them = of_database(f"postgresql+psycopg://nobody@127.0.0.1:{port}/none")
    assert [family.name for family in them.collect()] == ["billing_database_up"]
