"""The AsyncAPI 3 document: what may be put into the queue, and what webhooks bring."""

from typing import Any

from api.description import schemas
from api.description.event_bodies import DATA, event
from api.description.examples import example, standing
from api.description.queue_messages import asked, message, operation, queue, redis_item, request
from api.description.webhook_docs import HEADERS, SOMETIMES
from infra.billing.contract.event_types import EVENTS
from infra.billing.contract.objects import Charge
from infra.billing.contract.requests.by_kind import TASKS

# Of the promises, not of the program: it changes when what is promised does.
VERSION = "1"
_HTTP = "0.3.0"


def document() -> dict[str, Any]:
    """The whole document, for json.dump."""
    return {
        "asyncapi": "3.0.0",
        "id": "urn:billing:worker",
        "info": {
            "title": "Billing",
            "version": VERSION,
            "description": (
                "Charges and refunds by message, and the signed webhooks that tell what became of"
                " them. How the bytes look, in any language: docs/reference/wire.md. Codes:"
                " docs/reference/errors.md."
            ),
        },
        "defaultContentType": "application/json",
        "servers": _servers(),
        "channels": {"payments": queue(), "webhooks": _receiver()},
        "operations": {
            **{operation(task): asked(task) for task in TASKS},
            "sendWebhook": _told(),
        },
        "components": {
            "messages": {
                **{task: request(task) for task in TASKS},
                **{name: _webhook(name) for name in DATA},
            },
            "schemas": {**schemas.everything(), "RedisItem": redis_item()},
        },
    }


def _servers() -> dict[str, Any]:
    return {
        "redis": {
            "host": "redis.example.com:6379",
            "protocol": "redis",
            "description": "One of the two brokers that the workers may read.",
        },
        "rabbitmq": {
            "host": "rabbitmq.example.com:5672",
            "protocol": "amqp",
            "protocolVersion": "0-9-1",
            "description": "The other one. It keeps requests that no worker has read yet, too.",
        },
        "receiver": {
            "host": "shop.example.com",
            "protocol": "https",
            "description": "Yours: the URL of a webhook endpoint.",
        },
    }


def _receiver() -> dict[str, Any]:
    return {
        "address": None,
        "title": "A webhook endpoint of yours",
        "description": (
            "A POST for every event, at least once, the same `webhook-id` each time. Any 2xx is an"
            " acknowledgement; anything else is tried again, ten times over three days. Signed as"
            " Standard Webhooks 1.0.0 says: the signature is HMAC-SHA256 over"
            " `{webhook-id}.{webhook-timestamp}.{body}`, under the bytes that the secret decodes to"
            " (base64, after `whsec_`)."
        ),
        "servers": [{"$ref": "#/servers/receiver"}],
        "messages": {name: message(name) for name in DATA},
    }


def _told() -> dict[str, Any]:
    return {
        "action": "send",
        "channel": {"$ref": "#/channels/webhooks"},
        "title": "Tell a receiver",
        "messages": [{"$ref": f"#/channels/webhooks/messages/{name}"} for name in DATA],
        "bindings": {"http": {"method": "POST", "bindingVersion": _HTTP}},
    }


def _webhook(type_: str) -> dict[str, Any]:
    model = event(type_)
    told: dict[str, Any] = {
        "name": type_,
        "title": type_,
        "summary": EVENTS[type_].means,
        "contentType": "application/json",
        "headers": {
            "type": "object",
            "required": [name for name in HEADERS if name not in SOMETIMES],
            "properties": HEADERS,
        },
        "payload": {"$ref": f"#/components/schemas/{model.__name__}"},
    }
    if EVENTS[type_].only_by_name:
        told["description"] = "Sent only to endpoints that ask for it by name."
    if DATA[type_] is Charge:
        told["examples"] = [{"name": "charge", "payload": _example(type_)}]
    return told


def _example(type_: str) -> dict[str, Any]:
    """A webhook about a charge, made of the examples of its fields."""
    every = schemas.everything()
    told: dict[str, Any] = example(every[event(type_).__name__], every)
    stand = type_.partition(".")[2]
    return {**told, "type": type_, "data": standing(told["data"], stand)}
