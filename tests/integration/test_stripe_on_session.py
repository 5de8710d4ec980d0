"""A customer who is there, and whose bank wants to see them: from `next_action` to the end, on
Stripe's adapter and the stand-in for Stripe."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import pytest
from sqlalchemy import Engine

from infra.billing.contract.requests.charge_request import ChargeRequest
from payments.processors.stripe import Stripe
from tests.support.factories import a_charge
from tests.support.queueless import QueuelessWorker
from tests.support.sink import Sink, webhook_sink
from tests.support.stripe import WEBHOOK_SECRET, stripe_at
from tests.support.stripe_door import Door, stripe_door
from tests.support.waiting import wait_for

BACK = "https://shop.example.com/orders/1001/paid"
ASKS, DECLINES_THEN = (
    "pm_card_authenticationRequired",
    "pm_card_authenticationRequiredChargeDeclinedInsufficientFunds",
)


@dataclass
class Shop:
    """A worker, Stripe's stand-in with its events, and a customer who can be asked."""

    worker: QueuelessWorker
    stripe: Stripe
    door: Door
    events: Sink

    def charge(self, method: str = ASKS, **fields: Any) -> ChargeRequest:
        given = {"payment_method_id": method, "return_url": BACK, **fields}
        charge = a_charge(**{name: value for name, value in given.items() if value is not None})
        self.worker.executor.create(charge)
        return charge

    def row(self, charge: ChargeRequest) -> Any:
        return self.worker.till.row(charge.id)

    def customer_says(self, charge: ChargeRequest, outcome: str) -> None:
        reference = self.row(charge)["processor_reference"]
        assert self.door.customer_says(reference, outcome).status in (200, 302, 303)

    def moved(self, charge: ChargeRequest) -> list[tuple[str, int]]:
        found = self.door.movements(payment_intent=self.row(charge)["processor_reference"])
        return [(one["direction"], one["amount"]) for one in found]

    def hear(self, charge: ChargeRequest, stand: str) -> None:
        """Hear Stripe's events until it stands so."""
        heard = 0

        def stands() -> bool:
            nonlocal heard
            for one in self.events.requests[heard:]:
                heard += 1
                told = self.stripe.hear(dict(one.headers), one.body, deadline_s=5.0)
                if told is not None:
                    self.worker.till.report_all(told, by="stripe")
            return self.worker.till.stand(charge.id) == stand

        wait_for(stands, what=f"the charge to be {stand}")

    def look_up(self, charge: ChargeRequest, stand: str) -> None:
        """Nobody tells; the sweep looks it up."""
        assert self.worker.go_on(charge.id) == stand


@pytest.fixture
def shop(engine: Engine) -> Iterator[Shop]:
    with ExitStack() as stack:
        sink = stack.enter_context(webhook_sink())
        door = stack.enter_context(stripe_door(webhook_url=sink.url, webhook_secret=WEBHOOK_SECRET))
        stripe = stack.enter_context(stripe_at(door.url))
        worker = QueuelessWorker(
            engine,
            stripe,
            lambda duration: door.wait(int(duration.total_seconds())),
            key_window=stripe.key_window,
        )
        yield Shop(worker, stripe, door, sink)


Way = Callable[[Shop, ChargeRequest, str], None]
WAYS = pytest.mark.parametrize("resume", [Shop.hear, Shop.look_up], ids=["event", "look-up"])


def test_the_caller_is_told_where_to_send_the_customer(shop: Shop) -> None:
    charge = shop.charge()
    row = shop.row(charge)
    assert shop.worker.till.stand(charge.id) == "awaiting_customer"
    assert row["next_action"]["type"] == "redirect_to_url"
    assert row["next_action"]["url"].startswith(shop.door.url)
    assert shop.worker.till.events(charge.id) == ["charge.requires_action"]
    assert shop.moved(charge) == []
    # Whoever may read the row may not act in the customer's name.
    assert "_secret_" not in repr(dict(row))


@WAYS
def test_a_customer_who_says_yes_pays_once(shop: Shop, resume: Way) -> None:
    charge = shop.charge()
    shop.customer_says(charge, "succeed")
    resume(shop, charge, "succeeded")
    assert shop.moved(charge) == [("charge", charge.amount)]
    assert shop.row(charge)["next_action"] is None
    # Where what told of the end doesn't know the fee yet, what comes after tells that once.
    succeeded, *later = shop.worker.till.events(charge.id)[1:]
    assert succeeded == "charge.succeeded"
    assert later in ([], ["charge.updated"])


@WAYS
@pytest.mark.parametrize(
    ("method", "says", "code"),
    [(ASKS, "fail", "authentication_required"), (DECLINES_THEN, "succeed", "insufficient_funds")],
)
def test_a_customer_who_says_no_or_whose_card_does_pays_nothing(
    shop: Shop, resume: Way, method: str, says: str, code: str
) -> None:
    charge = shop.charge(method)
    shop.customer_says(charge, says)
    resume(shop, charge, "failed")
    assert shop.row(charge)["failure_code"] == code
    # Nor can they pay it later, on a page that is still open.
    intent = shop.door.client().v1.payment_intents.retrieve(shop.row(charge)["processor_reference"])
    assert intent.status == "canceled"
    assert shop.moved(charge) == []


@WAYS
def test_what_is_captured_by_hand_is_set_aside_once_the_customer_has_said_yes(
    shop: Shop, resume: Way
) -> None:
    charge = shop.charge(capture="manual")
    shop.customer_says(charge, "succeed")
    resume(shop, charge, "authorized")
    assert shop.moved(charge) == []


def test_a_customer_who_is_not_there_is_not_asked(shop: Shop) -> None:
    charge = shop.charge(return_url=None)
    assert shop.worker.till.stand(charge.id) == "failed"
    assert shop.row(charge)["failure_code"] == "authentication_required"


def test_who_need_not_be_asked_pays_at_once(shop: Shop) -> None:
    charge = shop.charge("pm_card_visa")
    assert shop.worker.till.stand(charge.id) == "succeeded"
    assert shop.moved(charge) == [("charge", charge.amount)]


def test_a_customer_who_does_not_come_back_can_no_more_pay_what_was_canceled(shop: Shop) -> None:
    charge = shop.charge()
    shop.worker.till.cancel(charge.id)
    assert shop.worker.go_on(charge.id) == "failed"
    assert shop.row(charge)["failure_code"] == "canceled"
    reference = shop.row(charge)["processor_reference"]
    assert shop.door.customer_says(reference, "succeed").status >= 400
    assert shop.moved(charge) == []
