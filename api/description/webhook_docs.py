"""What a webhook is, as documents describe it: its headers, its body and the answers to it."""

from collections.abc import Mapping
from typing import Any

from api.description.event_bodies import event
from api.description.schemas import COMPONENT
from infra.billing.contract.event_types import EVENTS

# As JSON Schemas, by their names: both documents have these.
HEADERS: Mapping[str, Mapping[str, Any]] = {
    "webhook-id": {
        "type": "string",
        "description": "The event's id, the same on every try: keep those you handled.",
        "examples": ["evt_c7dnqoq2lixhqxkbpgnfzxg7mqbdq5gk"],
    },
    "webhook-timestamp": {
        "type": "string",
        "pattern": "^[0-9]+$",
        "description": "Of this try, in seconds since 1970. Refuse what is more than"
        " five minutes off.",
        "examples": ["1795343000"],
    },
    "webhook-signature": {
        "type": "string",
        "pattern": "^v1,[A-Za-z0-9+/]{43}=( v1,[A-Za-z0-9+/]{43}=)*$",
        "description": "One, or several while a secret is replaced: one must match.",
        "examples": ["v1,K5oZfzN95Z9UVu1EsfQmfVNQhnkZ2pj9o9NDN/H/pI4="],
    },
    "webhook-sequence": {
        "type": "string",
        "pattern": "^[1-9][0-9]*$",
        "description": "Which of all webhooks to this endpoint it is, counted from 1"
        " without a gap; the same in every try and replay. Not signed.",
        "examples": ["4711"],
    },
    "webhook-replay": {
        "type": "string",
        "enum": ["1"],
        "examples": ["1"],
        "description": "There if it is replayed, again or for the first time. Not signed.",
    },
}
# Those that not every webhook has.
SOMETIMES = ("webhook-replay",)
_OF_SCHEMAS = ("type", "pattern", "enum")


def described_webhook(name: str) -> dict[str, Any]:
    """The description of one type of webhook."""
    headers = [_parameter(header, schema) for header, schema in HEADERS.items()]
    body = {"application/json": {"schema": {"$ref": COMPONENT.format(model=event(name).__name__)}}}
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


def _parameter(header: str, schema: Mapping[str, Any]) -> dict[str, Any]:
    """A header as OpenAPI has it: what is said of it stands beside its schema."""
    return {
        "name": header,
        "in": "header",
        "required": header not in SOMETIMES,
        "description": schema["description"],
        "schema": {name: value for name, value in schema.items() if name in _OF_SCHEMAS},
        "example": schema["examples"][0],
    }
