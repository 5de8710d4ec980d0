"""Events of the door on their way: signed, repeated, and in the order that was asked for."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import stripe

from tests.support.every import every
from tests.support.sink import Answer, Sink, webhook_sink
from tests.support.stripe_door import SECRET, Door, client_at, stripe_door
from tests.support.waiting import wait_for

PAID = ["payment_intent.created", "charge.succeeded", "payment_intent.succeeded"]


@pytest.fixture(scope="module")
def heard() -> Iterator[Sink]:
    with webhook_sink() as sink:
        yield sink


@pytest.fixture(scope="module")
def door(heard: Sink) -> Iterator[Door]:
    with stripe_door(webhook_url=heard.url) as opened:
        yield opened


def pay(door: Door, method: str = "pm_card_visa") -> stripe.PaymentIntent:
    given = {"amount": 1000, "currency": "usd", "payment_method": method, "confirm": True}
    return door.client().v1.payment_intents.create(given)  # type: ignore[arg-type]


def events_of(heard: Sink, intent_id: str) -> list[Any]:
    """What came about this payment, in the order in which it came."""
    came = [json.loads(one.body) for one in heard.requests]
    return [one for one in came if intent_id in json.dumps(one["data"])]


def types_of(heard: Sink, intent_id: str) -> list[str]:
    return [one["type"] for one in events_of(heard, intent_id)]


def test_events_are_signed_and_tell_the_object_as_it_was(door: Door, heard: Sink) -> None:
    intent = pay(door)
    wait_for(lambda: len(types_of(heard, intent.id)) >= 3, what="three events")
    assert types_of(heard, intent.id) == PAID
    for request in heard.requests:
        signed = request.headers["stripe-signature"]
        event = stripe.Webhook.construct_event(request.body, signed, SECRET)
        assert event.object == "event"
        with pytest.raises(stripe.SignatureVerificationError):
            stripe.Webhook.construct_event(request.body + b" ", signed, SECRET)
    told = events_of(heard, intent.id)
    assert told[0]["data"]["object"]["status"] == "requires_confirmation"
    assert told[2]["data"]["object"]["status"] == "succeeded"
    listed = door.client().v1.events.list({"type": "payment_intent.succeeded"}).data
    assert told[2]["id"] in [one.id for one in listed]


@every(
    "fault, came",
    [
        ("duplicate_event", [name for name in PAID for _ in range(2)]),
        ("reordered_events", PAID[::-1]),
    ],
)
def test_events_come_as_the_fault_has_it(
    door: Door, heard: Sink, fault: str, came: list[str]
) -> None:
    intent = pay(door, f"pm_fault_{fault}")
    wait_for(lambda: len(types_of(heard, intent.id)) >= len(came), what="its events")
    assert types_of(heard, intent.id) == came
    ids = [one["id"] for one in events_of(heard, intent.id)]
    assert len(set(ids)) == 3


def test_an_event_overtakes_the_answer(door: Door, heard: Sink) -> None:
    before = len(heard.requests)
    intent = pay(door, "pm_fault_event_before_answer")
    # All of them had come when the answer did.
    came = [json.loads(one.body)["type"] for one in heard.requests[before:]]
    assert came == PAID
    assert types_of(heard, intent.id) == PAID


def test_events_that_never_come_can_be_listed(door: Door, heard: Sink) -> None:
    silent, loud = pay(door, "pm_fault_no_event"), pay(door)
    wait_for(lambda: len(types_of(heard, loud.id)) >= 3, what="the events of another")
    assert types_of(heard, silent.id) == []
    listed = door.client().v1.events.list({"limit": 100}).data
    assert len([one for one in listed if silent.id in str(one.data)]) == 3


def test_an_event_that_is_not_taken_comes_again(door: Door, heard: Sink) -> None:
    tries: list[bytes] = []

    def refuse_once(request: Any) -> Answer:
        tries.append(request.body)
        return Answer(500 if tries.count(request.body) == 1 else 204)

    heard.answer = refuse_once
    try:
        intent = pay(door)
        wait_for(
            lambda: sorted(types_of(heard, intent.id)) == sorted(PAID * 2), what="second tries"
        )
    finally:
        heard.answer = Answer()


def test_thin_events_name_the_object_and_say_no_more(own_door: Callable[..., Door]) -> None:
    with webhook_sink() as sink:
        door = own_door(webhook_url=sink.url, thin_events=True)
        intent = pay(door)
        (created, *_) = sink.wait_for(3)
        client = client_at(door.url)
        told = client.parse_event_notification(
            created.body, created.headers["stripe-signature"], SECRET
        )
        assert told.type == "v1.payment_intent.created"
        assert intent.id in created.body.decode()
        assert b"amount" not in created.body


@pytest.fixture
def own_door() -> Iterator[Callable[..., Door]]:
    from contextlib import ExitStack

    with ExitStack() as stack:
        yield lambda **options: stack.enter_context(stripe_door(**options))
