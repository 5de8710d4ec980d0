"""Stripe in tests: its objects and errors as its documentation has them, and an account on them."""

import json
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

from payments.processors import event_signatures
from payments.processors.port import Order
from payments.processors.stripe import Stripe
from tests.support.scripted import Asked, Says, Service, scripted_service

API_KEY = "sk_test_51Scripted0key0that0nobody0may0see"
WEBHOOK_SECRET = "whsec_scripted0secret"
TOLD_AT = 1_800_000_000  # of events; Unix seconds
INTENT, REFUND = "pi_3Scripted", "re_3Scripted"


def an_intent(order: Order, status: str = "succeeded", **changes: Any) -> dict[str, Any]:
    """A PaymentIntent (docs.stripe.com/api/payment_intents/object), as far as it is read."""
    return {
        "id": INTENT,
        "object": "payment_intent",
        "amount": order.amount,
        "currency": order.currency.lower(),
        "status": status,
        "livemode": False,
        "metadata": {"billing_charge_id": order.charge_id or order.id},
        "next_action": None,
        "last_payment_error": None,
        "cancellation_reason": None,
        **changes,
    }


def a_stripe_refund(order: Order, status: str = "succeeded", **changes: Any) -> dict[str, Any]:
    """A refund (docs.stripe.com/api/refunds/object), as far as it is read."""
    return {
        "id": REFUND,
        "object": "refund",
        "amount": order.amount,
        "currency": order.currency.lower(),
        "status": status,
        "payment_intent": INTENT,
        "metadata": {"billing_refund_id": order.id, "billing_charge_id": order.charge_id},
        **changes,
    }


def a_snapshot(found: Mapping[str, Any], type_: str = "payment_intent.succeeded") -> bytes:
    """A snapshot event (docs.stripe.com/api/events/object): with the object as it was then."""
    event = {"id": "evt_1", "object": "event", "type": type_, "created": TOLD_AT}
    return json.dumps({**event, "data": {"object": dict(found)}}).encode()


def a_thin_event(found: Mapping[str, Any], type_: str = "v1.payment_intent.succeeded") -> bytes:
    """A thin event (docs.stripe.com/api/v2/core/events/object): with its name only."""
    related = {"id": found["id"], "type": found["object"], "url": "/v1/things"}
    event = {"id": "evt_1", "object": "v2.core.event", "type": type_, "related_object": related}
    event["created"] = datetime.fromtimestamp(TOLD_AT, UTC).isoformat().replace("+00:00", "Z")
    return json.dumps(event).encode()


def signed(body: bytes, *, secret: str = WEBHOOK_SECRET, at: float | None = None) -> dict[str, str]:
    """The headers under which Stripe brings an event."""
    now = time.time() if at is None else at
    value = event_signatures.sign(body, secret=secret.encode(), now=now)
    return {"Stripe-Signature": value, "Content-Type": "application/json"}


def a_list(*objects: Mapping[str, Any], has_more: bool = False) -> Says:
    """A page of a list (docs.stripe.com/api/pagination)."""
    page = {
        "object": "list",
        "url": "/v1/payment_intents",
        "has_more": has_more,
        "data": list(objects),
    }
    return Says(200, page)


def an_error(
    status: int, type_: str, *, headers: Mapping[str, str] | None = None, **told: Any
) -> Says:
    """An error (docs.stripe.com/api/errors)."""
    return Says(status, {"error": {"type": type_, "message": "…", **told}}, headers or {})


def by_path(**answers: Says) -> Any:
    """A line of a script that answers by the last part of the path."""

    def say(asked: Asked) -> Says:
        return answers[asked.path.rpartition("/")[2]]

    return say


@contextmanager
def stripe_at(url: str, **options: Any) -> Iterator[Stripe]:
    """The adapter, for an API at this address."""
    stripe = Stripe(API_KEY, webhook_secrets=[WEBHOOK_SECRET], api_base=url, **options)
    try:
        yield stripe
    finally:
        stripe.close()


@contextmanager
def stripe_by_script(**options: Any) -> Iterator[tuple[Stripe, Service]]:
    """The adapter, and the service that it takes for Stripe."""
    with scripted_service() as service, stripe_at(service.url, **options) as stripe:
        yield stripe, service
