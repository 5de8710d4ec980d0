"""What happens when a payment is tried: the customer is asked, the bank decides, money moves."""

from local.stripe_door import cards
from local.stripe_door.cards import Card, Decline
from local.stripe_door.objects import customers, event_snapshots, stripe_charges, turns
from local.stripe_door.shapes import Object, shown
from local.stripe_door.stripe_request import Request
from local.stripe_door.wire.stripe_errors import Refused, card_error

NOT_AUTHENTICATED = Decline(
    "payment_intent_authentication_failure",
    None,
    "We are unable to authenticate your payment method. Please choose a different payment method"
    " and try again.",
)


def confirm(request: Request, intent: Object) -> None:
    """Try the payment with its payment method. Raises Refused when the bank says no."""
    method = customers.found_method(request, intent["payment_method"])
    card = customers.card_of(method)
    intent |= {"_fault": method["_fault"], "last_payment_error": None, "next_action": None}
    if off_session := request.param("off_session"):
        intent["_off_session"] = off_session
    if card.authentication == "always" or (off_session and card.authentication == "off_session"):
        if off_session or request.param("error_on_requires_action"):
            raise fail(request, intent, method, card, cards.NOT_AUTHENTICATED)
        _ask_customer(request, intent)
        return
    if refused := execute(request, intent, method):
        raise refused


def execute(request: Request, intent: Object, method: Object) -> Refused | None:
    """Ask the bank; returns the error of a decline."""
    card = customers.card_of(method)
    if card.late:
        charge = stripe_charges.make(request, intent, method, card, "pending")
        intent |= {"latest_charge": charge["id"], "status": "processing", "processing": _WAITS}
        request.store.put(intent)
        event_snapshots.tell(request, "charge.pending", charge)
        event_snapshots.tell(request, "payment_intent.processing", intent)
        turns.arrange(request, f"payment_{card.late}", intent["id"], after_s=cards.LATE_S)
        return None
    if card.decline:
        return fail(request, intent, method, card, card.decline)
    charge = stripe_charges.make(request, intent, method, card, "succeeded")
    intent["latest_charge"] = charge["id"]
    if intent["capture_method"] == "manual":
        _authorize(request, intent, charge)
    else:
        _succeed(request, intent, charge)
    if card.disputes:
        turns.arrange(request, "dispute_opens", charge["id"], after_s=0)
    return None


def fail(request: Request, intent: Object, method: Object, card: Card, decline: Decline) -> Refused:
    """The payment failed; returns the error to answer with."""
    error = {
        "type": "card_error",
        "advice_code": decline.advice,
        "code": decline.code,
        "decline_code": decline.decline_code,
        "message": decline.message,
        "payment_method": shown(method),
    }
    if decline is not NOT_AUTHENTICATED:
        declined = Card(card.number, card.brand, card.country, card.funding, decline)
        charge = stripe_charges.make(request, intent, method, declined, "failed")
        error["charge"] = intent["latest_charge"] = charge["id"]
        event_snapshots.tell(request, "charge.failed", charge)
    last = Refused(402, error).error
    intent |= {
        "last_payment_error": last,
        "next_action": None,
        "payment_method": None,
        "processing": None,
        "status": "requires_payment_method",
    }
    request.store.put(intent)
    event_snapshots.tell(request, "payment_intent.payment_failed", intent)
    more = {name: value for name, value in last.items() if name not in ("type", "doc_url")}
    return card_error(**more, payment_intent=shown(intent))


# --- the customer -----------------------------------------------------------------------------


def _ask_customer(request: Request, intent: Object) -> None:
    url = f"{request.url}/_door/authenticate/{intent['id']}"
    if return_url := request.param("return_url"):
        action = {
            "redirect_to_url": {"return_url": return_url, "url": url},
            "type": "redirect_to_url",
        }
    else:
        action = {
            "type": "use_stripe_sdk",
            "use_stripe_sdk": {"type": "three_d_secure_redirect", "stripe_js": url},
        }
    intent |= {"next_action": action, "status": "requires_action", "_return_url": return_url}
    request.store.put(intent)
    event_snapshots.tell(request, "payment_intent.requires_action", intent)


def authenticated(request: Request, intent: Object, *, passes: bool) -> None:
    """The customer came back from the bank's page."""
    method = customers.found_method(request, intent["payment_method"])
    intent["next_action"] = None
    if passes:
        execute(request, intent, method)
    else:
        fail(request, intent, method, customers.card_of(method), NOT_AUTHENTICATED)


# --- what the bank says -----------------------------------------------------------------------

_WAITS = {"card": {}, "type": "card"}


def late_success(request: Request) -> None:
    """The bank said yes, later."""
    intent = _waiting(request)
    if intent["status"] != "processing":
        return
    charge = stripe_charges.of(request, intent)
    intent["processing"] = None
    if intent["capture_method"] == "manual":
        _authorize(request, intent, charge)
    else:
        _succeed(request, intent, charge)


def late_decline(request: Request) -> None:
    """The bank said no, later."""
    intent = _waiting(request)
    if intent["status"] != "processing":
        return
    method = customers.found_method(request, intent["payment_method"])
    card = customers.card_of(method)
    waited = stripe_charges.of(request, intent)
    waited["status"] = "failed"
    request.store.put(waited)
    fail(request, intent, method, card, card.decline or cards.GENERIC)


def _waiting(request: Request) -> Object:
    intent = request.store.get("payment_intent", request.target)
    assert intent is not None, "arranged for a payment that there is"
    return intent


def _authorize(request: Request, intent: Object, charge: Object) -> None:
    charge |= {"paid": True, "status": "succeeded"}
    intent |= {"amount_capturable": intent["amount"], "status": "requires_capture"}
    request.store.put(charge)
    request.store.put(intent)
    event_snapshots.tell(request, "charge.succeeded", charge)
    event_snapshots.tell(request, "payment_intent.amount_capturable_updated", intent)
    turns.arrange(request, "hold_expires", intent["id"], after_s=stripe_charges.CAPTURE_WITHIN_S)


def _succeed(request: Request, intent: Object, charge: Object) -> None:
    stripe_charges.collect(request, charge, intent["amount"])
    intent |= {"amount_received": intent["amount"], "status": "succeeded"}
    request.store.put(intent)
    event_snapshots.tell(request, "charge.succeeded", charge)
    event_snapshots.tell(request, "payment_intent.succeeded", intent)


TURNS = {"payment_succeeds": late_success, "payment_declines": late_decline}
