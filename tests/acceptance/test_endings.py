"""Charges that nobody completes come to an end, and those that are to wait do wait, for real."""

import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

from celery import Celery
from kombu import Queue

from infra.billing.contract.ids import id_from_key
from tests.support.broker import Broker
from tests.support.house import House
from tests.support.waiting import wait_for
from tests.support.web import Caller

WAITS = "pm_sandbox_requires_action"


def told(town: House, charge_id: str) -> list[str]:
    """The types of the webhooks of a charge, by their numbers."""
    bodies = [request.json() for request in list(town.witness.sink.requests)]
    mine = {b["sequence"]: b["type"] for b in bodies if b["data"].get("charge_id") == charge_id}
    return [mine[number] for number in sorted(mine)]


def test_an_abandoned_charge_is_told_of_canceled_and_frees_its_reference(
    town: House, caller: Caller
) -> None:
    order = uuid.uuid4().hex
    asked = caller.charge(order, reference=order, payment_method_id=WAITS).json()
    charge_id = asked["charge_id"]
    town.wait_for_phase(charge_id, "awaiting_customer")
    waiting = caller.get(f"/charges/{charge_id}").json()
    assert waiting["next_action"]["type"] == "redirect_to_url"
    assert waiting["expires_at"] is not None

    ended = caller.post(
        f"/charges/{charge_id}/cancel", json={"reason": "left"}, headers={"prefer": "wait=30"}
    )
    assert (ended.status_code, ended.json()["failure_code"]) == (200, "canceled")
    town.witness.wait_until_final([charge_id])
    assert told(town, charge_id) == ["charge.requires_action", "charge.canceled"]

    again = caller.charge(f"{order}-2", reference=order, headers={"prefer": "wait=30"})
    assert (again.status_code, again.json()["state"]) == (200, "succeeded")
    town.witness.wait_until_quiet()
    town.witness.testify()


def test_a_charge_expires_by_itself(town: House) -> None:
    left = town.charge(payment_method_id=WAITS, expires_in_s=1)
    paid = town.charge(payment_method_id="pm_sandbox_cancel_too_late", expires_in_s=1)
    town.witness.wait_until_final([left, paid])
    rows = [town.witness.object(id_) for id_ in (left, paid)]
    assert [row and (row["state"], row["failure_code"]) for row in rows] == [
        ("failed", "expired"), ("succeeded", None),
    ]  # fmt: skip
    assert told(town, left)[-1] == "charge.canceled"
    town.witness.testify()


def test_what_a_celery_producer_says_of_time_and_callbacks_is_done_or_refused(
    town: House, broker: Broker
) -> None:
    """A stock Celery, which knows nothing of ours but a queue's name."""
    shop = Celery("shop", broker=broker.url, set_as_current=False)
    shop.conf.task_queues = [Queue("payments", no_declare=True)]
    shop.conf.broker_transport_options = {"confirm_publish": True}

    def ask(**options: Any) -> tuple[str, str]:
        key = uuid.uuid4().hex
        fields = {"amount": 1999, "currency": "USD", "idempotency_key": key}
        sent = shop.send_task("billing.charge.create", kwargs=fields, queue="payments", **options)
        return id_from_key("charge", producer="default", key=key), sent.id

    def refusal(task_id: str) -> list[tuple[str, str]]:
        found = "SELECT code, param FROM rejected_requests WHERE task_id = :id"
        rows = town.witness.rows(found, id=task_id)
        return [(row["code"], row["param"]) for row in rows]

    with shop:
        began = datetime.now(UTC)
        put_off, _ = ask(countdown=3)
        _, late = ask(expires=datetime.now(UTC) - timedelta(seconds=1))
        _, called_back = ask(link=shop.signature("shop.paid"))
        next_year, _ = ask(eta=datetime.now(UTC) + timedelta(days=200))

        wait_for(lambda: town.witness.object(next_year), what="the scheduled charge")
        for task_id, code in ((late, "request_expired"), (called_back, "invalid_request")):
            wait_for(lambda id_=task_id: refusal(id_), what="the refusal")
            assert refusal(task_id)[0][0] == code
        assert refusal(called_back) == [("invalid_request", "link")]
        town.cancel(next_year)
    town.witness.wait_until_final([put_off, next_year])
    first, last = (town.witness.object(id_) for id_ in (put_off, next_year))
    assert first is not None
    assert last is not None
    assert first["state"] == "succeeded"
    assert first["settled_at"] >= first["scheduled_at"] >= began
    assert last["failure_code"] == "canceled"
    assert town.witness.movements(next_year) == []
    town.witness.testify()


def test_what_the_broker_held_past_its_time_is_refused_and_not_set_aside(town: House) -> None:
    """RabbitMQ gives it up itself, and hands it to the queue of dead letters."""
    (before,) = town.witness.rows("SELECT count(*) AS n FROM quarantined_messages")
    town.running["worker"].end()
    key = uuid.uuid4().hex
    soon = datetime.now(UTC) + timedelta(seconds=1)
    task_id = town.producer.send(
        "billing.charge.create",
        headers={"expires": soon.isoformat()},
        expiration_s=1.0,
        amount=1999,
        currency="USD",
        idempotency_key=key,
    )
    wait_for(lambda: datetime.now(UTC) > soon, what="its time to be up")
    town.start("worker")

    def refused() -> bool:
        found = "SELECT code FROM rejected_requests WHERE task_id = :id"
        return [row["code"] for row in town.witness.rows(found, id=task_id)] == ["request_expired"]

    wait_for(refused, what="the refusal")
    assert town.witness.object(id_from_key("charge", producer="default", key=key)) is None
    (after,) = town.witness.rows("SELECT count(*) AS n FROM quarantined_messages")
    assert after == before
    town.witness.wait_until_quiet()
    town.witness.testify()
