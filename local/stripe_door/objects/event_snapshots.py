"""Events: an object as it was when something happened to it."""

from copy import deepcopy

from local.stripe_door import API_VERSION
from local.stripe_door.shapes import Object, new_id, shown
from local.stripe_door.stripe_request import Request


def tell(request: Request, type_: str, about: Object) -> None:
    """`type_` happened to `about`; the event contains it as it is now."""
    request.store.tell(
        {
            "id": new_id("event"),
            "object": "event",
            "account": None,
            "api_version": API_VERSION,
            "context": None,
            "created": int(request.now),
            "data": {"object": deepcopy(shown(about))},
            "livemode": False,
            "pending_webhooks": 1,
            "request": {"id": request.id, "idempotency_key": request.key},
            "type": type_,
            # Whose payment method decides what becomes of the event on its road.
            "_intent": about["id"]
            if about["object"] == "payment_intent"
            else about.get("payment_intent"),
        }
    )
