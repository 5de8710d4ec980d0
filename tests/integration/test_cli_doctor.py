"""The doctor: says what is wrong and what to do, whatever is down, and soon."""

import re
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import redis
from kombu import Connection, Exchange, Queue
from sqlalchemy import Engine, make_url

from cli.doctor import receivers, work
from payments.audit import health
from payments.webhooks import endpoints
from tests.conftest import environ_for
from tests.support.acting import Database
from tests.support.command import Answer, Billing
from tests.support.counter import Counter, counter
from tests.support.every import every
from tests.support.programs import Programs
from tests.support.scripted import Says, scripted_service
from tests.support.stripe import API_KEY, a_list, an_error
from tests.support.waiting import wait_for
from tests.support.webhooks import an_endpoint, events_happen, rows

URL = "http://127.0.0.1:1/hook"


@pytest.fixture
def till(engine: Engine) -> Iterator[Counter]:
    with counter(engine) as till:
        yield till


@pytest.fixture
def silent_port() -> Iterator[int]:
    """One that takes connections and never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


@pytest.fixture
def doctor(billing: Billing) -> Callable[[], dict[str, list[dict[str, Any]]]]:
    """What it finds, by what it looked at."""

    def look() -> dict[str, list[dict[str, Any]]]:
        found: dict[str, list[dict[str, Any]]] = {}
        for one in billing("doctor", "--json").json["findings"]:
            found.setdefault(one["subject"], []).append(one)
        return found

    return look


def levels(found: list[dict[str, Any]]) -> list[str]:
    return [one["level"] for one in found]


def test_a_house_in_order_is_healthy(
    broker_url: str,
    redis_admin_url: str,
    database_url: str,
    tmp_path: Path,
    start_programs: Callable[..., Programs],
    billing: Billing,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    programs = start_programs(environ_for(database_url, broker_url, tmp_path))
    programs.start_all("worker", "webhooks", "beat")
    monkeypatch.setenv("BILLING_BROKER_URL", broker_url)
    if broker_url.startswith("redis"):  # the tests' server is one that may forget
        redis.Redis.from_url(redis_admin_url).config_set("appendonly", "yes")

    # The first sweeps are counted a moment after the programs are up.
    def found_well() -> Answer:
        told = billing("doctor", "--json")
        assert told.code == 0, told.out
        return told

    told = wait_for(found_well, what="the doctor to find all well")
    assert told.json["healthy"] is True
    seen = {(one["subject"], one["level"]) for one in told.json["findings"]}
    assert {subject for subject, level in seen if level == "ok"} >= {
        "settings", "database", "migrations", "clock", "connections", "sweeper", "payments",
        "pending", "webhooks", "quarantine", "broker", "queues", "workers",
    }  # fmt: skip
    # The tests' database is one that may lose what it has, and its owner runs the service.
    assert {subject for subject, level in seen if level != "ok"} <= {"durability", "roles"}
    readers = [one["seen"] for one in told.json["findings"] if one["subject"] == "workers"]
    assert readers[0].startswith("payments is read by payments@")
    assert readers[1].startswith("webhooks is read by webhooks@")


def test_people_see_what_fails_and_what_to_do(billing: Billing) -> None:
    told = billing("doctor")
    assert told.code == 1
    assert "fail workers" in told.out
    assert "nobody reads the queue payments" in told.out
    assert "→ start one: `celery -A worker worker --queues payments --pool threads`" in told.out
    assert told.out.endswith("SOMETHING FAILS\n")
    assert billing("doctor", "--json").code == 1


def test_a_sweeper_that_is_missing_is_missed(
    doctor: Callable[[], Any], till: Counter, engine: Engine
) -> None:
    (found,) = doctor()["sweeper"]
    assert found["level"] == "fail"
    assert found["seen"] == "nobody has ever looked for what is due"
    with Database(engine).transaction() as transaction:
        health.note_sweeps(transaction, "payments")
    (found,) = doctor()["sweeper"]
    assert (found["level"], found["seen"]) == ("ok", "somebody looks for what is due")
    rows(engine, "UPDATE heartbeats SET at = now() - interval '3 min'")
    (found,) = doctor()["sweeper"]
    assert (found["level"], found["seen"]) == (
        "fail",
        "nobody looked for what is due for 3 min",
    )
    till.charge(payment_method_id="pm_sandbox_requires_action")
    rows(engine, "UPDATE charges SET next_attempt_at = now() - interval '5 min', woken_at = NULL")
    (found,) = doctor()["sweeper"]
    assert found["seen"] == "overdue: 1 charge, 5 min at most, and nobody is woken for them"
    rows(
        engine,
        "UPDATE charges SET lease_token = gen_random_uuid(),"
        " lease_expires_at = now() - interval '5 min'",
    )
    (found,) = doctor()["sweeper"]
    assert found["seen"] == "1 lease ended 30 s ago and more, and nobody took them back"


def test_what_is_late_and_what_waits_for_a_person_is_told(
    doctor: Callable[[], Any], till: Counter, engine: Engine
) -> None:
    for key in ("late", "review", "unknown"):
        till.charge(payment_method_id="pm_sandbox_requires_action", idempotency_key=key)
    changes = {
        "late": "next_attempt_at = now() - interval '90 s', woken_at = now()",
        "review": "phase = 'needs_review', next_attempt_at = NULL",
        "unknown": "phase = 'unknown', first_called_at = now() - interval '3 h'",
    }
    for key, change in changes.items():
        rows(engine, f"UPDATE charges SET {change} WHERE idempotency_key = :key", key=key)
    rows(
        engine,
        "INSERT INTO quarantined_messages (queue, reason, sha256, size, raw)"
        " VALUES ('payments', 'x', 'x', 1, 'x')",
    )
    found = doctor()
    assert re.fullmatch(r"overdue: 1 charge, \d\d s at most", found["payments"][0]["seen"])
    assert levels(found["payments"]) == ["warn"]
    assert "billing charge list --phase needs_review" in found["needs review"][0]["advice"]
    assert found["unknown"][0]["seen"] == "1 charge, the oldest 3 h old"
    assert levels(found["quarantine"]) == ["warn"]
    rows(
        engine,
        "UPDATE charges SET next_attempt_at = now() - interval '1 h'"
        " WHERE idempotency_key = 'late'",
    )
    assert levels(doctor()["payments"]) == ["fail"]


def called(engine: Engine, id_: str, ago: str) -> None:
    table = "charges" if id_.startswith("ch_") else "refunds"
    change = "first_called_at = now() - CAST(:ago AS interval), phase = 'awaiting_customer'"
    rows(engine, f"UPDATE {table} SET {change} WHERE id = :id", ago=ago, id=id_)


def test_charges_whose_customers_stay_away_are_told_with_what_ends_them(
    doctor: Callable[[], Any], till: Counter, engine: Engine
) -> None:
    first, second = (
        till.charge(payment_method_id="pm_sandbox_requires_action")["id"] for _ in range(2)
    )
    rows(engine, "UPDATE charges SET created_at = now() - interval '1 y'")  # scheduled
    called(engine, first, "71 h")
    called(engine, second, "1 h")
    assert "waiting" not in doctor()
    called(engine, first, "73 h")
    (found,) = doctor()["waiting"]
    assert (found["level"], found["seen"]) == ("warn", "2 charges, the oldest 3 days old")
    assert "`billing charge list --phase awaiting_customer`" in found["advice"]
    assert "`billing charge cancel`" in found["advice"]


def test_refunds_that_a_bank_takes_long_for_are_told_and_nobody_is_sent_to_cancel_them(
    doctor: Callable[[], Any], till: Counter, engine: Engine
) -> None:
    refund = till.refund(till.charge(payment_method_id="pm_sandbox_refund_late_success")["id"])
    called(engine, refund["id"], "4 days")
    (found,) = doctor()["waiting"]
    assert (found["level"], found["seen"]) == ("warn", "1 refund, the oldest 4 days old")
    assert "`billing refund list --phase awaiting_customer`" in found["advice"]
    assert "cancel" not in found["advice"]


def test_receivers_that_fail_are_told_with_their_last_answer(
    doctor: Callable[[], Any], engine: Engine
) -> None:
    endpoint, idle = an_endpoint(engine, URL), an_endpoint(engine, URL)
    with Database(engine).transaction() as transaction:
        endpoints.disable(transaction, idle.id)
    events_happen(engine, 3)
    rows(
        engine,
        "INSERT INTO delivery_attempts (delivery_id, number, started_at, duration_ms, status_code)"
        " SELECT id, 1, now(), 5, 503 FROM deliveries",
    )
    rows(
        engine,
        "UPDATE deliveries SET attempts = 1, next_attempt_at = now() + interval '1 h',"
        " created_at = now() - interval '3 h'",
    )
    (failing,) = doctor()["webhooks"]
    assert failing["level"] == "warn"
    # The fourth tells that the other endpoint was disabled.
    assert failing["seen"] == (
        f"{endpoint.id} accepts nothing: 4 webhooks for 3 h at most, its last answer was 503"
    )
    rows(
        engine,
        "UPDATE deliveries SET state = CASE WHEN event_id = (SELECT max(event_id) FROM deliveries)"
        " THEN 'exhausted' ELSE 'delivered' END, next_attempt_at = NULL",
    )
    (given_up,) = doctor()["webhooks"]
    assert given_up["seen"] == f"{endpoint.id}: 1 webhook given up"
    assert f"billing webhook replay {endpoint.id}" in given_up["advice"]


def test_webhooks_that_nobody_sends_are_told(doctor: Callable[[], Any], engine: Engine) -> None:
    endpoint = an_endpoint(engine, URL)
    events_happen(engine)
    rows(engine, "UPDATE deliveries SET next_attempt_at = now() - interval '2 min'")
    (unswept,) = doctor()["webhooks"]
    assert (unswept["level"], "nobody is woken" in unswept["seen"]) == ("fail", True)
    rows(engine, "UPDATE webhook_endpoints SET woken_at = now()")
    (late,) = doctor()["webhooks"]
    assert late["seen"] == f"{endpoint.id}: 1 webhook, due for 2 min at most"


def test_requests_in_celerys_default_queue_are_told(
    doctor: Callable[[], Any], broker_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BILLING_BROKER_URL", broker_url)
    with Connection(broker_url) as connection, connection.channel() as channel:
        Queue("celery", Exchange("celery"), routing_key="celery")(channel).declare()
        connection.Producer().publish({}, routing_key="celery")
    try:
        found = [one for one in doctor()["queues"] if "default queue" in one["seen"]]
        assert [one["level"] for one in found] == ["warn"]
        assert "BILLING_EXTRA_QUEUES=celery" in found[0]["advice"]
        monkeypatch.setenv("BILLING_EXTRA_QUEUES", "celery")
        assert not [one for one in doctor()["queues"] if "default queue" in one["seen"]]
    finally:
        with Connection(broker_url) as connection, connection.channel() as channel:
            channel.queue_delete("celery")


def test_many_receivers_are_told_in_sum_and_beat_is_not_blamed_for_a_full_queue(
    doctor: Callable[[], Any], engine: Engine
) -> None:
    for number in range(12):
        an_endpoint(engine, f"{URL}/{number}")
    events_happen(engine, 2)
    rows(
        engine,
        "UPDATE deliveries SET next_attempt_at = now() - interval '2 minutes',"
        " created_at = now() - interval '2 minutes'",
    )
    rows(engine, "UPDATE webhook_endpoints SET woken_at = now() - interval '1 minute'")
    with engine.connect() as connection:
        (found,) = receivers.webhooks(connection, is_swept=True)
    assert found.level == "warn"
    told = r"12 endpoints with 24 webhooks due for 2 min at most, such as we_\w+, we_\w+, we_\w+"
    assert re.fullmatch(told, found.seen)
    assert "more workers of the queue webhooks" in found.advice
    with engine.connect() as connection:
        (found,) = receivers.webhooks(connection, is_swept=False)
    assert (found.level, found.advice) == ("fail", work.BEAT)


def test_a_redis_that_may_lose_messages_is_told(
    doctor: Callable[[], Any], redis_admin_url: str
) -> None:
    client = redis.Redis.from_url(redis_admin_url)
    try:
        client.config_set("maxmemory-policy", "allkeys-lru")
        client.config_set("maxmemory", "1500kb")
        client.config_set("appendonly", "no")
        found = doctor()
    finally:
        client.config_set("maxmemory-policy", "noeviction")
        client.config_set("maxmemory", "0")
    assert levels(found["broker's settings"]) == ["fail", "warn"]
    assert found["broker's settings"][0]["advice"] == (
        "set maxmemory-policy noeviction, not allkeys-lru"
    )


@pytest.mark.rabbitmq
def test_a_queue_that_is_not_ours_is_told(
    doctor: Callable[[], Any], rabbitmq_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    import kombu

    monkeypatch.setenv("BILLING_BROKER_URL", rabbitmq_url)
    assert levels(doctor()["queues"]) == ["warn", "warn"]  # nobody has made them
    with kombu.Connection(rabbitmq_url) as connection:
        connection.default_channel.queue_declare("payments", durable=True, auto_delete=False)
    wrong, missing = doctor()["queues"]
    assert wrong["level"] == "fail"
    assert "payments is no quorum queue" in wrong["seen"]
    assert missing["level"] == "warn"


def without(billing: Billing, monkeypatch: pytest.MonkeyPatch, **environ: str) -> Answer:
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    told = billing("doctor", "--json")
    assert told.code == 1
    assert told.err == ""
    assert "hunter2" not in told.out
    return told


def found_by(told: Answer, subject: str) -> dict[str, Any]:
    return next(one for one in told.json["findings"] if one["subject"] == subject)


@pytest.mark.parametrize("scheme", ["redis", "amqp"])
@pytest.mark.parametrize("is_silent", [False, True])
def test_a_broker_that_is_away_hides_nothing_else(
    billing: Billing,
    monkeypatch: pytest.MonkeyPatch,
    silent_port: int,
    scheme: str,
    is_silent: bool,
) -> None:
    port = silent_port if is_silent else 1
    url = f"{scheme}://user:hunter2@127.0.0.1:{port}/"
    told = without(billing, monkeypatch, BILLING_BROKER_URL=url)
    assert found_by(told, "broker")["level"] == "fail"
    assert f"{scheme}://127.0.0.1:{port}" in found_by(told, "broker")["seen"]
    assert found_by(told, "database")["level"] == "ok"
    assert found_by(told, "quarantine")["level"] == "ok"


@pytest.mark.parametrize("is_silent", [False, True])
def test_a_database_that_is_away_hides_nothing_else(
    billing: Billing, monkeypatch: pytest.MonkeyPatch, silent_port: int, is_silent: bool
) -> None:
    port = silent_port if is_silent else 1
    url = f"postgresql://user:hunter2@127.0.0.1:{port}/billing"
    told = without(billing, monkeypatch, BILLING_DATABASE_URL=url)
    assert found_by(told, "database")["level"] == "fail"
    assert f"postgresql://127.0.0.1:{port}/billing" in found_by(told, "database")["seen"]
    assert found_by(told, "broker")["level"] == "ok"


def test_a_password_that_is_wrong_or_a_database_without_tables_is_told(
    billing: Billing,
    monkeypatch: pytest.MonkeyPatch,
    database_url: str,
    empty_database_url: str,
) -> None:
    url = make_url(database_url).set(password="hunter2").render_as_string(hide_password=False)
    told = without(billing, monkeypatch, BILLING_DATABASE_URL=url)
    assert "password authentication failed" in found_by(told, "database")["seen"]
    told = without(billing, monkeypatch, BILLING_DATABASE_URL=empty_database_url)
    assert found_by(told, "migrations")["advice"] == "run `billing migrate`"
    assert "quarantine" not in told.out


def test_wrong_settings_are_told_and_what_can_be_read_is_looked_at(
    billing: Billing, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    told = without(billing, monkeypatch, BILLING_SLOTS="hunter2")
    assert [one["subject"] for one in told.json["findings"]] == ["settings"]
    assert found_by(told, "settings")["seen"] == (
        "BILLING_SLOTS must be a whole number from 1 to 1024"
    )
    monkeypatch.delenv("BILLING_SLOTS")
    monkeypatch.delenv("BILLING_DATABASE_URL")
    told = without(billing, monkeypatch, BILLING_DATA_DIR=str(tmp_path / "nothing"))
    assert "nothing is running in" in found_by(told, "settings")["seen"]
    assert found_by(told, "broker")["level"] == "ok"


@every(
    "answer, level, seen",
    [
        (a_list(), "ok", "takes our key; test mode"),
        (an_error(401, "invalid_request_error"), "fail", "it refuses our key (authentication)"),
    ],
)
def test_a_key_that_the_processor_refuses_is_told(
    billing: Billing, monkeypatch: pytest.MonkeyPatch, answer: Says, level: str, seen: str
) -> None:
    with scripted_service() as service:
        service.will(answer)
        told = without(
            billing,
            monkeypatch,
            BILLING_PROCESSORS="sandbox,stripe",
            BILLING_STRIPE_API_KEY=API_KEY,
            BILLING_STRIPE_API_BASE=service.url,
        )
    found = found_by(told, "stripe")
    assert (found["level"], found["seen"]) == (level, seen)
    assert API_KEY not in told.out


def test_an_installation_by_another_name_is_told_and_nothing_is_asked(
    billing: Billing, monkeypatch: pytest.MonkeyPatch
) -> None:
    with scripted_service() as service:
        service.will(a_list())
        seen = []
        for name in ("shop", "club"):
            told = without(
                billing,
                monkeypatch,
                BILLING_PROCESSORS="sandbox,stripe",
                BILLING_STRIPE_API_KEY=API_KEY,
                BILLING_STRIPE_API_BASE=service.url,
                BILLING_STRIPE_INSTALLATION=name,
            )
            seen.append(found_by(told, "stripe")["seen"])
        assert seen == [
            "takes our key; test mode",
            "it has our objects under another name than BILLING_STRIPE_INSTALLATION says",
        ]
        assert len(service.asked) == 1


def test_a_key_of_the_other_mode_is_told(
    till: Counter, doctor: Callable[[], dict[str, list[dict[str, Any]]]]
) -> None:
    till.charge(payment_method_id="pm_sandbox_timeout_after")
    assert "sandbox" not in doctor()
    till.query("UPDATE charges SET livemode = true")
    (told,) = doctor()["sandbox"]
    assert told["level"] == "fail"
    assert told["seen"] == "1 of live mode pending, and our key is of test mode"
    till.query("UPDATE charges SET state = 'succeeded', phase = NULL, settled_at = now()")
    (told,) = doctor()["sandbox"]
    assert told["level"] == "warn"
    assert told["seen"] == "our key is of test mode, and 1 charge of late were live"


def test_what_waits_for_a_processor_that_is_not_there_is_told(
    till: Counter, doctor: Callable[[], dict[str, list[dict[str, Any]]]]
) -> None:
    paid = till.charge()
    assert doctor()["processors"][0]["seen"] == "all that is pending is at sandbox"
    for _ in range(2):
        till.charge(payment_method_id="pm_sandbox_timeout_after")
    till.refund(paid["id"], amount=1)
    an_hour_ago = "next_attempt_at = now() - interval '1 hour'"
    till.query("UPDATE charges SET processor = 'gone', created_at = now() - interval '1 day'")
    till.query(f"UPDATE charges SET {an_hour_ago} WHERE state = 'pending'")
    till.query(
        "INSERT INTO refunds (id, producer, idempotency_key, fingerprint, charge_id, amount, state,"
        " phase, processor, next_attempt_at) SELECT 're_1', 'tests', 'k', 'f', :charge, 5,"
        " 'pending', 'queued', 'gone', now() - interval '1 hour'",
        charge=paid["id"],
    )
    found = doctor()
    (told,) = found["processors"]
    assert told["level"] == "fail"
    assert told["seen"] == (
        "2 charges and 1 refund left alone, the oldest for 24 h: no processor is named gone"
    )
    assert told["advice"] == (
        "add gone to BILLING_PROCESSORS of workers and beat, and restart them"
    )
    # They are no reason to start more workers.
    assert levels(found["payments"]) == ["ok"]
