"""What to do about a charge that failed: one policy, as data, and its version.

`retry_later`: another try, with a new key, may work without anyone's action; the time beside it
says from when on. `ask_customer`: it won't work before the customer does something, such as use
another card. `stop`: don't try this payment method again; card networks charge for that.

An adapter that knows more than our failure code says so (`Declined.advised`).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta

from infra.billing.contract.failures import Advice

# Increased with every change below. A charge keeps the advice that it got.
VERSION = "2026-11-29"


@dataclass(frozen=True, slots=True)
class Advised:
    """What to do, and after what time another try makes sense."""

    advice: Advice
    retry_after: timedelta | None = None


ASK, STOP = Advised(Advice.ASK_CUSTOMER), Advised(Advice.STOP)
SOON = Advised(Advice.RETRY_LATER, timedelta(hours=1))
# Accounts are refilled, limits are reset. Visa and Mastercard allow 15 tries in 30 days or more, so
# one a day breaks no rule.
TOMORROW = Advised(Advice.RETRY_LATER, timedelta(days=1))

BY_CODE: Mapping[str, Advised] = {
    "card_declined": ASK,
    "insufficient_funds": TOMORROW,
    "lost_card": STOP,
    "stolen_card": STOP,
    "expired_card": ASK,
    "incorrect_cvc": ASK,
    "incorrect_card_details": ASK,
    "card_not_supported": ASK,
    "invalid_payment_method": ASK,
    "invalid_request": STOP,
    "processing_error": SOON,
    "authentication_required": ASK,
    "capture_declined": STOP,
    "processor_unavailable": SOON,
    "canceled": STOP,
    "expired": ASK,
    "resolved_failed": SOON,
}


def advised(code: str) -> Advised:
    """What to do about a charge that failed for this reason."""
    return BY_CODE.get(code, ASK)
