"""Where the live tests run: on Stripe's test mode when there is a key, and on the stand-in always.

They make a customer of their own, and leave nothing that could be paid, captured or refunded.
"""

import os
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from itertools import count
from typing import Any
from uuid import uuid4

import pytest
import stripe as library

from infra.billing.contract.ids import id_from_key
from payments.processors.port import Order
from payments.processors.stripe import Stripe
from payments.processors.stripe.stripe_processor import is_live
from payments.processors.stripe.wire import API_BASE, API_VERSION
from tests.support.stripe_door import KEY, stripe_door

# Read before any fixture takes settings of a developer's away.
TEST_KEY = os.environ.get("BILLING_STRIPE_API_KEY", "")
SKIPPED = (
    "not tried on Stripe itself: set BILLING_STRIPE_API_KEY to a key of test mode (sk_test_…,"
    " https://dashboard.stripe.com/test/apikeys)"
)
REFUSED = (
    "BILLING_STRIPE_API_KEY is a key of live mode, and these tests charge cards: nothing was sent;"
    " set one of test mode (sk_test_…)"
)
OPEN = ("requires_payment_method", "requires_confirmation", "requires_action", "requires_capture")


@dataclass
class Live:
    """Our adapter, and a customer of this test's at the account it charges."""

    stripe: Stripe
    client: library.StripeClient
    customer_id: str
    run: str = field(default_factory=lambda: uuid4().hex)
    numbers: Iterator[int] = field(default_factory=count)

    def charge(self, payment_method_id: str = "pm_card_visa", **fields: Any) -> Order:
        """A charge of USD 10.00 that nobody has sent yet."""
        return Order(
            **{
                "id": id_from_key("charge", producer=self.run, key=str(next(self.numbers))),
                "kind": "charge",
                "amount": 1000,
                "currency": "USD",
                "customer_id": self.customer_id,
                "payment_method_id": payment_method_id,
                "description": "a test of the billing service",
                **fields,
            }
        )

    def of(self, charge: Order, kind: Any, reference: str, **fields: Any) -> Order:
        """A refund or a capture of a charge."""
        given = {"amount": charge.amount, "currency": charge.currency, **fields}
        id_ = id_from_key(kind, producer=self.run, key=str(next(self.numbers)))
        return Order(id=id_, kind=kind, charge_id=charge.id, charge_reference=reference, **given)

    def intents(self) -> list[library.PaymentIntent]:
        """All that was made for the customer."""
        return self.client.v1.payment_intents.list({"customer": self.customer_id}).data

    def clean_up(self) -> None:
        """Cancel what is open, give back what was taken, and take the customer away."""
        for intent in self.intents():
            if intent.status in OPEN:
                self.client.v1.payment_intents.cancel(intent.id)
            elif intent.status == "succeeded":
                refunds = self.client.v1.refunds.list({"payment_intent": intent.id}).data
                given = sum(one.amount for one in refunds if one.status != "failed")
                if given < intent.amount_received:
                    self.client.v1.refunds.create({"payment_intent": intent.id})
        self.client.v1.customers.delete(self.customer_id)


@pytest.fixture(params=["stand-in", "stripe"])
def live(request: pytest.FixtureRequest) -> Iterator[Live]:
    with ExitStack() as stack:
        key, base = TEST_KEY, API_BASE
        if request.param == "stand-in":
            key, base = KEY, stack.enter_context(stripe_door()).url
        elif not key:
            pytest.skip(SKIPPED)
        yield from a_customer_at(key, base)


def a_customer_at(key: str, base: str) -> Iterator[Live]:
    """A customer of this account, until the test ends. Fails for a key of live mode."""
    if is_live(key):
        pytest.fail(REFUSED)
    client = library.StripeClient(key, stripe_version=API_VERSION, base_addresses={"api": base})
    stripe = Stripe(key, api_base=base)
    try:
        customer = client.v1.customers.create({"description": "a test of the billing service"})
        live = Live(stripe, client, customer.id)
        try:
            yield live
        finally:
            live.clean_up()
    finally:
        stripe.close()
