"""What each test payment method does: Stripe's own, and outcomes that Stripe has no card for.

The names, numbers and outcomes are those of Stripe's page (docs.stripe.com/testing). Stripe spells
a decline `pm_card_chargeDeclined` and `pm_card_visa_chargeDeclined`; both are known.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal

LATE_S = 2.0  # Long enough to be late for any caller, short enough for a test to wait for it.


@dataclass(frozen=True, slots=True)
class Decline:
    """Why the bank said no: Stripe's `code`, `decline_code` and what to do next."""

    code: str
    decline_code: str | None
    message: str
    advice: str | None = None


@dataclass(frozen=True, slots=True)
class Card:
    """What becomes of payments with it."""

    number: str = "4242424242424242"
    brand: str = "visa"
    country: str = "US"
    funding: str = "credit"
    decline: Decline | None = None
    # It can't even be attached to a customer.
    attaches: bool = True
    # The customer is asked each time; or only off session, or never.
    authentication: Literal["never", "always", "off_session"] = "never"
    # The payment waits for the bank, and ends so `LATE_S` later.
    late: Literal["", "succeeds", "declines"] = ""
    # Stripe's word for what the customer disputes right after the payment.
    disputes: str = ""
    inquires: bool = False
    refunds: Literal["succeed", "fail_later", "pending", "fail"] = "succeed"
    # The money can be paid out at once.
    available: bool = False


GENERIC = Decline("card_declined", "generic_decline", "Your card was declined.", "try_again_later")
NOT_AUTHENTICATED = Decline(
    "authentication_required",
    "authentication_required",
    "Your card was declined. This transaction requires authentication.",
)


def _declined(code: str, message: str, advice: str | None = None) -> Decline:
    """A decline that has a code of its own, and no decline code."""
    return Decline(code, None, message, advice)


def _refused(decline_code: str, message: str, advice: str | None = None) -> Decline:
    return Decline("card_declined", decline_code, message, advice)


INSUFFICIENT_FUNDS = _refused(
    "insufficient_funds", "Your card has insufficient funds.", "try_again_later"
)

_ALWAYS = Card("4000002760003184", authentication="always")

# After `pm_card_`, and after `tok_`.
CARDS: Mapping[str, Card] = {
    "visa": Card(),
    "visa_debit": Card("4000056655665556", funding="debit"),
    "mastercard": Card("5555555555554444", "mastercard"),
    "mastercard_debit": Card("5200828282828210", "mastercard", funding="debit"),
    "mastercard_prepaid": Card("5105105105105100", "mastercard", funding="prepaid"),
    "amex": Card("378282246310005", "amex"),
    "discover": Card("6011111111111117", "discover"),
    "diners": Card("3056930009020004", "diners"),
    "jcb": Card("3566002020360505", "jcb"),
    "unionpay": Card("6200000000000005", "unionpay"),
    "de": Card("4000002760000016", country="DE"),
    "gb": Card("4000008260000000", country="GB"),
    "jp": Card("4000003920000003", country="JP"),
    "bypassPending": Card("4000000000000077", available=True),
    "chargeDeclined": Card("4000000000000002", decline=GENERIC),
    "chargeDeclinedInsufficientFunds": Card("4000000000009995", decline=INSUFFICIENT_FUNDS),
    "chargeDeclinedLostCard": Card(
        "4000000000009987",
        decline=_refused("lost_card", "Your card was declined.", "do_not_try_again"),
    ),
    "chargeDeclinedStolenCard": Card(
        "4000000000009979",
        decline=_refused("stolen_card", "Your card was declined.", "do_not_try_again"),
    ),
    "chargeDeclinedExpiredCard": Card(
        "4000000000000069",
        decline=_declined("expired_card", "Your card has expired.", "do_not_try_again"),
    ),
    "chargeDeclinedIncorrectCvc": Card(
        "4000000000000127",
        decline=_declined(
            "incorrect_cvc", "Your card's security code is incorrect.", "confirm_card_data"
        ),
    ),
    "chargeDeclinedProcessingError": Card(
        "4000000000000119",
        decline=_declined(
            "processing_error",
            "An error occurred while processing your card. Try again in a little bit.",
            "try_again_later",
        ),
    ),
    "chargeDeclinedVelocityLimitExceeded": Card(
        "4000000000006975",
        decline=_refused(
            "card_velocity_exceeded",
            "Your card was declined for making repeated attempts too frequently or exceeding"
            " its amount limit.",
            "try_again_later",
        ),
    ),
    "chargeDeclinedFraudulent": Card(
        "4100000000000019",
        decline=_refused("fraudulent", "Your card was declined.", "do_not_try_again"),
    ),
    "radarBlock": Card(
        "4100000000000019",
        decline=_refused("fraudulent", "Your card was declined.", "do_not_try_again"),
    ),
    # Attaching it works; it is refused when it is charged.
    "chargeCustomerFail": Card("4000000000000341", decline=GENERIC),
    "chargeDeclinedOnAttach": Card("4000000000000002", decline=GENERIC, attaches=False),
    "authenticationRequired": _ALWAYS,
    "threeDSecure2Required": replace(_ALWAYS, number="4000000000003220"),
    "threeDSecureRequired": replace(_ALWAYS, number="4000000000003063"),
    "threeDSecureRequiredChargeDeclined": replace(
        _ALWAYS, number="4000008400001629", decline=GENERIC
    ),
    "authenticationRequiredChargeDeclinedInsufficientFunds": replace(
        _ALWAYS, number="4000008260003178", decline=INSUFFICIENT_FUNDS
    ),
    "authenticationRequiredOnSetup": Card("4000002500003155", authentication="off_session"),
    "createDispute": Card("4000000000000259", disputes="fraudulent"),
    "createDisputeProductNotReceived": Card("4000000000002685", disputes="product_not_received"),
    "createDisputeInquiry": Card("4000000000001976", disputes="fraudulent", inquires=True),
    "refundFail": Card("4000000000005126", refunds="fail_later"),
    "pendingRefund": Card("4000000000007726", refunds="pending"),
}

# After `pm_fault_`: what Stripe's cards can't be made to do.
OUTCOMES: Mapping[str, Card] = {
    "late_success": Card(late="succeeds"),
    "late_decline": Card(late="declines", decline=GENERIC),
    "refund_declined": Card(refunds="fail"),
}

NUMBERS: Mapping[str, str] = {
    card.number: name for name, card in reversed(list(CARDS.items())) if card.attaches
}


def card_named(name: str) -> Card | None:
    """The card of one of our payment methods, by the name in `payment_methods`."""
    return CARDS.get(name) or CARDS.get(name.removeprefix("visa_")) or OUTCOMES.get(name)
