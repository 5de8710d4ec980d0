"""Refunds: `billing.refund.create(…)`, `get`, `list`, `wait`."""

from collections.abc import Mapping
from datetime import datetime
from uuid import uuid4

from infra.billing import client, requests
from infra.billing.results import Page, Refund


def create(
    *,
    charge_id: str,
    amount: int | None = None,
    idempotency_key: str | None = None,
    reason: str | None = None,
    if_pending: str | None = None,
    expected_refunded_amount: int | None = None,
    metadata: Mapping[str, str] | None = None,
) -> Refund:
    """Give back `amount` minor units of a charge, or all that is left of it, once per key.

    `if_pending` says what happens while the charge is pending: "wait" for it (the default), or
    "reject". With `expected_refunded_amount`, the refund is refused unless just so much of the
    charge is refunded or being refunded already.
    Raises InvalidRequest before anything is sent, Unavailable, NotConfigured.
    """
    fields = requests.refund_fields(
        charge_id=charge_id,
        amount=amount,
        idempotency_key=str(uuid4()) if idempotency_key is None else idempotency_key,
        reason=reason,
        if_pending=if_pending,
        expected_refunded_amount=expected_refunded_amount,
        metadata=metadata,
    )
    return Refund(client.transport().create("refund", fields))


def get(id: str) -> Refund:
    """The refund with this id, as it stands. Raises ReadingNeedsHttp over a broker."""
    return Refund(client.transport().get("refund", requests.text("id", id)))


def wait(id: str, *, timeout_s: float = 30.0) -> Refund:
    """The refund as soon as it is final, or as it stands after `timeout_s`.

    Raises ReadingNeedsHttp over a broker.
    """
    return Refund(client.transport().get("refund", requests.text("id", id), wait_s=timeout_s))


def list(
    *,
    state: str | None = None,
    charge_id: str | None = None,
    created_after: datetime | None = None,
    created_before: datetime | None = None,
    limit: int | None = None,
    cursor: str | None = None,
) -> Page:
    """A page of refunds, newest first. Raises ReadingNeedsHttp over a broker."""
    filters = {
        "state": state,
        "charge_id": charge_id,
        "created_after": created_after,
        "created_before": created_before,
        "limit": limit,
        "cursor": cursor,
    }
    return Page(client.transport().list("refund", filters))
