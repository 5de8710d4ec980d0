"""Charges: one try of a payment at the bank."""

from typing import Any

from local.stripe_door.cards import Card, Decline
from local.stripe_door.objects import balance
from local.stripe_door.objects.customers import shape_of
from local.stripe_door.shapes import Object, new_id
from local.stripe_door.store import Store
from local.stripe_door.stripe_request import Request
from local.stripe_door.wire.stripe_errors import missing

CAPTURE_WITHIN_S = 7 * 24 * 3600
# Of which cards what is set aside may be captured in parts, wherever the account is
# (docs.stripe.com/payments/multicapture#availability).
IN_PARTS = ("visa", "mastercard", "amex", "discover", "diners")


def retrieve(request: Request) -> Object:
    return found(request.store, request.target, param="id", status=404)


def update(request: Request) -> Object:
    charge = retrieve(request)
    charge["metadata"] = request.metadata(charge["metadata"])
    charge["description"] = request.param("description", charge["description"])
    return request.store.put(charge)


def found(store: Store, id_: str, *, param: str = "charge", status: int = 400) -> Object:
    """A charge that there is. Raises Refused."""
    if charge := store.get("charge", id_):
        return charge
    raise missing("charge", id_, param=param, status=status)


def of(request: Request, intent: Object) -> Object:
    """The charge of a payment that has one."""
    return found(request.store, intent["latest_charge"])


def make(request: Request, intent: Object, method: Object, card: Card, status: str) -> Object:
    """A charge of the payment: `succeeded`, `pending` or `failed`. Nothing has moved yet."""
    now = int(request.now)
    manual = intent["capture_method"] == "manual"
    decline = card.decline if status == "failed" else None
    charge: dict[str, Any] = {
        "id": new_id("charge"),
        "object": "charge",
        "amount": intent["amount"],
        "amount_captured": 0,
        "amount_refunded": 0,
        "application": None,
        "application_fee": None,
        "application_fee_amount": None,
        "balance_transaction": None,
        "billing_details": method["billing_details"],
        "calculated_statement_descriptor": intent["statement_descriptor"] or "STRIPE DOOR",
        "captured": False,
        "created": now,
        "currency": intent["currency"],
        "customer": intent["customer"],
        "description": intent["description"],
        "disputed": False,
        "failure_balance_transaction": None,
        "failure_code": decline.code if decline else None,
        "failure_message": decline.message if decline else None,
        "fraud_details": {},
        "livemode": False,
        "metadata": dict(intent["metadata"]),
        "on_behalf_of": None,
        "outcome": _outcome(decline) if status != "pending" else None,
        "paid": status == "succeeded",
        "payment_intent": intent["id"],
        "payment_method": method["id"],
        "payment_method_details": _details(request, card, intent, manual=manual),
        "radar_options": {},
        "receipt_email": intent["receipt_email"],
        "receipt_number": None,
        "receipt_url": None,
        "refunded": False,
        "review": None,
        "shipping": None,
        "source_transfer": None,
        "statement_descriptor": intent["statement_descriptor"],
        "statement_descriptor_suffix": intent["statement_descriptor_suffix"],
        "status": status,
        "transfer_data": None,
        "transfer_group": None,
        "_available": card.available,
        "_refunds": card.refunds,
    }
    return request.store.put(charge)


def collect(request: Request, charge: Object, amount: int) -> None:
    """Take the money of a charge, or a part of it; what was authorised beyond is let go."""
    rest = charge["amount"] - amount
    entry = balance.enter(
        request,
        type_="charge",
        source=charge,
        amount=charge["amount"],
        fee=balance.fee_of(amount),
        available=charge["_available"],
    )
    if rest:
        category = "partial_capture_reversal"
        balance.enter(request, type_="refund", source=charge, amount=-rest, category=category)
    charge |= {
        "amount_captured": amount,
        "amount_refunded": rest,
        "balance_transaction": entry["id"],
        "captured": True,
        "paid": True,
        "status": "succeeded",
        "outcome": _outcome(None),
    }
    balance.witness(request, charge, "charge", amount, entry)
    request.store.put(charge)


def is_in_parts(charge: Object) -> bool:
    """Whether it may be captured in parts."""
    card = charge["payment_method_details"]["card"]
    return bool(card["multicapture"]["status"] == "available")


def collect_part(request: Request, charge: Object, amount: int, *, is_last: bool) -> None:
    """Take a part of a charge. What the last one leaves is let go of, and never was taken."""
    if amount:
        entry = balance.enter(
            request, type_="charge", source=charge, amount=amount, fee=balance.fee_of(amount)
        )
        charge["balance_transaction"] = entry["id"]
        balance.witness(request, charge, "charge", amount, entry)
    charge |= {
        "amount_captured": charge["amount_captured"] + amount,
        "captured": is_last,
        "outcome": _outcome(None),
        "_released": 0,
    }
    request.store.put(charge)


def _outcome(decline: Decline | None) -> Object:
    if decline is None:
        return {
            "advice_code": None,
            "network_advice_code": None,
            "network_decline_code": None,
            "network_status": "approved_by_network",
            "reason": None,
            "risk_level": "normal",
            "risk_score": 12,
            "seller_message": "Payment complete.",
            "type": "authorized",
        }
    return {
        "advice_code": decline.advice,
        "network_advice_code": None,
        "network_decline_code": None,
        "network_status": "declined_by_network",
        "reason": decline.decline_code or decline.code,
        "risk_level": "normal",
        "risk_score": 12,
        "seller_message": "The bank did not return any further details with this decline.",
        "type": "issuer_declined",
    }


def _details(request: Request, card: Card, intent: Object, *, manual: bool) -> Object:
    shape, amount = shape_of(card), intent["amount"]
    asked = intent["payment_method_options"]["card"].get("request_multicapture")
    in_parts = manual and asked == "if_available" and card.brand in IN_PARTS
    kept = ("brand", "checks", "country", "exp_month", "exp_year", "fingerprint", "funding",
            "last4", "regulated_status", "wallet")  # fmt: skip
    capture_before = int(request.now) + CAPTURE_WITHIN_S
    details = {
        **{name: shape[name] for name in kept},
        "amount_authorized": amount,
        "authorization_code": "123456",
        "extended_authorization": {"status": "disabled"},
        "incremental_authorization": {"status": "unavailable"},
        "installments": None,
        "mandate": None,
        "multicapture": {"status": "available" if in_parts else "unavailable"},
        "network": card.brand,
        "network_token": {"used": False},
        "network_transaction_id": "104102978678771",
        "overcapture": {"maximum_amount_capturable": amount, "status": "unavailable"},
        "three_d_secure": None,
    }
    if manual:
        details["capture_before"] = capture_before
    return {"card": details, "type": "card"}
