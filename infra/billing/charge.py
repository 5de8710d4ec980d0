"""Charges: `billing.charge.create(…)`, `get`, `list`, `wait`."""

from collections.abc import Mapping
from datetime import datetime
from uuid import uuid4

from infra.billing import client, requests
from infra.billing.results import Charge, Page


def create(
    *,
    amount: int,
    currency: str,
    customer_id: str | None = None,
    payment_method_id: str | None = None,
    idempotency_key: str | None = None,
    reference: str | None = None,
    description: str | None = None,
    metadata: Mapping[str, str] | None = None,
) -> Charge:
    """Take `amount` minor units of `currency` (ISO 4217), once per `idempotency_key`.

    Over the broker the answer comes at once: the pending charge, with the id that every repeat
    under this key has. Without a key one is made, which protects a call but not a retry of yours.
    `reference` is your own order id: at most one charge per reference is pending or succeeded.
    Raises InvalidRequest before anything is sent, Unavailable, NotConfigured.
    """
    fields = requests.charge_fields(
        amount=amount,
        currency=currency,
        customer_id=customer_id,
        payment_method_id=payment_method_id,
        idempotency_key=str(uuid4()) if idempotency_key is None else idempotency_key,
        reference=reference,
        description=description,
        metadata=metadata,
    )
    return Charge(client.transport().create("charge", fields))


def get(id: str) -> Charge:
    """The charge with this id, as it stands. Raises ReadingNeedsHttp over a broker."""
    return Charge(client.transport().get("charge", requests.text("id", id)))


def wait(id: str, *, timeout_s: float = 30.0) -> Charge:
    """The charge as soon as it is final, or as it stands after `timeout_s`.

    Raises ReadingNeedsHttp over a broker.
    """
    return Charge(client.transport().get("charge", requests.text("id", id), wait_s=timeout_s))


def list(
    *,
    state: str | None = None,
    customer_id: str | None = None,
    reference: str | None = None,
    created_after: datetime | None = None,
    created_before: datetime | None = None,
    limit: int | None = None,
    cursor: str | None = None,
) -> Page:
    """A page of charges, newest first. Raises ReadingNeedsHttp over a broker."""
    filters = {
        "state": state,
        "customer_id": customer_id,
        "reference": reference,
        "created_after": created_after,
        "created_before": created_before,
        "limit": limit,
        "cursor": cursor,
    }
    return Page(client.transport().list("charge", filters))
