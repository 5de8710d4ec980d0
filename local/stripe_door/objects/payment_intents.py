"""PaymentIntents: a payment from what is asked to what became of it."""

from typing import Any

from local.stripe_door.objects import (
    amount_limits,
    confirming,
    customers,
    event_snapshots,
    stripe_charges,
)
from local.stripe_door.shapes import Object, new_id, shown
from local.stripe_door.store import Store
from local.stripe_door.stripe_request import Request
from local.stripe_door.wire.stripe_errors import Refused, invalid, missing

CANCELABLE = (
    "requires_payment_method", "requires_capture", "requires_confirmation", "requires_action",
)  # fmt: skip
_PASSED_ON = ("description", "receipt_email", "statement_descriptor", "statement_descriptor_suffix")


def found(store: Store, id_: str, *, param: str = "intent", status: int = 404) -> Object:
    """A PaymentIntent that there is. Raises Refused."""
    if intent := store.get("payment_intent", id_):
        return intent
    raise missing("payment_intent", id_, param=param, status=status)


def retrieve(request: Request) -> Object:
    return found(request.store, request.target)


def create(request: Request) -> Object:
    """A PaymentIntent, confirmed at once when `confirm` says so."""
    if not request.param("confirm"):
        for name in ("off_session", "return_url", "error_on_requires_action"):
            if request.param(name):
                raise invalid(
                    f"The parameter `{name}` cannot be passed when creating a PaymentIntent unless"
                    " `confirm` is set to true.",
                    param=name,
                )
    amount, currency = amount_limits.read(request)
    if customer := request.param("customer"):
        customers.found(request.store, customer)
    method = _method(request)
    if request.param("confirm") and method is None:
        raise _needs_method()
    intent = request.store.put(_new(request, amount, currency, method))
    event_snapshots.tell(request, "payment_intent.created", intent)
    if request.param("confirm"):
        confirming.confirm(request, intent)
    return intent


def update(request: Request) -> Object:
    """Change a payment that has not been tried yet."""
    intent = retrieve(request)
    if request.param("amount") or request.param("currency") or request.param("payment_method"):
        _must_be(intent, ("requires_payment_method", "requires_confirmation"), "update")
    if method := _method(request):
        intent |= {"payment_method": method["id"], "status": "requires_confirmation"}
    intent["metadata"] = request.metadata(intent["metadata"])
    for name in ("amount", *_PASSED_ON):
        intent[name] = request.param(name, intent[name])
    return request.store.put(intent)


def confirm(request: Request) -> Object:
    """Try the payment."""
    intent = retrieve(request)
    _must_be(
        intent, ("requires_payment_method", "requires_confirmation", "requires_action"), "confirm"
    )
    if method := _method(request):
        intent["payment_method"] = method["id"]
    if intent["payment_method"] is None:
        raise _needs_method(executed=True)
    confirming.confirm(request, intent)
    return intent


def capture(request: Request) -> Object:
    """Take what was authorised, or a part of it."""
    intent = retrieve(request)
    _must_be(intent, ("requires_capture",), "capture")
    amount = request.param("amount_to_capture", intent["amount_capturable"])
    if amount > intent["amount_capturable"]:
        raise invalid(
            f"The requested capture amount is greater than the capturable amount"
            f" ({amount} > {intent['amount_capturable']}).",
            param="amount_to_capture",
            code="amount_too_large",
            executed=True,
            payment_intent=shown(intent),
        )
    charge = stripe_charges.of(request, intent)
    is_last = request.params.get("final_capture") is not False
    if not is_last and not stripe_charges.is_in_parts(charge):
        raise invalid(
            "This PaymentIntent can't be captured several times: multicapture is not available.",
            param="final_capture",
            executed=True,
        )
    if amount == 0 and not (is_last and intent["amount_received"]):
        raise invalid(
            "This value must be greater than or equal to 1.",
            param="amount_to_capture",
            code="parameter_invalid_integer",
        )
    if stripe_charges.is_in_parts(charge):
        stripe_charges.collect_part(request, charge, amount, is_last=is_last)
        event_snapshots.tell(request, "charge.updated", charge)
        told = "payment_intent.amount_capturable_updated"
    else:
        stripe_charges.collect(request, charge, amount)
        told = ""
    intent |= {
        "amount_capturable": 0 if is_last else intent["amount_capturable"] - amount,
        "amount_received": intent["amount_received"] + amount,
        "metadata": request.metadata(intent["metadata"]),
    }
    if is_last:
        intent["status"] = "succeeded"
    if told:
        event_snapshots.tell(request, told, intent)
    if is_last:
        event_snapshots.tell(request, "charge.captured", charge)
        event_snapshots.tell(request, "payment_intent.succeeded", intent)
    return request.store.put(intent)


