"""Disputes: a customer asks the bank to take the money back."""

from typing import Any

from local.stripe_door import cards
from local.stripe_door.objects import balance, customers, event_snapshots, stripe_charges, turns
from local.stripe_door.shapes import Object, new_id
from local.stripe_door.stripe_request import Request
from local.stripe_door.wire.stripe_errors import invalid, missing

RESPOND_WITHIN_S = 9 * 24 * 3600
# What to write into `evidence[uncategorized_text]` to win or lose (docs.stripe.com/testing).
WINNING, LOSING = "winning_evidence", "losing_evidence"
_EVIDENCE = (
    "access_activity_log", "billing_address", "cancellation_policy",
    "cancellation_policy_disclosure", "cancellation_rebuttal", "customer_communication",
    "customer_email_address", "customer_name", "customer_purchase_ip", "customer_signature",
    "duplicate_charge_documentation", "duplicate_charge_explanation", "duplicate_charge_id",
    "product_description", "receipt", "refund_policy", "refund_policy_disclosure",
    "refund_refusal_explanation", "service_date", "service_documentation", "shipping_address",
    "shipping_carrier", "shipping_date", "shipping_documentation", "shipping_tracking_number",
    "uncategorized_file", "uncategorized_text",
)  # fmt: skip


def retrieve(request: Request) -> Object:
    if dispute := request.store.get("dispute", request.target):
        return dispute
    raise missing("dispute", request.target, param="id")


def opens(request: Request) -> None:
    """The customer disputes a charge; unless it is only an inquiry, the money goes at once."""
    charge = stripe_charges.found(request.store, request.target)
    if not charge["captured"] or charge["disputed"] or charge["refunded"]:
        return
    method = customers.found_method(request, charge["payment_method"])
    card = customers.card_of(method)
    dispute = request.store.put(_new(request, charge, card))
    charge |= {"disputed": True, "_inquiry": card.inquires}
    request.store.put(charge)
    event_snapshots.tell(request, "charge.dispute.created", dispute)
    if not card.inquires:
        _withdraw(request, dispute)
        event_snapshots.tell(request, "charge.dispute.funds_withdrawn", dispute)


def update(request: Request) -> Object:
    """Send evidence; with `submit`, the bank decides by it."""
    dispute = retrieve(request)
    if dispute["status"] not in ("needs_response", "warning_needs_response"):
        raise invalid(
            f"This dispute is already {dispute['status']}; evidence can't be sent any more.",
            executed=True,
        )
    given = request.param("evidence") or {}
    if unknown := set(given) - set(_EVIDENCE):
        name = f"evidence[{min(unknown)}]"
        raise invalid(f"Received unknown parameter: {name}", param=name, code="parameter_unknown")
    dispute["evidence"] |= given
    dispute["metadata"] = request.metadata(dispute["metadata"])
    details = dispute["evidence_details"]
    details["has_evidence"] = any(dispute["evidence"].values())
    # At Stripe, too, evidence is submitted unless the request says otherwise.
    if given and request.params.get("submit") is not False:
        details["submission_count"] += 1
        details["submission_method"] = "manual"
        warning = "warning_" if dispute["status"].startswith("warning_") else ""
        dispute["status"] = f"{warning}under_review"
        turns.arrange(request, "dispute_closes", dispute["id"], after_s=cards.LATE_S)
    event_snapshots.tell(request, "charge.dispute.updated", request.store.put(dispute))
    return dispute


def close(request: Request) -> Object:
    """Accept a dispute: it is lost."""
    dispute = retrieve(request)
    if dispute["status"] not in ("needs_response", "warning_needs_response"):
        raise invalid("This dispute is already closed", executed=True)
    _end(request, dispute, "lost")
    return dispute


def closes(request: Request) -> None:
    """The bank decides, by the words in the evidence."""
    dispute = retrieve(request)
    won = dispute["evidence"]["uncategorized_text"] == WINNING
    if dispute["status"].startswith("warning_"):
        _end(request, dispute, "warning_closed")
    elif dispute["status"] == "under_review":
        _end(request, dispute, "won" if won else "lost")


def _end(request: Request, dispute: Object, status: str) -> None:
    dispute["status"] = status
    dispute["is_charge_refundable"] = status == "warning_closed"
    if status == "won":
        entry = balance.enter(
            request,
            type_="adjustment",
            source=dispute,
            amount=dispute["amount"],
            category="dispute_reversal",
        )
        balance.witness(request, dispute, "dispute_reversal", dispute["amount"], entry)
        dispute["_entries"].append(entry["id"])
        _show_entries(request, dispute)
        event_snapshots.tell(request, "charge.dispute.funds_reinstated", dispute)
    request.store.put(dispute)
    event_snapshots.tell(request, "charge.dispute.closed", dispute)


def _withdraw(request: Request, dispute: Object) -> None:
    entry = balance.enter(
        request,
        type_="adjustment",
        source=dispute,
        amount=-dispute["amount"],
        fee=balance.FEE_DISPUTE,
        category="dispute",
    )
    balance.witness(request, dispute, "dispute", dispute["amount"], entry)
    dispute["_entries"].append(entry["id"])
    _show_entries(request, dispute)
    request.store.put(dispute)


def _show_entries(request: Request, dispute: Object) -> None:
    """A dispute shows its entries whole."""
    shelf = request.store.shelf("balance_transaction")
    dispute["balance_transactions"] = [shelf.get(id_) for id_ in dispute["_entries"]]


def _new(request: Request, charge: Object, card: cards.Card) -> Object:
    now = int(request.now)
    reason_code = "10" if card.inquires else "10.4"
    dispute: dict[str, Any] = {
        "id": new_id("dispute"),
        "object": "dispute",
        "amount": charge["amount_captured"],
        "balance_transactions": [],
        "charge": charge["id"],
        "created": now,
        "currency": charge["currency"],
        "enhanced_eligibility_types": [],
        "evidence": {**dict.fromkeys(_EVIDENCE), "enhanced_evidence": {}},
        "evidence_details": {
            "due_by": now + RESPOND_WITHIN_S,
            "enhanced_eligibility": {},
            "has_evidence": False,
            "past_due": False,
            "submission_count": 0,
            "submission_method": "not_submitted",
        },
        "is_charge_refundable": card.inquires,
        "livemode": False,
        "metadata": {},
        "network_reason_code": reason_code,
        "payment_intent": charge["payment_intent"],
        "payment_method_details": {
            "card": {
                "brand": card.brand,
                "case_type": "inquiry" if card.inquires else "chargeback",
                "network": card.brand,
                "network_reason_code": reason_code,
            },
            "type": "card",
        },
        "reason": card.disputes,
        "status": "warning_needs_response" if card.inquires else "needs_response",
        "_entries": [],
    }
    return dispute


TURNS = {"dispute_opens": opens, "dispute_closes": closes}
