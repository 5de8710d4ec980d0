"""What a webhook is, as the HTTP door describes it: its headers, its body and the answers to it."""

from typing import Any

from api.description.event_bodies import event
from api.description.route_docs import ref
from infra.billing.contract.event_types import EVENTS

_TEXT = {"type": "string"}
_SIGNATURE = {
    "webhook-id": "The event's id: the same on every try. Keep those that you have handled.",
    "webhook-timestamp": "When it was sent, in Unix seconds. Refuse what is older than 5 minutes.",
    "webhook-signature": "`v1,` and the signature; several, while a secret is replaced.",
    "webhook-sequence": "Which of all webhooks to this endpoint it is: they are counted from 1"
    " without a gap, and one keeps its number in every try and replay. Not signed.",
    "webhook-replay": "`1` if it is replayed, again or for the first time; else absent. Not"
    " signed.",
}


def described_webhook(name: str) -> dict[str, Any]:
    """The description of one type of webhook."""
    headers = [
        {"name": header, "in": "header", "required": True, "description": words, "schema": _TEXT}
        for header, words in _SIGNATURE.items()
    ]
    body = {"application/json": {"schema": ref(event(name).__name__)}}
    return {
        "post": {
            "operationId": f"on_{name.replace('.', '_')}",
            "summary": EVENTS[name].means,
            "description": "Sent to every endpoint that asks for it, at least once, until it is"
            " answered with any 2xx: ten tries over three days. Signed as Standard Webhooks 1.0.0"
            " says.",
            "tags": ["Webhooks"],
            "parameters": headers,
            "requestBody": {"required": True, "content": body},
            "security": [],
            "responses": {
                "2XX": {"description": "Received."},
                "4XX": {"description": "Not taken: it is sent again later."},
            },
        }
    }
