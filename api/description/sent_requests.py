"""The schemas of requests as they are sent over HTTP, which says some fields by other means."""

from collections.abc import Iterable, Mapping
from typing import Any

from api.description.route_docs import ref
from api.description.schemas import REQUESTS
from infra.billing.contract.requests.cancel_request import CancelRequest
from infra.billing.contract.requests.capture_request import CaptureRequest
from infra.billing.contract.requests.endpoint_request import (
    UNSETTABLE,
    Repeatable,
    WebhookEndpointChanges,
)
from infra.billing.contract.requests.request_fields import Keyed
from payments.catalog.currencies import codes, payable_ids

_CHARGES = {
    "ChargeByAmount": "Take `amount` minor units of `currency`, once.",
    "ChargeByPrice": "Take what `quantity` units of a price cost, once.",
}
_REPLAYS = {
    "ReplayOfEvents": "Exactly these events, whatever became of them.",
    "ReplayOfATime": "The events of a time.",
}


def over_http(schemas: dict[str, Any]) -> dict[str, Any]:
    """Requests as they are sent over HTTP: no producer, which is the key's name; null = absent."""
    for model in REQUESTS:
        schema = schemas[model.__name__]
        if issubclass(model, Keyed):
            schema["properties"].pop("producer")
        if issubclass(model, (Keyed, Repeatable)):
            _may_be_null(schema, set(schema["properties"]) - {*schema.get("required", ())})
    _may_be_null(schemas[WebhookEndpointChanges.__name__], UNSETTABLE)
    schemas[WebhookEndpointChanges.__name__].pop("required", None)
    # The path says which charge, and the key whose it is.
    cancel = schemas[CancelRequest.__name__]
    cancel["properties"] = {"reason": cancel["properties"]["reason"]}
    cancel.pop("required")
    capture = schemas[CaptureRequest.__name__]
    capture["properties"].pop("charge_id")
    capture.pop("required")
    currency = schemas["ChargeRequest"]["properties"]["currency"]
    currency.pop("anyOf")
    currency |= {
        "enum": [*codes(), None],
        "description": "ISO 4217. Lower case is taken, too.",
    }
    schemas |= _ways(schemas["ChargeRequest"], _CHARGES)
    schemas |= _ways(schemas["Replay"], _REPLAYS)
    currency_id = schemas["PriceRequest"]["properties"]["currency_id"]
    currency_id.pop("pattern")
    currency_id["enum"] = payable_ids()
    return schemas


def _may_be_null(request: Mapping[str, Any], names: Iterable[str]) -> None:
    for schema in (request["properties"][name] for name in names):
        if isinstance(schema.get("type"), str):
            schema["type"] = [schema["type"], "null"]
            if "enum" in schema:
                schema["enum"] = [*schema["enum"], None]


def _ways(request: dict[str, Any], said: Mapping[str, str]) -> dict[str, Any]:
    """The ways to ask for something, each a schema of its own with all of its fields: generators of
    clients drop what stands beside a `oneOf`."""
    made: dict[str, Any] = {}
    for (name, what), way in zip(said.items(), request["oneOf"], strict=True):
        fields = {}
        for field, schema in request["properties"].items():
            # The fields of the other way may be sent as null; nobody would, and typed clients of
            # some generators can't.
            if way["properties"].get(field) != {"type": "null"}:
                fields[field] = _there(schema) if field in way["required"] else schema
        made[name] = {
            "description": what,
            "type": "object",
            "additionalProperties": False,
            "required": way["required"],
            "properties": fields,
        }
    choice = {"description": request["description"], "anyOf": [ref(name) for name in said]}
    request.clear()
    request |= choice
    return made


def _there(schema: Mapping[str, Any]) -> dict[str, Any]:
    """The schema of what must be there, without its null."""
    told = dict(schema)
    if "anyOf" in told:
        (one,) = (one for one in told.pop("anyOf") if one != {"type": "null"})
        told |= one
    if isinstance(told.get("type"), list):
        told["type"] = next(one for one in told["type"] if one != "null")
    if "enum" in told:
        told |= {"type": "string", "enum": [one for one in told["enum"] if one is not None]}
    return told
