"""The plain way's two tasks: make a charge, deliver a webhook. A session for every step."""

import json
import time
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import httpx
from sqlalchemy.exc import IntegrityError
from sqlmodel import Session, select
from standardwebhooks import Webhook

from benchmarks.plain import app as plain
from benchmarks.plain.tables import Charge, Delivery, Endpoint, Event

app = plain.app


@app.task(name="plain.charge.create")  # type: ignore[untyped-decorator]  # Celery has none
def charge_create(
    *,
    amount: int,
    currency: str,
    idempotency_key: str,
    customer_id: str | None = None,
    payment_method_id: str | None = None,
    description: str | None = None,
    metadata: dict[str, str] | None = None,
    producer: str | None = None,
) -> None:
    """Writes the charge, calls the processor, writes what came of it, and asks for the webhook."""
    charge = Charge(
        producer=producer,
        idempotency_key=idempotency_key,
        amount=amount,
        currency=currency,
        customer_id=customer_id,
        payment_method_id=payment_method_id,
        description=description,
        details=metadata or {},
    )
    charge_id = charge.id
    with Session(plain.engine) as session:
        session.add(charge)
        try:
            session.commit()
        except IntegrityError:
            return  # a repeat of the key; the first one goes on

    reference = call_processor()

    with Session(plain.engine) as session:
        charge = session.get_one(Charge, charge_id)
        charge.state = "succeeded"
        charge.processor_reference = reference
        charge.settled_at = datetime.now(UTC)
        event = Event(charge_id=charge_id, type="charge.succeeded", body=public(charge))
        event_id = event.id
        session.add(event)
        session.commit()

    webhook_deliver.delay(event_id)


@app.task(  # type: ignore[untyped-decorator]  # Celery has none
    name="plain.webhook.deliver",
    autoretry_for=(httpx.HTTPError,),
    retry_backoff=True,
    max_retries=10,
)
def webhook_deliver(event_id: str) -> None:
    """Posts one event to the endpoint, signed, and records that it has arrived."""
    with Session(plain.engine) as session:
        event = session.get_one(Event, event_id)
        endpoint = session.exec(select(Endpoint)).one()
        sent_at = datetime.now(UTC)
        body = json.dumps(
            {"type": event.type, "timestamp": event.created_at.isoformat(), "data": event.body}
        )
        url, endpoint_id, secret = endpoint.url, endpoint.id, endpoint.secret

    answer = plain.http.post(
        url,
        content=body,
        headers={
            "content-type": "application/json",
            "webhook-id": event_id,
            "webhook-timestamp": str(int(sent_at.timestamp())),
            "webhook-signature": Webhook(secret).sign(event_id, sent_at, body),
        },
    )
    answer.raise_for_status()

    with Session(plain.engine) as session:
        session.add(Delivery(event_id=event_id, endpoint_id=endpoint_id, status=answer.status_code))
        session.commit()


def call_processor() -> str:
    """The processor: takes its time, and says yes. It keeps no ledger, in this way's favour."""
    time.sleep(plain.LATENCY_S)
    return f"proc_{uuid4().hex}"


def public(charge: Charge) -> dict[str, Any]:
    """The charge as the webhook shows it."""
    return {
        "charge_id": charge.id,
        "object": "charge",
        "amount": charge.amount,
        "currency": charge.currency,
        "state": charge.state,
        "customer_id": charge.customer_id,
        "payment_method_id": charge.payment_method_id,
        "description": charge.description,
        "metadata": charge.details,
        "processor_reference": charge.processor_reference,
        "idempotency_key": charge.idempotency_key,
        "created_at": charge.created_at.isoformat(),
        "settled_at": charge.settled_at.isoformat() if charge.settled_at else None,
    }
