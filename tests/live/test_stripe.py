"""Our adapter on Stripe's test mode: what we believe of Stripe, held against Stripe.

Each also runs on the stand-in, so that it is known to work before anybody has a key.
"""

from dataclasses import replace
from typing import Any

import pytest

from payments.processors.outcomes import Authorized, Canceled, Declined, Pending, Succeeded
from payments.processors.port import Order
from tests.live.conftest import REFUSED, Live, a_customer_at

DEADLINE_S = 30.0


def send(live: Live, order: Order) -> Any:
    return getattr(live.stripe, order.kind)(order, deadline_s=DEADLINE_S)


def look_up(live: Live, order: Order) -> Any:
    return live.stripe.look_up(order, deadline_s=DEADLINE_S)


def taken(live: Live) -> tuple[Order, str]:
    """A charge whose money has moved, and Stripe's id of it."""
    charge = live.charge()
    outcome = send(live, charge)
    assert isinstance(outcome, Succeeded)
    return charge, outcome.reference


def test_the_key_is_good_for_what_we_ask(live: Live) -> None:
    assert live.stripe.check(deadline_s=DEADLINE_S) is None


def test_a_charge_moves_once_under_its_key_and_is_found_by_our_id(live: Live) -> None:
    charge, reference = taken(live)
    assert send(live, charge) == Succeeded(reference)
    assert look_up(live, charge) == look_up(live, replace(charge, reference=reference))
    [intent] = live.intents()
    assert (intent.id, intent.amount_received) == (reference, 1000)


@pytest.mark.parametrize(
    ("card", "code"),
    [
        ("pm_card_chargeDeclined", "card_declined"),
        ("pm_card_chargeDeclinedInsufficientFunds", "insufficient_funds"),
        ("pm_card_chargeDeclinedExpiredCard", "expired_card"),
        ("pm_card_authenticationRequired", "authentication_required"),  # and nobody is there
        ("pm_nothing_of_this_name", "invalid_payment_method"),
    ],
)
def test_a_card_that_is_declined_says_why(live: Live, card: str, code: str) -> None:
    outcome = send(live, live.charge(card))
    assert isinstance(outcome, Declined)
    assert outcome.code == code


def test_a_refund_goes_back_once_and_no_more_than_was_taken(live: Live) -> None:
    charge, reference = taken(live)
    refund = live.of(charge, "refund", reference, amount=400)
    first = send(live, refund)
    assert isinstance(first, Succeeded | Pending)
    assert send(live, refund).reference == first.reference
    assert look_up(live, refund).reference == first.reference
    assert isinstance(send(live, live.of(charge, "refund", reference, amount=601)), Declined)


def test_what_is_set_aside_is_captured_in_part_and_the_rest_let_go_of(live: Live) -> None:
    charge = live.charge(capture="manual")
    held = send(live, charge)
    assert isinstance(held, Authorized)
    assert held.capture_before is not None
    capture = live.of(charge, "capture", held.reference, amount=400)
    assert send(live, capture) == send(live, capture) == Succeeded(held.reference, 400)
    assert look_up(live, capture) == Succeeded(held.reference, 400)


def test_what_is_canceled_is_let_go_of(live: Live) -> None:
    charge = live.charge(capture="manual")
    held = send(live, charge)
    canceled = live.stripe.cancel(replace(charge, reference=held.reference), deadline_s=DEADLINE_S)
    assert canceled == Canceled(held.reference)
    assert isinstance(send(live, live.of(charge, "capture", held.reference)), Canceled)


def test_a_customer_who_is_there_is_sent_to_a_page(live: Live) -> None:
    charge = live.charge("pm_card_authenticationRequired", return_url="https://example.com/paid")
    waits = send(live, charge)
    assert isinstance(waits, Pending)
    assert waits.next_action is not None
    assert waits.next_action.type == "redirect_to_url"
    assert waits.next_action.url is not None
    assert look_up(live, charge) == waits


def test_a_key_of_live_mode_is_refused_before_anything_is_sent() -> None:
    with pytest.raises(pytest.fail.Exception, match="key of live mode"):
        next(a_customer_at("sk_live_" + "0" * 24, "http://127.0.0.1:9"))
    assert "nothing was sent" in REFUSED
