"""Why a charge or a refund failed, as our own codes.

Each adapter of a processor maps the processor's codes onto these; the processor's code is kept
beside ours. The names are Stripe's (docs: "Decline codes"), as they are widely known.
"""

from collections.abc import Mapping
from enum import StrEnum


class Advice(StrEnum):
    """What to do about a charge that failed."""

    RETRY_LATER = "retry_later"
    ASK_CUSTOMER = "ask_customer"
    STOP = "stop"


DECLINES: Mapping[str, str] = {
    "card_declined": "The card was declined.",
    "insufficient_funds": "The card has insufficient funds.",
    "lost_card": "The card was reported lost.",
    "stolen_card": "The card was reported stolen.",
    "expired_card": "The card has expired.",
    "incorrect_cvc": "The card's security code is incorrect.",
    "incorrect_card_details": "The card's number, PIN or address is incorrect.",
    "card_not_supported": "The card can't be used for this payment.",
    "invalid_payment_method": "The customer or the payment method can't be used.",
    "invalid_request": "The processor refused the payment as it was asked for.",
    "processing_error": "The processor could not process the card.",
    "authentication_required": "The customer did not authenticate the payment.",
    "capture_declined": "The processor refused the capture.",
    "refund_declined": "The processor refused the refund.",
    "refund_failed": "The bank returned the refund.",
}

# Failures that were not decided by a processor.
FAILURES: Mapping[str, str] = {
    "processor_unavailable": "The processor could not be reached in time; nothing was executed.",
    "charge_failed": "The charge to refund failed, so there is nothing to refund.",
    "charge_not_found": "No charge with this id arrived in time.",
    "refund_exceeds_charge": "The refund is more than what is left of the charge.",
    "nothing_to_restock": "The charge has fewer units out than were to come back.",
    "canceled": "It was canceled before any money moved.",
    "expired": "It was not completed in time, and was canceled before any money moved.",
    "approval_rejected": "A second person did not approve it; no money moved.",
    "resolved_failed": "A person found that no money had moved.",
}

# The failures of canceled charges: published as `charge.canceled`, and not as `charge.failed`.
ENDED = ("canceled", "expired")


def message_for(code: str) -> str:
    """The sentence for a failure code."""
    return DECLINES.get(code) or FAILURES.get(code) or "The payment failed."
