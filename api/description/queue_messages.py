"""The queue's half of the AsyncAPI document: the messages that ask for something."""

from typing import Any

from api.description import schemas
from infra.billing.contract.requests.by_kind import TASKS
from infra.billing.contract.requests.charge_request import BY_PRICE, WAYS
from service.broker.celery_config import PAYMENTS
from worker.envelope import BODY_MAX_BYTES, TASK_ID_MAX

# Left out of examples: what seldom goes with the rest.
_NOT_SHOWN = ("restock_quantity", "scheduled_at", "expires_in_s", "capture")
_AMQP = "0.3.0"  # of AsyncAPI's AMQP bindings


def queue() -> dict[str, Any]:
    """The channel of requests."""
    return {
        "address": PAYMENTS,
        "title": "The queue of requests",
        "description": (
            "Redis: LPUSH a RedisItem (components/schemas) to the list of this name. RabbitMQ:"
            " publish to the default exchange with this routing key, persistent, mandatory and"
            " confirmed. Workers declare the queue; others don't, or passively."
        ),
        "servers": [{"$ref": "#/servers/redis"}, {"$ref": "#/servers/rabbitmq"}],
        "messages": {task: message(task) for task in TASKS},
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


def operation(task: str) -> str:
    """`billing.charge.create` → `createCharge`."""
    _, kind, verb = task.split(".")
    return verb + kind.title()


def asked(task: str) -> dict[str, Any]:
    """The operation that asks for what a task does."""
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


def request(task: str) -> dict[str, Any]:
    """The message of one task: its headers, its payload and an example."""
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
        "title": asked(task)["title"],
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
                "name": operation(task),
                "headers": {"lang": "js", "task": task, "id": task_id},
                "payload": [[], example, {}],
            }
        ],
    }


def redis_item() -> dict[str, Any]:
    """The schema of an item of the list in Redis."""
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


def message(name: str) -> dict[str, str]:
    """A reference to the message of this name."""
    return {"$ref": f"#/components/messages/{name}"}
