"""The state of a PaymentIntent, a refund or a dispute, as outcomes.

Sources, read 2026-11: https://docs.stripe.com/payments/paymentintents/lifecycle,
https://docs.stripe.com/api/payment_intents/object (`next_action`, `last_payment_error`,
`amount_received`), https://docs.stripe.com/payments/place-a-hold-on-a-payment-method (holds),
https://docs.stripe.com/api/refunds/object (`status`, `failure_reason`),
https://docs.stripe.com/api/disputes/object,
https://docs.stripe.com/api/balance_transactions/object.
"""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, get_args

from infra.billing.contract.failures import message_for
from infra.billing.contract.ids import is_id
from payments.processors.outcomes import (
    REQUIRES_ACTION,
    Authorized,
    Canceled,
    Declined,
    Disputed,
    DisputeState,
    Fees,
    Found,
    NextAction,
    NotFound,
    Pending,
    Succeeded,
    Unknown,
)
from payments.processors.port import Order
from payments.processors.stripe.declines import advice_on, our_code
from payments.processors.stripe.stripe_amounts import from_stripe, to_stripe
from payments.processors.stripe.wire import CHARGE_ID, INSTALLATION, REFUND_ID, Object

# Why a PaymentIntent was canceled: on request, or since its payment had failed.
REQUESTED, ABANDONED = "requested_by_customer", "abandoned"

# For how long money stays authorized, if the charge does not say.
HELD_FOR = timedelta(days=7)

# The page of each kind of next action, and its expiry.
_URLS = ("url", "hosted_voucher_url", "hosted_instructions_url", "hosted_verification_url")


def of_intent(intent: Object) -> Found:
    """The state of a charge, from its PaymentIntent.

    NotFound: it was created, but never confirmed. Sending again under its key continues with it.
    """
    reference, status = intent["id"], intent["status"]
    match status:
        case "succeeded":
            return Succeeded(reference, _received(intent) if _is_by_hand(intent) else None)
        case "processing":
            return Pending(reference, status)
        case "requires_capture":
            return Authorized(reference, _received(intent), _held_until(intent))
        case "requires_action":
            return Pending(reference, REQUIRES_ACTION, _next_action(intent.get("next_action")))
        case "canceled" if _received(intent):
            return Succeeded(reference, _received(intent))  # the rest is released
        case "canceled" if _was_closed(intent):
            return _declined(reference, intent["last_payment_error"])
        case "canceled":
            return Canceled(reference)
        case "requires_payment_method" if intent.get("last_payment_error"):
            return _declined(reference, intent["last_payment_error"])
        case "requires_payment_method" | "requires_confirmation":
            return NotFound()
    return Unknown("unknown_status")  # added after this was written


def of_refund(refund: Object) -> Found:
    """The state of a refund. It may fail long after it has succeeded."""
    reference, status = refund["id"], refund["status"]
    match status:
        case "succeeded":
            return Succeeded(reference)
        case "pending" | "requires_action":
            return Pending(reference, "processing")
        case "failed" | "canceled":
            word = refund.get("failure_reason") or status
            return Declined("refund_failed", word, message_for("refund_failed"), reference)
    return Unknown("unknown_status")


def of_dispute(dispute: Object, told_at: datetime) -> Disputed | None:
    """The state of a dispute; None for a state without a counterpart here (`prevented`)."""
    if dispute["status"] not in get_args(DisputeState):
        return None
    currency = dispute["currency"].upper()
    return Disputed(
        reference=dispute["id"],
        state=dispute["status"],
        amount=from_stripe(dispute["amount"], currency),
        currency=currency,
        reason=dispute["reason"],
        told_at=told_at,
        respond_by=moment((dispute.get("evidence_details") or {}).get("due_by")),
    )


def _is_of_all(entry: Mapping[str, Any], charge: Object) -> bool:
    """Whether a line of the balance covers everything that was captured."""
    return (entry["amount"], entry["currency"]) == (charge["amount"], charge["currency"])


