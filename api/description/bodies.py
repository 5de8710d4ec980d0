"""The bodies that only HTTP has, as JSON Schemas: endpoints that are changed, health.

What the service shows is declared in `infra.billing.contract.objects`.
"""

from collections.abc import Sequence
from typing import Any

from infra.billing.contract.events import TYPES
from infra.billing.contract.limits import (
    ENDPOINT_DESCRIPTION_MAX,
    EVENT_IDS_MAX,
    IN_FLIGHT_MAX,
    OVERLAP_MAX_S,
    TEXT_MAX,
    URL_MAX,
)
from infra.billing.contract.objects.webhook_objects import EVENT_ID
from infra.billing.contract.texts import PATTERN, PRODUCER
from payments.webhooks.endpoints import IN_FLIGHT, OVERLAP_S

_URL = {"type": "string", "minLength": 1, "maxLength": URL_MAX, "format": "uri"}
_EVENT_TYPES = {
    "type": ["array", "null"],
    "items": {"type": "string", "enum": [*TYPES]},
    "description": "What it is told. None: every type but the `.pending` ones.",
}
_DESCRIPTION = {
    "type": ["string", "null"],
    "maxLength": ENDPOINT_DESCRIPTION_MAX,
    "pattern": PATTERN,
    "description": "What people call it.",
}
_KEY = {
    "type": ["string", "null"],
    "minLength": 1,
    "maxLength": TEXT_MAX,
    "pattern": PATTERN,
    "description": "As the header `Idempotency-Key`; send one of them.",
}
_IN_FLIGHT = {
    "type": ["integer", "null"],
    "minimum": 1,
    "maximum": IN_FLIGHT_MAX,
    "description": f"How many webhooks may be under way there at once; {IN_FLIGHT} unless said.",
}
_MOMENT = {"type": "string", "format": "date-time"}


def _object(required: Sequence[str] = (), **fields: Any) -> dict[str, Any]:
    return {
        "type": "object",
        "additionalProperties": False,
        "required": [*required],
        "properties": fields,
    }


BODIES: dict[str, Any] = {
    "ProcessorEvent": {
        "type": "object",
        "description": "An event, as the processor writes it. Whatever it says, what it names is"
        " looked up.",
        "properties": {"id": {"type": "string", "description": "The processor's own id of it."}},
        "additionalProperties": True,
    },
    "WebhookEndpointRequest": _object(
        ["url"],
        idempotency_key=_KEY,
        url=_URL,
        event_types=_EVENT_TYPES,
        description=_DESCRIPTION,
        max_in_flight=_IN_FLIGHT,
        producer={
            "type": ["string", "null"],
            "pattern": f"^{PRODUCER}$",
            "description": "Whose events it is told of. With a key for one producer only that one,"
            " which it is anyway; with a key for all producers any, or all without it.",
        },
    ),
    "WebhookEndpointChanges": _object(
        url=_URL,
        event_types=_EVENT_TYPES,
        description=_DESCRIPTION,
        max_in_flight=_IN_FLIGHT,
        state={"type": "string", "enum": ["enabled", "disabled"]},
    ),
    "Ping": _object(idempotency_key=_KEY),
    "SecretRotation": _object(
        idempotency_key=_KEY,
        overlap_s={
            "type": ["integer", "null"],
            "minimum": 0,
            "maximum": OVERLAP_MAX_S,
            "description": "For so many seconds the secret before signs, too. Absent:"
            f" `{OVERLAP_S}`.",
        },
    ),
    "Replay": {
        "oneOf": [
            _object(
                ["event_ids"],
                idempotency_key=_KEY,
                event_ids={
                    "type": "array",
                    "items": {"type": "string", "pattern": EVENT_ID},
                    "minItems": 1,
                    "maxItems": EVENT_IDS_MAX,
                    "description": "Exactly these, whatever became of them.",
                },
            ),
            _object(
                ["since"],
                idempotency_key=_KEY,
                since={**_MOMENT, "description": "Those created at this moment or later,"},
                until={
                    **_MOMENT,
                    "type": ["string", "null"],
                    "description": "and before this one.",
                },
                only={
                    "type": ["string", "null"],
                    "enum": ["undelivered", "all", None],
                    "description": "Absent: `undelivered`.",
                },
                after={
                    "type": ["integer", "null"],
                    "minimum": 0,
                    "maximum": 2**63 - 1,
                    "description": "The `next_after` of the call before.",
                },
            ),
        ]
    },
    "Health": _object(["status"], status={"type": "string", "enum": ["ok"]}),
    "Readiness": _object(
        ["status", "reasons", "checks"],
        status={"type": "string", "enum": ["ready", "degraded", "not_ready"]},
        reasons={
            "type": "array",
            "items": {"type": "string"},
            "description": "What is not as it should be; empty when all is well.",
        },
        checks={
            "type": "object",
            "additionalProperties": _object(
                ["ok", "detail"], ok={"type": "boolean"}, detail={"type": "string"}
            ),
        },
    ),
}
