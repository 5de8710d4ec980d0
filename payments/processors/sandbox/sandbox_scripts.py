"""What the sandbox does for each payment method, as data.

`pm_card_…` are Stripe's test cards (docs.stripe.com/testing). `pm_sandbox_<fault>` makes the charge
go wrong; `pm_sandbox_refund_<fault>` lets the charge succeed and its refunds go wrong;
`pm_sandbox_capture_<fault>` lets the charge be authorized and its captures go wrong;
`pm_sandbox_cancel_<fault>` lets the charge wait for the customer and its cancellation go wrong.

Faults of the network (no answer, 500, 503, 429) happen to the first calls under a key; after that
the sandbox gives the true answer. Otherwise no script would ever end, except `lost`, which is meant
to be endless.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import lru_cache
from typing import Literal

from payments.processors.outcomes import DisputeState, Unavailable

Status = Literal["open", "pending", "authorized", "succeeded", "declined", "canceled"]

LATE_S = 2.0  # Long enough to be late for any worker, short enough for a test to wait for it.
EVERY_CALL = 2**31
# For how long card networks keep an authorization for an online payment (docs.stripe.com/payments/
# place-a-hold-on-a-payment-method): five to seven days.
AUTHORIZED_FOR = timedelta(days=7)


@dataclass(frozen=True, slots=True)
class Script:
    """What happens to one charge or refund."""

    # How many calls are not executed. Their answer is `refusal`; None = no answer at all.
    refusals: int = 0
    refusal: Unavailable | None = None
    # Then it is executed, and ends like this; or has this state before it changes.
    status: Status = "succeeded"
    code: str | None = None
    processor_code: str | None = None
    turns_to: Status | None = None
    turns_after_s: float | None = None
    # The answer to the executing call, its delay, and whether an event reports it as well.
    answer: Literal["told", "silence", "server_error"] = "told"
    delay_s: float = 0.0
    tells: bool = False
    # What happens to refunds of this charge; None = they succeed.
    refunds: "Script | None" = None
    # The states of a dispute of it, LATE_S apart; none = there is no dispute.
    disputes: tuple[DisputeState, ...] = ()
    # Whether the fee is reported: in the answer, or by an event later.
    fees: Literal["unsaid", "told", "later"] = "unsaid"
    # What happens to captures of it, if it is only authorized, and until when they can be made.
    captures: "Script | None" = None
    authorized_for: timedelta = AUTHORIZED_FOR
    # What happens to its cancellation while it waits for the customer; None = it is canceled.
    cancels: "Script | None" = None


PLAIN = Script()


def _declined(code: str, processor_code: str) -> Script:
    return Script(status="declined", code=code, processor_code=processor_code)


# After "pm_card_": the reason of a decline is in the card's name.
CARDS: Mapping[str, Script] = {
    "chargeDeclined": _declined("card_declined", "generic_decline"),
    "chargeDeclinedInsufficientFunds": _declined("insufficient_funds", "insufficient_funds"),
    "chargeDeclinedLostCard": _declined("lost_card", "lost_card"),
    "chargeDeclinedStolenCard": _declined("stolen_card", "stolen_card"),
    "chargeDeclinedExpiredCard": _declined("expired_card", "expired_card"),
    "chargeDeclinedIncorrectCvc": _declined("incorrect_cvc", "incorrect_cvc"),
    "chargeDeclinedProcessingError": _declined("processing_error", "processing_error"),
}

# After "pm_sandbox_" for charges, after "pm_sandbox_refund_" for refunds.
FAULTS: Mapping[str, Script] = {
    # The money moves, but no answer arrives.
    "timeout_after": Script(answer="silence"),
    "error_after": Script(answer="server_error"),
    # The first call gets lost; the next one arrives.
    "timeout_before": Script(refusals=1),
    # No call ever arrives, and no answer either.
    "lost": Script(refusals=EVERY_CALL, cancels=Script(refusals=EVERY_CALL)),
    "rate_limited": Script(refusals=1, refusal=Unavailable("rate_limited", retry_after_s=1.0)),
    "requires_action": Script(status="pending", processor_code="requires_action"),
    "late_success": Script(
        status="pending", processor_code="processing", turns_to="succeeded", turns_after_s=LATE_S
    ),
    # The customer's bank disputes it, or inquires.
    "disputed": Script(disputes=("needs_response",)),
    "dispute_won": Script(disputes=("needs_response", "under_review", "won")),
    "dispute_lost": Script(disputes=("needs_response", "lost")),
    "inquiry": Script(disputes=("warning_needs_response", "warning_closed")),
    "fees": Script(fees="told"),
    "fees_later": Script(fees="later"),
    # The event overtakes the answer.
    "event_first": Script(tells=True, delay_s=LATE_S),
}

# After "pm_sandbox_", with a number at the end.
NUMBERED_FAULTS: Mapping[str, Callable[[int], Script]] = {
    "unavailable": lambda times: Script(refusals=times, refusal=Unavailable("service_unavailable")),
    "slow": lambda delay_ms: Script(delay_s=delay_ms / 1000),
    "authorized_for": lambda seconds: Script(authorized_for=timedelta(seconds=seconds)),
}

# An authorized charge can still be declined on capture: the card was closed in the meantime.
CAPTURE_FAULTS: Mapping[str, Script] = {
    "fails": _declined("capture_declined", "capture_refused"),
}

# Only a refund may fail after it succeeded: banks return refunds days later.
REFUND_FAULTS: Mapping[str, Script] = {
    "fails": _declined("refund_declined", "refund_refused"),
    "fails_later": Script(turns_to="declined", turns_after_s=LATE_S),
}

# Only a cancellation may come too late: the customer paid a moment before.
CANCELED = Script(status="canceled")
CANCEL_FAULTS: Mapping[str, Script] = {"too_late": Script(status="succeeded")}

# The codes of a later refusal: (ours, the sandbox's).
TURNED_DOWN: Mapping[str, tuple[str, str]] = {
    "charge": ("authentication_required", "authentication_failed"),
    "refund": ("refund_failed", "returned_by_bank"),
}


@lru_cache(maxsize=1024)
def script_for(payment_method_id: str | None) -> Script:
    """The script of a charge. A payment method without one is a card that works."""
    if payment_method_id is None:
        return PLAIN
    if payment_method_id.startswith("pm_card_"):
        return CARDS.get(payment_method_id.removeprefix("pm_card_"), PLAIN)
    if payment_method_id.startswith("pm_sandbox_refund_"):
        name = payment_method_id.removeprefix("pm_sandbox_refund_")
        return replace(PLAIN, refunds=REFUND_FAULTS.get(name) or _fault(name))
    if payment_method_id.startswith("pm_sandbox_capture_"):
        name = payment_method_id.removeprefix("pm_sandbox_capture_")
        return replace(PLAIN, captures=CAPTURE_FAULTS.get(name) or _fault(name))
    if payment_method_id.startswith("pm_sandbox_cancel_"):
        name = payment_method_id.removeprefix("pm_sandbox_cancel_")
        cancels = CANCEL_FAULTS.get(name) or replace(_fault(name), status="canceled")
        return replace(FAULTS["requires_action"], cancels=cancels)
    if payment_method_id.startswith("pm_sandbox_"):
        return _fault(payment_method_id.removeprefix("pm_sandbox_"))
    return PLAIN


def _fault(name: str) -> Script:
    numbered = re.fullmatch(r"([a-z_]+)_([0-9]{1,6})", name)
    if numbered is not None and numbered[1] in NUMBERED_FAULTS:
        return NUMBERED_FAULTS[numbered[1]](int(numbered[2]))
    return FAULTS.get(name, PLAIN)
