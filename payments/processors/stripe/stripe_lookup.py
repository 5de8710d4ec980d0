"""Looks up a charge, a capture or a refund: by its reference, or else by lists and our id in
metadata; and closes a charge for good.

Never by search, which may lag by an hour (https://docs.stripe.com/search#data-freshness).
"""

from collections.abc import Callable

import stripe

from payments.processors.outcomes import Canceled, Declined, Found, NotFound, Unknown
from payments.processors.port import Order
from payments.processors.stripe.refusals import code_of
from payments.processors.stripe.standing import (
    ABANDONED,
    is_as_ordered,
    is_of,
    of_intent,
    of_refund,
)
from payments.processors.stripe.walking import walk
from payments.processors.stripe.wire import Object, Wire

# Reads the state of an object.
Says = Callable[[Object], Found]

# Refused, since it can no longer be canceled.
NOT_CANCELABLE = "payment_intent_unexpected_state"
DIFFERENT = Unknown("another_amount")


async def find(
    wire: Wire, order: Order, name: str | None, *, now: float, has_time: Callable[[], bool]
) -> Object | Unknown | None:
    """Stripe's object of this charge or refund; for a capture, that of its charge; None if Stripe
    has none that carries `name`, our installation's; Unknown if there was not enough time to search
    everything.

    `now` is our clock, in Unix seconds; `has_time` says whether to continue through lists.
    """

    def is_it(one: Object) -> bool:
        return is_of(one, order, name)

    if order.kind == "capture":
        return None if order.charge_reference is None else await wire.intent(order.charge_reference)
    if order.reference is not None:
        known = wire.intent if order.kind == "charge" else wire.refund
        return await known(order.reference)
    if order.kind == "charge":
        return await walk(wire, order, is_it, now=now, has_time=has_time)
    if order.charge_reference is None:
        return None
    async for one in wire.refunds(intent=order.charge_reference):
        if is_it(one):
            return one
    return None


def standing(found: Object | Unknown | None, order: Order) -> Found:
    """The order's state, from the object."""
    if found is None:
        return NotFound()
    if isinstance(found, Unknown):
        return found
    if not is_as_ordered(found, order):
        return DIFFERENT
    return of_refund(found) if order.kind == "refund" else of_intent(found)


async def settled(wire: Wire, intent: Object, says: Says) -> Found:
    """The final state of a charge: a PaymentIntent whose payment failed could still be paid, by a
    customer who tries another card on the page for it. So it is closed first."""
    outcome = says(intent)
    if not isinstance(outcome, Declined) or intent["status"] == "canceled":
        return outcome
    then = await closed(wire, intent, says, ABANDONED)
    return outcome if isinstance(then, Canceled | Declined) else then


async def closed(wire: Wire, intent: Object, says: Says, reason: str) -> Found:
    """Cancel a PaymentIntent, or what was not captured of it, and return its state then."""
    try:
        # https://docs.stripe.com/payments/multicapture#close-payment
        if intent["status"] == "requires_capture" and intent.get("amount_received"):
            return says(await wire.release_intent(intent["id"]))
        return says(await wire.cancel_intent(intent["id"], reason))
    except stripe.StripeError as error:
        if code_of(error) != NOT_CANCELABLE:
            raise
    return says(await wire.intent(intent["id"]))
