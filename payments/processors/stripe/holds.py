"""Money that is set aside: how it is taken, and until when that can be.

Once per PaymentIntent; or in up to 50 parts ("multicapture"), a feature that an account must have
("IC+ pricing") and each PaymentIntent must ask for: https://docs.stripe.com/payments/multicapture,
read 2026-11-29. `if_available` is no more than a wish about the card, and an error for an account
without the feature, for which then nothing could be set aside at all: so it is asked for only where
a setting says that the account has it.
"""

from dataclasses import replace
from typing import TypeVar

import stripe

from infra.billing.contract.failures import message_for
from payments.processors.outcomes import Authorized, Canceled, Declined, Found, Succeeded
from payments.processors.port import Order
from payments.processors.stripe.finding import standing
from payments.processors.stripe.refusals import CAPTURES, outcome_of
from payments.processors.stripe.standing import capture_before
from payments.processors.stripe.wire import Object, Wire

T = TypeVar("T")


def objection_to(order: Order, *, multicapture: bool) -> Declined | None:
    """Why this capture is not even sent."""
    if not (order.final or multicapture):
        return _declined("multicapture_unavailable")
    return _declined("charge_reference_missing") if order.charge_reference is None else None


async def capture(wire: Wire, order: Order, name: str | None) -> tuple[Object, bool] | Found:
    """Take it, under our installation's `name`: the PaymentIntent, and whether that is a repeated
    answer; or what a refusal comes to. Raises stripe.StripeError."""
    try:
        return await wire.capture_intent(order, name)
    except stripe.StripeError as error:
        refused = outcome_of(error, CAPTURES)
        if not isinstance(refused, Declined):
            raise
    return _after(refused, await wire.intent(str(order.charge_reference)), order)


async def dated(wire: Wire, found: T) -> T | Authorized:
    """The outcome; of what is set aside, with the very moment until when.

    Only its charge says that. When that can't be read now, it is a week, as
    `payments.processors.stripe.standing` has it: nothing that was done depends on it.
    """
    if not isinstance(found, Authorized):
        return found
    try:
        until = capture_before(await wire.latest_charge(found.reference))
    except stripe.StripeError:
        return found
    return found if until is None else replace(found, capture_before=until)


def _after(refused: Declined, intent: Object, order: Order) -> Found:
    """A refusal, by how the charge stands then: it may have ended, or be on its way."""
    then = standing(intent, order)
    is_on_its_way = intent["status"] == "processing"
    return then if is_on_its_way or isinstance(then, Succeeded | Canceled) else refused


def _declined(word: str) -> Declined:
    return Declined("capture_declined", word, message_for("capture_declined"))
