"""The door as a process: its journal survives kill -9, and nothing moves twice."""

import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import stripe

from tests.support.programs import Program
from tests.support.sink import Answer, Sink
from tests.support.stripe_door import SECRET, Door, raised, stripe_door
from tests.support.waiting import wait_for

VISA = {"amount": 1000, "currency": "usd", "payment_method": "pm_card_visa", "confirm": True}


@pytest.fixture
def start(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[..., tuple[Program, Door]]:
    """Starts `billing stripe-door` on this test's journal."""

    def begin(*more: str) -> tuple[Program, Door]:
        command = [sys.executable, "-m", "cli", "stripe-door", "--port", "0"]
        command += ["--journal", str(tmp_path / "journal"), *more]
        program = Program("stripe-door", command, {"PYTHONUNBUFFERED": "1"})
        request.addfinalizer(program.end)
        program.wait_until(r"Stripe's API at http\S+;")
        found = re.search(r"API at (http[^;]+);", program.output)
        assert found is not None
        return program, Door(found[1])

    return begin


def pay(door: Door, key: str, **params: Any) -> stripe.PaymentIntent:
    create = door.client().v1.payment_intents.create
    return create({**VISA, **params}, {"idempotency_key": key})  # type: ignore[arg-type]


def test_a_door_that_is_killed_knows_everything_again(
    start: Callable[..., tuple[Program, Door]],
) -> None:
    program, door = start()
    paid = pay(door, "paid")
    door.client().v1.refunds.create({"payment_intent": paid.id, "amount": 300})
    method = {"payment_method": "pm_fault_applied_then_500_once"}
    raised(stripe.APIError, pay, door, "lost", **method)
    pay(door, "late", payment_method="pm_fault_late_success")
    door.wait(1)
    before = door.movements()
    program.kill()

    program, door = start()
    client = door.client()
    assert [one for one in door.movements() if one["key"] != "late"][: len(before)] == before
    again = pay(door, "paid")
    assert again.to_dict() == paid.to_dict()
    assert pay(door, "lost", **method).status == "succeeded"
    assert client.v1.charges.retrieve(str(paid.latest_charge)).amount_refunded == 300
    assert len(door.movements(key="paid")) == len(door.movements(key="lost")) == 1
    door.wait(5)  # what was to happen later happens
    late = client.v1.payment_intents.list({"limit": 1}).data[0]
    assert late.status == "succeeded"
    assert program.stop() == 0


def test_a_line_that_was_torn_is_as_if_it_had_never_been_asked(tmp_path: Path) -> None:
    journal = tmp_path / "journal"
    with stripe_door(journal=journal) as door:
        pay(door, "first")
        whole = journal.read_bytes()
        pay(door, "second")
        lines = journal.read_bytes()
    for cut in (1, (len(lines) - len(whole)) // 2, len(lines) - len(whole) - 1):
        journal.write_bytes(lines[: len(whole) + cut])
        with stripe_door(journal=journal) as door:
            assert [one["key"] for one in door.movements()] == ["first"]
            pay(door, "second")
            assert [one["key"] for one in door.movements()] == ["first", "second"]
        with stripe_door(journal=journal) as door:
            assert [one["key"] for one in door.movements()] == ["first", "second"]


def test_events_that_nobody_took_are_sent_by_the_next_door(
    start: Callable[..., tuple[Program, Door]], sink: Sink
) -> None:
    options = ("--webhook-url", sink.url, "--webhook-secret", SECRET)
    sink.answer = Answer(503)
    program, door = start(*options)
    pay(door, "unheard")
    wait_for(lambda: len(sink.requests) >= 3, what="tries")
    program.kill()
    heard = len(sink.requests)
    sink.answer = Answer()
    start(*options)

    def came() -> set[str]:
        return {
            stripe.Webhook.construct_event(one.body, one.headers["stripe-signature"], SECRET).type
            for one in sink.requests[heard:]
        }

    every = {"payment_intent.created", "charge.succeeded", "payment_intent.succeeded"}
    wait_for(came, until=lambda types: types == every, what="all of them")


def test_a_secret_of_its_own_is_shown(start: Callable[..., tuple[Program, Door]]) -> None:
    program, _ = start("--webhook-url", "http://127.0.0.1:9/")
    program.wait_until(r"events are signed with whsec_[0-9a-f]{48}")
