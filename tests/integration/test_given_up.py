"""What a real RabbitMQ gives up after too many deliveries is kept, and can be released."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import kombu
import pytest
from sqlalchemy import Engine, text

from infra.billing.broker_publisher import Post
from infra.billing.contract.ids import id_from_key
from infra.billing.contract.messages.message import message, signed
from payments.access import keys
from service.broker.celery_config import DEAD, PAYMENTS
from tests.conftest import environ_for
from tests.support.acting import Database
from tests.support.producer import Producer
from tests.support.programs import Programs
from tests.support.waiting import wait_for

pytestmark = pytest.mark.rabbitmq

CHARGE = {"amount": 1999, "currency": "USD", "idempotency_key": "k", "producer": "shop"}
TRACE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


@pytest.fixture
def producer(rabbitmq_url: str) -> Any:
    with Producer(rabbitmq_url) as made:
        made.declare()
        yield made


@pytest.fixture
def programs(
    start_programs: Callable[..., Programs], database_url: str, rabbitmq_url: str, tmp_path: Path
) -> Programs:
    return start_programs(environ_for(database_url, rabbitmq_url, tmp_path))


def give_back_until_it_is_given_up(url: str, *, messages: int = 1) -> None:
    """What workers do while somebody holds the row: take, and give back, as often as they may."""
    with kombu.Connection(url) as connection:
        channel = connection.default_channel
        waiting, dead = (kombu.Queue(name, no_declare=True)(channel) for name in (PAYMENTS, DEAD))

        def give_back() -> int:
            while message := waiting.get():
                message.reject(requeue=True)
            return int(dead.queue_declare(passive=True).message_count)

        wait_for(lambda: give_back() == messages, what="the broker to give up")


def rows(engine: Engine, statement: str) -> list[Any]:
    with engine.connect() as connection:
        return list(connection.execute(text(statement)).mappings())


def test_a_request_that_was_given_up_is_kept_and_carried_out_once_it_is_released(
    rabbitmq_url: str, producer: Producer, programs: Programs, engine: Engine
) -> None:
    headers = {"eta": "2001-01-01T00:00:00Z", "traceparent": TRACE}
    producer.send("billing.charge.create", task_id="t-1", headers=headers, **CHARGE)
    give_back_until_it_is_given_up(rabbitmq_url)
    worker = programs.start("worker")
    kept = "SELECT * FROM quarantined_messages"
    wait_for(lambda: rows(engine, kept), what="it to be kept")
    (row,) = rows(engine, kept)
    assert row["reason"] == "given up by the broker after too many deliveries"
    assert json.loads(bytes(row["raw"])) == {
        "task": "billing.charge.create", "id": "t-1", "kwargs": CHARGE,
        "eta": "2001-01-01T00:00:00.000000Z", "traceparent": TRACE,
    }  # fmt: skip
    assert not rows(engine, "SELECT 1 FROM charges")
    released = programs.run("quarantine", "release", str(row["id"]))
    assert released.returncode == 0, released.stderr
    charge_id = id_from_key("charge", producer="shop", key="k")
    done = f"SELECT traceparent FROM charges WHERE id = '{charge_id}' AND state = 'succeeded'"
    wait_for(lambda: rows(engine, done), what="the charge")
    assert rows(engine, done)[0]["traceparent"] == TRACE
    assert worker.alive
    assert "Traceback" not in worker.output


def test_wake_up_calls_and_what_is_no_message_are_kept_to_be_looked_at(
    rabbitmq_url: str, producer: Producer, programs: Programs, engine: Engine
) -> None:
    producer.send("billing.charge.submit", id="ch_" + "a" * 32)
    producer.send_raw(b"{not JSON", headers={"task": "billing.charge.create", "id": "t-2"})
    give_back_until_it_is_given_up(rabbitmq_url, messages=2)
    programs.start("worker")
    kept = "SELECT id, reason FROM quarantined_messages ORDER BY reason"
    wait_for(lambda: len(rows(engine, kept)) == 2, what="both to be kept")
    assert [row["reason"].partition(":")[0] for row in rows(engine, kept)] == [
        "given up by the broker after too many deliveries",
        "the body is not JSON",
    ]
    for row in rows(engine, kept):
        refused = programs.run("quarantine", "release", str(row["id"]))
        assert "it is not a request that can be tried again" in refused.stderr


def test_one_that_its_producer_has_not_signed_is_refused_and_never_released_in_its_name(
    rabbitmq_url: str, producer: Producer, programs: Programs, engine: Engine
) -> None:
    with Database(engine).transaction() as transaction:
        _, key = keys.create_signing(transaction, producer="shop")
    honest = {**CHARGE, "idempotency_key": "honest"}
    post = Post(rabbitmq_url, timeout_s=10)
    try:
        sent = [message("charge", {**CHARGE}), signed(message("charge", honest), key)]
        assert post.send(sent) == [None] * 2
    finally:
        post.close()
    give_back_until_it_is_given_up(rabbitmq_url, messages=2)
    programs.environ["BILLING_BROKER_SIGNATURES"] = "require"
    programs.start("worker")
    kept = "SELECT id, raw FROM quarantined_messages"
    wait_for(lambda: rows(engine, kept), what="the honest one to be kept")
    refused = "SELECT code FROM rejected_requests"
    wait_for(lambda: rows(engine, refused), what="the other to be refused")
    assert [row["code"] for row in rows(engine, refused)] == ["signature_invalid"]
    (row,) = rows(engine, kept)
    assert json.loads(bytes(row["raw"]))["kwargs"]["idempotency_key"] == "honest"
    assert programs.run("quarantine", "release", str(row["id"])).returncode == 0
    done = "SELECT idempotency_key FROM charges WHERE state = 'succeeded'"
    wait_for(lambda: rows(engine, done), what="the charge")
    assert [row["idempotency_key"] for row in rows(engine, done)] == ["honest"]
