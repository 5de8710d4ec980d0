"""Customers and their payment methods: as much of them as a payment needs."""

from typing import Any

from local.stripe_door import cards
from local.stripe_door.cards import Card, card_named
from local.stripe_door.injected_faults import fault_named
from local.stripe_door.objects import event_snapshots
from local.stripe_door.shapes import Object, new_id
from local.stripe_door.store import Store
from local.stripe_door.stripe_request import Request
from local.stripe_door.wire.stripe_errors import card_error, invalid, missing


def create(request: Request) -> Object:
    """A customer. (Stripe takes an `id` here, too, and does not say so.)"""
    id_ = request.param("id") or new_id("customer")
    if request.store.get("customer", id_):
        raise invalid("Customer already exists.", code="resource_already_exists")
    customer: dict[str, Any] = {
        "id": id_,
        "object": "customer",
        "address": None,
        "balance": 0,
        "created": int(request.now),
        "currency": None,
        "default_source": None,
        "delinquent": False,
        "description": request.param("description"),
        "email": request.param("email"),
        "invoice_prefix": id_[-8:].upper(),
        "invoice_settings": {
            "custom_fields": None,
            "default_payment_method": None,
            "footer": None,
            "rendering_options": None,
        },
        "livemode": False,
        "metadata": request.metadata(),
        "name": request.param("name"),
        "next_invoice_sequence": 1,
        "phone": request.param("phone"),
        "preferred_locales": [],
        "shipping": None,
        "tax_exempt": "none",
        "test_clock": None,
    }
    request.store.put(customer)
    if method := request.param("payment_method"):
        _attach(request, found_method(request, method), customer)
    event_snapshots.tell(request, "customer.created", customer)
    return customer


def retrieve(request: Request) -> Object:
    return found(request.store, request.target, param="id", status=404)


def delete(request: Request) -> Object:
    """Take a customer away; that there was one stays known."""
    customer = retrieve(request)
    kept = {name: customer[name] for name in ("id", "object", "created")}
    request.store.put({**kept, "deleted": True})
    return {"id": customer["id"], "object": "customer", "deleted": True}


def found(store: Store, id_: str, *, param: str = "customer", status: int = 400) -> Object:
    """A customer that there is. Raises Refused."""
    customer = store.get("customer", id_)
    if customer and "deleted" not in customer:
        return customer
    raise missing("customer", id_, param=param, status=status)


# --- payment methods --------------------------------------------------------------------------


def create_method(request: Request) -> Object:
    """A payment method from a test token (`card[token]=tok_visa`) or a test number."""
    card = request.param("card") or {}
    if not isinstance(card, dict):
        raise invalid("Invalid object", param="card")
    token, number = str(card.get("token", "")), str(card.get("number", ""))
    name = token.removeprefix("tok_") if token else cards.NUMBERS.get(number, "")
    if not name or card_named(name) is None:
        raise card_error("incorrect_number", "Your card number is incorrect.", param="number")
    return _made(request, name)


def retrieve_method(request: Request) -> Object:
    return found_method(request, request.target, param="id", status=404)


def attach(request: Request) -> Object:
    """Keep a payment method with a customer."""
    method = found_method(request, request.target, param="id", status=404)
    return _attach(request, method, found(request.store, request.param("customer")))


def detach(request: Request) -> Object:
    method = found_method(request, request.target, param="id", status=404)
    method["customer"] = None
    event_snapshots.tell(request, "payment_method.detached", method)
    return request.store.put(method)


def found_method(
    request: Request, id_: str, *, param: str = "payment_method", status: int = 400
) -> Object:
    """A payment method that there is; one of the test methods becomes one of our own, as at
    Stripe. Raises Refused."""
    if method := request.store.get("payment_method", id_):
        return method
    name = id_.removeprefix("pm_card_").removeprefix("pm_fault_")
    if id_.startswith(("pm_card_", "pm_fault_")) and card_named(name):
        return _made(request, name)
    if fault_named(id_):
        return _made(request, "visa", fault=id_)
    raise missing("PaymentMethod", id_, param=param, status=status)


def card_of(method: Object) -> Card:
    """What becomes of payments with it."""
    card = card_named(method["_card"])
    assert card is not None, "a payment method is only made for a card that there is"
    return card


def _attach(request: Request, method: Object, customer: Object) -> Object:
    if not (card := card_of(method)).attaches and card.decline:
        raise card_error(
            card.decline.code, card.decline.message, decline_code=card.decline.decline_code
        )
    method["customer"] = customer["id"]
    event_snapshots.tell(request, "payment_method.attached", method)
    return request.store.put(method)


def _made(request: Request, name: str, *, fault: str | None = None) -> Object:
    card = card_named(name)
    assert card is not None, "looked up before"
    address = dict.fromkeys(("city", "country", "line1", "line2", "postal_code", "state"))
    method = {
        "id": new_id("payment_method"),
        "object": "payment_method",
        "allow_redisplay": "unspecified",
        "billing_details": {
            "address": address, "email": None, "name": None, "phone": None, "tax_id": None,
        },
        "card": shape_of(card),
        "created": int(request.now),
        "customer": None,
        "livemode": False,
        "metadata": request.metadata() if request.param("type") else {},
        "type": "card",
        "_card": name,
        "_fault": fault,
    }  # fmt: skip
    return request.store.put(method)


def shape_of(card: Card) -> Object:
    """A card, as a payment method shows it: never its number."""
    return {
        "brand": card.brand,
        "checks": {
            "address_line1_check": None,
            "address_postal_code_check": None,
            "cvc_check": "unchecked",
        },
        "country": card.country,
        "display_brand": card.brand,
        "exp_month": 12,
        "exp_year": 2034,
        "fingerprint": f"door{card.number[-8:]}",
        "funding": card.funding,
        "generated_from": None,
        "last4": card.number[-4:],
        "networks": {"available": [card.brand], "preferred": None},
        "regulated_status": "unregulated",
        "three_d_secure_usage": {"supported": True},
        "wallet": None,
    }
