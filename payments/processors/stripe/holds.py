"""Authorized money: how it is captured, and until when it can be.

Once per PaymentIntent; or in up to 50 parts ("multicapture"), a feature that an account must have
("IC+ pricing") and each PaymentIntent must request: https://docs.stripe.com/payments/multicapture,
read 2026-11-29. `if_available` depends only on the card, and is an error for an account without the
feature, which then could not authorize anything: so it is requested only if a setting says that the
account has the feature.
"""

from dataclasses import replace
from typing import TypeVar

import stripe

from infra.billing.contract.failures import message_for
from payments.processors.outcomes import Authorized, Canceled, Declined, Found, Succeeded
from payments.processors.port import Order
from payments.processors.stripe.refusals import CAPTURES, outcome_of
from payments.processors.stripe.standing import capture_before
from payments.processors.stripe.stripe_lookup import standing
from payments.processors.stripe.wire import Object, Wire

T = TypeVar("T")


def objection_to(order: Order, *, multicapture: bool) -> Declined | None:
    """Why this capture is not even sent."""
    if not (order.final or multicapture):
        return _declined("multicapture_unavailable")
    return _declined("charge_reference_missing") if order.charge_reference is None else None


async def capture(wire: Wire, order: Order, name: str | None) -> tuple[Object, bool] | Found:
    """Capture it, under our installation's `name`: the PaymentIntent, and whether that is a
    repeated answer; or the outcome of a refusal. Raises stripe.StripeError."""
    try:
        return await wire.capture_intent(order, name)
    except stripe.StripeError as error:
        refused = outcome_of(error, CAPTURES)
        if not isinstance(refused, Declined):
            raise
    return _after(refused, await wire.intent(str(order.charge_reference)), order)


async def dated(wire: Wire, found: T) -> T | Authorized:
    """The outcome; for an authorization, with its exact end.

    Only its charge has that. If it can't be read now, it is a week, as in
    `payments.processors.stripe.standing`: nothing that was done depends on it.
    """
    if not isinstance(found, Authorized):
        return found
    try:
        until = capture_before(await wire.latest_charge(found.reference))
    except stripe.StripeError:
        return found
    return found if until is None else replace(found, capture_before=until)


def _after(refused: Declined, intent: Object, order: Order) -> Found:
    """The outcome of a refusal, by the state of the charge then: it may have ended, or be on its
    way."""
    then = standing(intent, order)
    is_on_its_way = intent["status"] == "processing"
    return then if is_on_its_way or isinstance(then, Succeeded | Canceled) else refused


def _declined(word: str) -> Declined:
    return Declined("capture_declined", word, message_for("capture_declined"))
