"""How a charge and a refund look from outside: the same object in HTTP, webhooks, CLI and SDK."""

from datetime import datetime
from typing import Any

from infra.billing.contract.moments import rfc3339
from models.rows import ChargeRow, RefundRow


def charge_view(row: ChargeRow) -> dict[str, Any]:
    """The public `Charge` of a row of `charges`."""
    return {
        "charge_id": row.id,
        "object": "charge",
        "amount": row.amount,
        "currency": row.currency,
        "state": row.state,
        "phase": row.phase,
        "customer_id": row.customer_id,
        "payment_method_id": row.payment_method_id,
        "price_id": row.price_id,
        "quantity": row.quantity,
        "lines": row.lines,
        "reference": row.reference,
        "description": row.description,
        "metadata": row.metadata,
        "refunded_amount": row.refunded_amount,
        "refund_pending_amount": row.refund_reserved - row.refunded_amount,
        "failure_code": row.failure_code,
        "failure_message": row.failure_message,
        "next_action": row.next_action,
        "processor": row.processor,
        "livemode": row.livemode,
        "processor_reference": row.processor_reference,
        "producer": row.producer,
        "idempotency_key": row.idempotency_key,
        "created_at": moment(row.created_at),
        "scheduled_at": moment(row.scheduled_at),
        "expires_at": moment(row.expires_at),
        "cancel_requested_at": moment(row.cancel_requested_at),
        "settled_at": moment(row.settled_at),
    }


def refund_view(row: RefundRow) -> dict[str, Any]:
    """The public `Refund` of a row of `refunds`."""
    return {
        "refund_id": row.id,
        "object": "refund",
        "charge_id": row.charge_id,
        "amount": row.amount,
        "currency": row.currency,
        "state": row.state,
        "phase": row.phase,
        "reason": row.reason,
        "restock": row.restock,
        "restock_quantity": row.restock_quantity,
        "failure_code": row.failure_code,
        "failure_message": row.failure_message,
        "livemode": row.livemode,
        "processor_reference": row.processor_reference,
        "producer": row.producer,
        "idempotency_key": row.idempotency_key,
        "metadata": row.metadata,
        "created_at": moment(row.created_at),
        "settled_at": moment(row.settled_at),
    }


def moment(at: datetime | None) -> str | None:
    """RFC 3339 in UTC with a `Z`, or None."""
    return None if at is None else rfc3339(at)