def fees_of(charge: Object) -> Fees | None:
    """Stripe's fee for a charge, once known. For a partial capture it writes the whole amount and,
    in a second line, what it released; and for a charge that may be captured in parts, a line for
    each: a single line would give a wrong sum there."""
    entry: Any = charge.get("balance_transaction")
    if not isinstance(entry, Mapping) or charge["amount_captured"] != charge["amount"]:
        return None
    if _is_in_parts(charge) and not _is_of_all(entry, charge):
        return None
    currency = entry["currency"].upper()
    fee, net = (from_stripe(entry[name], currency) for name in ("fee", "net"))
    return Fees(fee, net, currency)


def is_of(found: Object, order: Order, name: str | None) -> bool:
    """Whether it carries our id of this charge or refund, and our installation's `name`."""
    id_ = CHARGE_ID if order.kind == "charge" else REFUND_ID
    metadata = metadata_of(found)
    return bool(metadata.get(id_) == order.id and metadata.get(INSTALLATION) == name)


def is_as_ordered(found: Object, order: Order) -> bool:
    """Whether it has the amount that was ordered; with another one it is not ours. (A capture takes
    a part of its PaymentIntent's amount.)"""
    is_amount = order.kind == "capture" or found["amount"] == to_stripe(
        order.amount, order.currency
    )
    return bool(is_amount and found["currency"] == order.currency.lower())


def metadata_of(found: Object) -> Mapping[str, Any]:
    """Our metadata, if it has any."""
    metadata: Mapping[str, Any] = found.get("metadata") or {}
    return metadata


def our_id(found: Object, name: str, prefix: str) -> str | None:
    """Our id in the object's metadata, if one is there."""
    value = metadata_of(found).get(name)
    return value if isinstance(value, str) and is_id(value, prefix) else None


def capture_before(charge: Object) -> datetime | None:
    """Until when the money of a card is authorized, as its charge says."""
    card: Mapping[str, Any] = (charge.get("payment_method_details") or {}).get("card") or {}
    return moment(card.get("capture_before"))


def _is_in_parts(charge: Object) -> bool:
    """Whether it may be captured in parts."""
    card: Mapping[str, Any] = (charge.get("payment_method_details") or {}).get("card") or {}
    return bool((card.get("multicapture") or {}).get("status") == "available")


def _is_by_hand(intent: Object) -> bool:
    return bool(intent.get("capture_method") == "manual")


def _received(intent: Object) -> int:
    """The amount captured, in our minor units."""
    return from_stripe(intent.get("amount_received") or 0, intent["currency"].upper())


def _held_until(intent: Object) -> datetime | None:
    made = moment(intent.get("created"))
    return None if made is None else made + HELD_FOR


def moment(seconds: object) -> datetime | None:
    """Stripe's Unix seconds as a moment, if given."""
    return datetime.fromtimestamp(seconds, UTC) if isinstance(seconds, int) else None


def _was_closed(intent: Object) -> bool:
    """Whether it was canceled only because its payment had failed."""
    is_abandoned = intent.get("cancellation_reason") == ABANDONED
    return is_abandoned and bool(intent.get("last_payment_error"))


def _declined(reference: str, error: Mapping[str, Any]) -> Declined:
    code = our_code(error.get("code"), error.get("decline_code"))
    word = error.get("decline_code") or error.get("code") or "declined"
    advised = advice_on(word, error.get("advice_code"))
    return Declined(code, word, message_for(code), reference, advised)


def _next_action(action: Mapping[str, Any] | None) -> NextAction:
    if not action:
        return NextAction("other")
    kind = str(action.get("type") or "other")
    details = action.get(kind)
    if not isinstance(details, Mapping):
        return NextAction(kind)
    url = next((details[name] for name in _URLS if isinstance(details.get(name), str)), None)
    return NextAction(kind, url, moment(details.get("expires_at")))
