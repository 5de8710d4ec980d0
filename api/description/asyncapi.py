"""The AsyncAPI 3 document: what may be put into the queue, and what webhooks bring."""

from typing import Any

from api.description import schemas
from api.description.event_bodies import DATA, event
from api.description.examples import example, standing
from infra.billing.contract.event_types import EVENTS
from infra.billing.contract.objects import Charge
from infra.billing.contract.requests.by_kind import TASKS
from infra.billing.contract.requests.charge_request import BY_PRICE, WAYS
from service.broker.celery_config import PAYMENTS
from worker.envelope import BODY_MAX_BYTES, TASK_ID_MAX

# Left out of examples: what seldom goes with the rest.
_NOT_SHOWN = ("restock_quantity", "scheduled_at", "expires_in_s", "capture")
# Of the promises, not of the program: it changes when what is promised does.
VERSION = "1"
_AMQP = "0.3.0"  # of AsyncAPI's AMQP bindings
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
        "channels": {"payments": _queue(), "webhooks": _receiver()},
        "operations": {
            **{_operation(task): _asked(task) for task in TASKS},
            "sendWebhook": _told(),
        },
        "components": {
            "messages": {
                **{task: _request(task) for task in TASKS},
                **{name: _webhook(name) for name in DATA},
            },
            "schemas": {**schemas.everything(), "RedisItem": _redis_item()},
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


def _queue() -> dict[str, Any]:
    return {
        "address": PAYMENTS,
        "title": "The queue of requests",
        "description": (
            "Redis: LPUSH a RedisItem (components/schemas) to the list of this name. RabbitMQ:"
            " publish to the default exchange with this routing key, persistent, mandatory and"
            " confirmed. Workers declare the queue; others don't, or passively."
        ),
        "servers": [{"$ref": "#/servers/redis"}, {"$ref": "#/servers/rabbitmq"}],
        "messages": {task: _message(task) for task in TASKS},
        "bindings": {
            "redis": {},
            "amqp": {
                "is": "queue",
                "queue": {
                    "name": PAYMENTS,
                    "durable": True,
                    "exclusive": False,
                    "autoDelete": False,
                },
                "bindingVersion": _AMQP,
            },
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
        "messages": {name: _message(name) for name in DATA},
    }


def _operation(task: str) -> str:
    """`billing.charge.create` → `createCharge`."""
    _, kind, verb = task.split(".")
    return verb + kind.title()


def _asked(task: str) -> dict[str, Any]:
    _, kind, verb = task.split(".")
    return {
        "action": "receive",
        "channel": {"$ref": "#/channels/payments"},
        "title": f"Ask for a {kind}" if verb == "create" else f"Ask to {verb} a {kind}",
        "messages": [{"$ref": f"#/channels/payments/messages/{task}"}],
        "bindings": {
            "redis": {},
            "amqp": {"deliveryMode": 2, "mandatory": True, "bindingVersion": _AMQP},
        },
    }


def _told() -> dict[str, Any]:
    return {
        "action": "send",
        "channel": {"$ref": "#/channels/webhooks"},
        "title": "Tell a receiver",
        "messages": [{"$ref": f"#/channels/webhooks/messages/{name}"} for name in DATA],
        "bindings": {"http": {"method": "POST", "bindingVersion": _HTTP}},
    }


def _request(task: str) -> dict[str, Any]:
    model = TASKS[task].__name__
    fields = schemas.everything()[model]["properties"]
    _, other_way = WAYS
    example = {
        name: of["examples"][0]
        for name, of in fields.items()
        if "examples" in of and name not in (*other_way, *BY_PRICE, *_NOT_SHOWN)
    }
    task_id = "b0e7a1c2-8f63-4b1e-9d1a-5f7a0c3d2e11"
    return {
        "name": task,
        "title": _asked(task)["title"],
        "summary": TASKS[task].__doc__,
        "contentType": "application/json",
        "correlationId": {"location": "$message.header#/id"},
        "headers": {
            "type": "object",
            "description": "Celery's protocol 2 allows other headers: docs/reference/wire.md"
            " says what becomes of each.",
            "required": ["task", "id"],
            "properties": {
                "lang": {"type": "string", "description": "Of the sender.", "examples": ["js"]},
                "task": {"const": task},
                "id": {
                    "type": "string",
                    "minLength": 1,
                    "maxLength": TASK_ID_MAX,
                    "description": "A new one for each message. The idempotency key, if the"
                    " request has none.",
                    "examples": [task_id],
                },
                "eta": _time(
                    "Celery's, also made of `countdown`: a charge is not made before then, up to a"
                    " year ahead. What has passed is now. Anything else can't be put off."
                ),
                "expires": _time(
                    "Celery's: what is accepted later than that is refused as `request_expired`."
                ),
            },
        },
        # AsyncAPI's schemas are JSON Schema draft 07, where a list's places are `items`.
        "payload": {
            "type": "array",
            "description": f"[args, kwargs, embed], as JSON of at most {BODY_MAX_BYTES} bytes.",
            "items": [
                {"type": "array", "maxItems": 0, "description": "No positional arguments."},
                {"$ref": f"#/components/schemas/{model}"},
                {
                    "type": ["object", "null"],
                    "description": "Callbacks (`link`, `link_error`, `chain`, `chord`) are refused:"
                    " a webhook tells what became of it.",
                },
            ],
            "additionalItems": False,
            "minItems": 3,
        },
        "bindings": {"amqp": {"contentEncoding": "utf-8", "bindingVersion": _AMQP}},
        "examples": [
            {
                "name": _operation(task),
                "headers": {"lang": "js", "task": task, "id": task_id},
                "payload": [[], example, {}],
            }
        ],
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
            "required": [
                "webhook-id",
                "webhook-timestamp",
                "webhook-signature",
                "webhook-sequence",
            ],
            "properties": {
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
                    "description": "There if it is replayed, again or for the first time."
                    " Not signed.",
                },
            },
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


def _redis_item() -> dict[str, Any]:
    return {
        "type": "object",
        "description": "An item of the Redis list: the message in kombu's envelope.",
        "required": ["body", "content-type", "headers", "properties"],
        "properties": {
            "body": {"type": "string", "description": "The payload as JSON, then in base64."},
            "content-type": {"const": "application/json"},
            "content-encoding": {"const": "utf-8"},
            "headers": {"type": "object", "description": "The message's headers."},
            "properties": {
                "type": "object",
                "required": ["body_encoding"],
                "properties": {
                    "body_encoding": {"const": "base64"},
                    "delivery_tag": {"type": "string"},
                    "delivery_info": {
                        "type": "object",
                        "properties": {
                            "exchange": {"const": ""},
                            "routing_key": {"const": PAYMENTS},
                        },
                    },
                },
            },
        },
    }


def _time(description: str) -> dict[str, Any]:
    return {
        "type": ["string", "null"],
        "description": f"{description} ISO 8601; without a zone it is UTC.",
        "examples": ["2026-12-01T08:00:00+00:00"],
    }


def _message(name: str) -> dict[str, str]:
    return {"$ref": f"#/components/messages/{name}"}