def cancel(request: Request) -> Object:
    """End a payment that has not succeeded; what was authorised is let go."""
    intent = retrieve(request)
    _must_be(intent, CANCELABLE, "cancel")
    if intent["amount_received"]:
        # What Stripe does here its page does not say: it names another way, which is to be taken.
        raise invalid("It was captured in part: capture 0 of it, as the last.", executed=True)
    end(request, intent, request.param("cancellation_reason"))
    return intent


def end(request: Request, intent: Object, reason: str | None) -> None:
    """It is canceled, for this reason."""
    if intent["status"] == "requires_capture":
        charge = stripe_charges.of(request, intent)
        charge |= {"amount_refunded": charge["amount"], "refunded": True}
        request.store.put(charge)
        event_snapshots.tell(
            request, "charge.expired" if reason == "automatic" else "charge.refunded", charge
        )
    intent |= {
        "amount_capturable": 0,
        "canceled_at": int(request.now),
        "cancellation_reason": reason,
        "next_action": None,
        "status": "canceled",
    }
    event_snapshots.tell(request, "payment_intent.canceled", request.store.put(intent))


def expire(request: Request) -> None:
    """The bank holds the money no longer."""
    intent = retrieve(request)
    if intent["status"] != "requires_capture":
        return
    if intent["amount_received"]:
        intent |= {"amount_capturable": 0, "status": "succeeded"}
        event_snapshots.tell(request, "payment_intent.succeeded", request.store.put(intent))
    else:
        end(request, intent, "automatic")


def _must_be(intent: Object, statuses: tuple[str, ...], verb: str) -> None:
    if intent["status"] in statuses:
        return
    done = {"update": "updated", "capture": "captured"}.get(verb, f"{verb}ed")
    raise invalid(
        f"You cannot {verb} this PaymentIntent because it has a status of {intent['status']}. Only"
        f" a PaymentIntent with one of the following statuses may be {done}:"
        f" {', '.join(statuses)}.",
        code="payment_intent_unexpected_state",
        executed=True,
        payment_intent=shown(intent),
    )


def _needs_method(*, executed: bool = False) -> Refused:
    return invalid(
        "You cannot confirm this PaymentIntent because it's missing a payment method. You can"
        " either update the PaymentIntent with a payment method and then confirm it again, or"
        " confirm it again directly with a payment method or ConfirmationToken.",
        code="payment_intent_unexpected_state",
        executed=executed,
    )


def _method(request: Request) -> Object | None:
    given = request.param("payment_method")
    return customers.found_method(request, given) if given else None


def _new(request: Request, amount: int, currency: str, method: Object | None) -> Object:
    id_ = new_id("payment_intent")
    automatic = request.param("automatic_payment_methods")
    nothing = (
        "application", "application_fee_amount", "canceled_at", "cancellation_reason",
        "last_payment_error", "latest_charge", "next_action", "on_behalf_of",
        "payment_method_configuration_details", "processing", "review", "setup_future_usage",
        "shipping", "source", "transfer_data", "transfer_group",
    )  # fmt: skip
    intent: dict[str, Any] = {
        "id": id_,
        "object": "payment_intent",
        "amount": amount,
        "amount_capturable": 0,
        "amount_details": {"tip": {}},
        "amount_received": 0,
        "automatic_payment_methods": _automatic(automatic) if automatic else None,
        "capture_method": request.param("capture_method", "automatic_async"),
        "client_secret": f"{id_}_secret_{new_id('request')[4:]}",
        "confirmation_method": request.param("confirmation_method", "automatic"),
        "created": int(request.now),
        "currency": currency,
        "customer": request.param("customer"),
        "livemode": False,
        "metadata": request.metadata(),
        "payment_method": method["id"] if method else None,
        "payment_method_options": {
            "card": {
                "installments": None,
                "mandate_options": None,
                "network": None,
                "request_three_d_secure": "automatic",
                **_multicapture(request),
            }
        },
        "payment_method_types": request.param("payment_method_types", ["card"]),
        "status": "requires_confirmation" if method else "requires_payment_method",
        **{name: request.param(name) for name in _PASSED_ON},
        **dict.fromkeys(nothing),
    }
    intent["setup_future_usage"] = request.param("setup_future_usage")
    return intent


def _multicapture(request: Request) -> Object:
    """What was asked for of it, if anything was."""
    given = request.param("payment_method_options")
    card = given.get("card") if isinstance(given, dict) else None
    asked = card.get("request_multicapture") if isinstance(card, dict) else None
    if asked not in (None, "if_available", "never"):
        raise invalid(
            "Invalid request_multicapture: must be one of if_available or never",
            param="payment_method_options[card][request_multicapture]",
        )
    return {"request_multicapture": asked} if asked else {}


def _automatic(given: Any) -> Object:
    redirects = given.get("allow_redirects", "always") if isinstance(given, dict) else "always"
    return {"allow_redirects": redirects, "enabled": True}
