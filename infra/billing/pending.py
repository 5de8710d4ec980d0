"""A charge or refund as it is when it is asked for: the answer of a door that has no answers."""

from collections.abc import Mapping
from typing import Any

from infra.billing.contract.ids import Kind

_CHARGE: Mapping[str, Any] = {
    "charge_id": None,
    "object": "charge",
    "amount": None,
    "currency": None,
    "state": "pending",
    "phase": "queued",
    "customer_id": None,
    "payment_method_id": None,
    "price_id": None,
    "quantity": None,
    "lines": None,
    "reference": None,
    "description": None,
    "metadata": {},
    "refunded_amount": 0,
    "refund_pending_amount": 0,
    "failure_code": None,
    "failure_message": None,
    "next_action": None,
    "processor": None,
    "livemode": None,
    "processor_reference": None,
    "producer": None,
    "idempotency_key": None,
    "created_at": None,
    "scheduled_at": None,
    "expires_at": None,
    "cancel_requested_at": None,
    "settled_at": None,
}
_REFUND: Mapping[str, Any] = {
    "refund_id": None,
    "object": "refund",
    "charge_id": None,
    "amount": None,
    "currency": None,
    "state": "pending",
    "phase": "queued",
    "reason": None,
    "restock": False,
    "restock_quantity": None,
    "failure_code": None,
    "failure_message": None,
    "livemode": None,
    "processor_reference": None,
    "producer": None,
    "idempotency_key": None,
    "metadata": {},
    "created_at": None,
    "settled_at": None,
}


def pending(kind: Kind, id_: str, fields: Mapping[str, Any]) -> dict[str, Any]:
    """The object with all its public fields, made of the request alone."""
    empty = _CHARGE if kind == "charge" else _REFUND
    asked = {name: value for name, value in fields.items() if name in empty}
    return {**empty, **asked, f"{kind}_id": id_, "metadata": dict(fields.get("metadata", {}))}
