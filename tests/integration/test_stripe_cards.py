"""What ours answers to each of Stripe's test cards (docs.stripe.com/testing)."""

from collections.abc import Iterator

import pytest

from local.stripe_door.cards import CARDS
from payments.processors.outcomes import Declined, Found, Succeeded
from payments.processors.port import Order
from payments.processors.stripe import Stripe
from tests.support.every import every
from tests.support.sandbox import a_charge
from tests.support.stripe import stripe_at
from tests.support.stripe_door import Door, stripe_door

# Of a charge off session: our code, and Stripe's word beside it.
DECLINED = {
    "chargeDeclined": ("card_declined", "generic_decline"),
    "chargeCustomerFail": ("card_declined", "generic_decline"),
    "chargeDeclinedOnAttach": ("card_declined", "generic_decline"),
    "chargeDeclinedFraudulent": ("card_declined", "fraudulent"),
    "radarBlock": ("card_declined", "fraudulent"),
    "chargeDeclinedInsufficientFunds": ("insufficient_funds", "insufficient_funds"),
    "chargeDeclinedVelocityLimitExceeded": ("insufficient_funds", "card_velocity_exceeded"),
    "chargeDeclinedLostCard": ("lost_card", "lost_card"),
    "chargeDeclinedStolenCard": ("stolen_card", "stolen_card"),
    "chargeDeclinedExpiredCard": ("expired_card", "expired_card"),
    "chargeDeclinedIncorrectCvc": ("incorrect_cvc", "incorrect_cvc"),
    "chargeDeclinedProcessingError": ("processing_error", "processing_error"),
    **dict.fromkeys(
        (name for name, card in CARDS.items() if card.authentication != "never"),
        ("authentication_required", "authentication_required"),
    ),
}


@pytest.fixture(scope="module")
def door() -> Iterator[Door]:
    with stripe_door() as opened:
        yield opened


@pytest.fixture(scope="module")
def stripe(door: Door) -> Iterator[Stripe]:
    with stripe_at(door.url) as made:
        yield made


@every("name", sorted(CARDS))
def test_each_card_is_answered_and_looked_up_alike(door: Door, stripe: Stripe, name: str) -> None:
    charge: Order = a_charge(f"pm_card_{name}", customer_id=None)
    outcome = stripe.charge(charge, deadline_s=5.0)
    found: Found = stripe.look_up(charge, deadline_s=5.0)
    assert type(outcome) is type(found)
    moved = door.movements(key=charge.key, direction="charge")
    if name in DECLINED:
        assert isinstance(outcome, Declined)
        assert (outcome.code, outcome.processor_code) == DECLINED[name]
        assert moved == []
    else:
        assert isinstance(outcome, Succeeded)
        assert [one["amount"] for one in moved] == [charge.amount]
