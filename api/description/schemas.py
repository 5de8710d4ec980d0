"""The JSON Schemas (2020-12) of everything public, made from the models."""

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaMode, models_json_schema

from api.description.event_bodies import DATA, event
from api.description.models import model_of
from infra.billing.contract.objects import OBJECTS, Resource
from infra.billing.contract.requests.by_kind import MODELS
from infra.billing.contract.requests.cancel_request import CancelRequest
from infra.billing.contract.requests.capture_request import CaptureRequest
from infra.billing.contract.requests.charge_request import BY_PRICE, WAYS, ChargeRequest
from infra.billing.contract.requests.endpoint_request import (
    WebhookEndpointChanges,
    WebhookEndpointRequest,
)
from infra.billing.contract.requests.endpoint_verbs import Ping, Replay, Retry, SecretRotation
from infra.billing.contract.requests.inventory_request import InventoryRequest, QuoteRequest
from infra.billing.contract.requests.price_request import PriceChanges, PriceRequest
from infra.billing.contract.requests.product_request import ProductChanges, ProductRequest
from infra.billing.contract.requests.second_opinion import SecondOpinion

DIALECT = "https://json-schema.org/draft/2020-12/schema"
COMPONENT = "#/components/schemas/{model}"

REQUESTS: tuple[type[BaseModel], ...] = (
    *MODELS.values(),
    CaptureRequest,
    CancelRequest,
    SecondOpinion,
    ProductRequest,
    ProductChanges,
    PriceRequest,
    PriceChanges,
    InventoryRequest,
    QuoteRequest,
    WebhookEndpointRequest,
    WebhookEndpointChanges,
    SecretRotation,
    Ping,
    Retry,
    Replay,
)
# What is not sent stays: their defaults mean nothing.
CHANGES = (ProductChanges, PriceChanges, WebhookEndpointChanges)


class Schemas(GenerateJsonSchema):
    """pydantic's, without the titles that only repeat a field's name."""

    def field_title_should_be_set(self, schema: Any) -> bool:
        return False


def components(
    *models: type[BaseModel], ref_template: str = COMPONENT
) -> dict[str, dict[str, Any]]:
    """The schemas of `models`, and of what they are made of, by their names."""
    # What comes in is read by a model's validation; what goes out has every field.
    wanted: list[tuple[type[BaseModel], JsonSchemaMode]] = [
        (model, "validation" if model in REQUESTS else "serialization") for model in models
    ]
    _, schemas = models_json_schema(wanted, ref_template=ref_template, schema_generator=Schemas)
    found: dict[str, dict[str, Any]] = schemas["$defs"]
    for name, schema in found.items():
        schema.pop("title", None)
        if "description" in schema:  # a docstring, in lines
            schema["description"] = " ".join(schema["description"].split())
        for field in schema.get("properties", {}).values():
            if name in (model.__name__ for model in CHANGES):
                field.pop("default", None)
            _say_default(field)
        if name in (model.__name__ for model in REQUESTS):
            _complete(name, schema)
    return found


def everything() -> dict[str, dict[str, Any]]:
    """All schemas: requests, objects, and the events by the names of their models."""
    return components(*REQUESTS, *map(model_of, OBJECTS), *map(event, DATA))


def standing_alone(kind: type[BaseModel] | type[Resource]) -> Mapping[str, Any]:
    """One schema with all that it refers to inside: to validate with."""
    model = model_of(kind) if issubclass(kind, Resource) else kind
    schemas = components(model, ref_template="#/$defs/{model}")
    return {"$schema": DIALECT, "$ref": f"#/$defs/{model.__name__}", "$defs": schemas}


def _say_default(field: dict[str, Any]) -> None:
    """In words. Generators of clients take a `default` for what is sent when nothing is: they make
    such a field required (openapi-typescript), or send it (openapi-python-client)."""
    default = field.pop("default", None)
    if isinstance(default, bool):
        field.setdefault("examples", [default])
    if default not in (None, "", {}, []):
        said = field.get("description", "").rstrip()
        shown = str(default).lower() if isinstance(default, bool) else default
        field["description"] = f"{said} Absent: `{shown}`.".lstrip()


def _complete(name: str, schema: dict[str, Any]) -> None:
    """A key is not required of every request: a message has its task id, HTTP a header."""
    if "idempotency_key" in schema.get("required", ()):
        schema["required"].remove("idempotency_key")
    if name == Replay.__name__:
        events, a_time = {"event_ids": "array"}, {"since": "string"}
        schema["oneOf"] = [
            _either(events, {**a_time, **dict.fromkeys(("until", "only", "after"), "")}),
            _either(a_time, events),
        ]
    if name == ChargeRequest.__name__:
        by_amount, by_price = WAYS
        schema["oneOf"] = [
            _either(by_amount, {**by_price, **BY_PRICE}),
            _either(by_price, by_amount),
        ]
        schema.pop("required")


def _either(these: Mapping[str, str], not_those: Mapping[str, str]) -> dict[str, Any]:
    there = {name: {"type": kind} for name, kind in these.items()}
    absent = {name: {"type": "null"} for name in not_those}
    return {"required": [*these], "properties": {**there, **absent}}
