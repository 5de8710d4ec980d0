"""Refunds: money that goes back, and sometimes comes again."""

from typing import Any

from local.stripe_door import cards
from local.stripe_door.objects import (
    balance,
    event_snapshots,
    payment_intents,
    stripe_charges,
    turns,
)
from local.stripe_door.shapes import Object, new_id
from local.stripe_door.stripe_request import Request
from local.stripe_door.wire.stripe_errors import invalid, missing


def retrieve(request: Request) -> Object:
    if refund := request.store.get("refund", request.target):
        return refund
    raise missing("refund", request.target, param="id")


def create(request: Request) -> Object:
    """Give back all that is left of a charge, or an amount of it."""
    charge = _charge(request)
    left = charge["amount_captured"] - _refunded(charge)
    amount = request.param("amount", left)
    _check(charge, amount, left)
    how = charge["_refunds"]
    status = {"pending": "pending", "fail": "failed"}.get(how, "succeeded")
    refund: dict[str, Any] = {
        "id": new_id("refund"),
        "object": "refund",
        "amount": amount,
        "balance_transaction": None,
        "charge": charge["id"],
        "created": int(request.now),
        "currency": charge["currency"],
        "customer": charge["customer"],
        "destination_details": {
            "card": {"reference_status": "pending", "reference_type": "acquirer_reference_number",
                     "type": "refund"},
            "type": "card",
        },
        "failure_balance_transaction": None,
        "failure_reason": "declined" if status == "failed" else None,
        "instructions_email": None,
        "metadata": request.metadata(),
        "next_action": None,
        "payment_intent": charge["payment_intent"],
        "payment_method": charge["payment_method"],
        "pending_reason": "processing" if status == "pending" else None,
        "reason": request.param("reason"),
        "receipt_number": None,
        "source_transfer_reversal": None,
        "status": status,
        "transfer_reversal": None,
    }  # fmt: skip
    request.store.put(refund)
    if status == "failed":
        event_snapshots.tell(request, "refund.created", refund)
        event_snapshots.tell(request, "refund.failed", refund)
        return refund
    _go_back(request, refund, charge)
    if how == "fail_later":
        turns.arrange(request, "refund_fails", refund["id"], after_s=cards.LATE_S)
    elif how == "pending":
        turns.arrange(request, "refund_succeeds", refund["id"], after_s=cards.LATE_S)
    return refund


def update(request: Request) -> Object:
    refund = retrieve(request)
    refund["metadata"] = request.metadata(refund["metadata"])
    return request.store.put(refund)


def cancel(request: Request) -> Object:
    """Take back a refund that the bank has not carried out."""
    refund = retrieve(request)
    if refund["status"] not in ("requires_action", "pending"):
        raise invalid(
            f"Refund {refund['id']} cannot be canceled because it has a status of"
            f" {refund['status']}.",
            executed=True,
        )
    _come_again(request, refund, "canceled", "merchant_request")
    return refund


def fails(request: Request) -> None:
    """The bank sends the money back."""
    refund = retrieve(request)
    if refund["status"] in ("succeeded", "pending"):
        _come_again(request, refund, "failed", "expired_or_canceled_card")


def succeeds(request: Request) -> None:
    """The bank has carried it out."""
    refund = retrieve(request)
    if refund["status"] == "pending":
        refund |= {"status": "succeeded", "pending_reason": None}
        event_snapshots.tell(request, "refund.updated", request.store.put(refund))
        event_snapshots.tell(request, "charge.refund.updated", refund)


def _charge(request: Request) -> Object:
    if id_ := request.param("charge"):
        return stripe_charges.found(request.store, id_, status=404)
    if not (intent_id := request.param("payment_intent")):
        raise invalid(
            "One of the following params should be provided for this request: payment_intent or"
            " charge."
        )
    intent = payment_intents.found(request.store, intent_id, param="payment_intent")
    if intent["latest_charge"] is None or intent["status"] != "succeeded":
        raise invalid(
            f"This PaymentIntent ({intent_id}) does not have a successful charge to refund.",
            param="payment_intent",
            code="payment_intent_unexpected_state",
            executed=True,
        )
    return stripe_charges.of(request, intent)


def _refunded(charge: Object) -> int:
    """What went back, without what was never taken."""
    released = charge.get("_released", charge["amount"] - charge["amount_captured"])
    return int(charge["amount_refunded"] - released)


def _check(charge: Object, amount: int, left: int) -> None:
    if not charge["captured"]:
        raise invalid(
            f"Charge {charge['id']} has not been captured, and can't be refunded.",
            param="charge",
            code="charge_not_refundable",
            executed=True,
        )
    if charge["disputed"] and not charge.get("_inquiry"):
        raise invalid(
            f"Charge {charge['id']} has been charged back; cannot issue a refund.",
            code="charge_disputed",
            executed=True,
        )
    if left == 0:
        raise invalid(
            f"Charge {charge['id']} has already been refunded.",
            code="charge_already_refunded",
            executed=True,
        )
    if amount > left:
        raise invalid(
            f"Refund amount ({amount}) is greater than unrefunded amount on charge ({left})",
            param="amount",
            executed=True,
        )


def _go_back(request: Request, refund: Object, charge: Object) -> None:
    entry = balance.enter(request, type_="refund", source=refund, amount=-refund["amount"])
    balance.witness(request, refund, "refund", refund["amount"], entry)
    refund["balance_transaction"] = entry["id"]
    request.store.put(refund)
    charge["amount_refunded"] += refund["amount"]
    charge["refunded"] = charge["amount_refunded"] == charge["amount"]
    request.store.put(charge)
    event_snapshots.tell(request, "charge.refunded", charge)
    event_snapshots.tell(request, "refund.created", refund)
    event_snapshots.tell(request, "charge.refund.updated", refund)


def _come_again(request: Request, refund: Object, status: str, reason: str) -> None:
    charge = stripe_charges.found(request.store, refund["charge"])
    entry = balance.enter(request, type_="refund_failure", source=refund, amount=refund["amount"])
    balance.witness(request, refund, "refund_failure", refund["amount"], entry)
    refund |= {
        "failure_balance_transaction": entry["id"],
        "failure_reason": reason,
        "pending_reason": None,
        "status": status,
    }
    request.store.put(refund)
    charge["amount_refunded"] -= refund["amount"]
    charge["refunded"] = False
    request.store.put(charge)
    event_snapshots.tell(
        request, "refund.failed" if status == "failed" else "refund.updated", refund
    )
    event_snapshots.tell(request, "charge.refund.updated", refund)


TURNS = {"refund_fails": fails, "refund_succeeds": succeeds}
