"""The description of the HTTP door, OpenAPI 3.1, made from the routes and the public objects."""

import copy
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from fastapi.openapi.utils import get_openapi
from fastapi.routing import APIRoute

from api.description import route_signatures
from api.description.api_prose import SUMMARY, TAGS, TITLE, VERSION
from api.description.event_bodies import DATA
from api.description.examples import example, filled_in, standing
from api.description.http_bodies import Health, ProcessorEvent, Readiness
from api.description.models import model_of
from api.description.refusal_docs import PROBLEM, refused
from api.description.samples import SAMPLES
from api.description.schemas import components as components_of
from api.description.schemas import everything
from api.description.sent_requests import over_http
from api.description.webhook_docs import described_webhook
from infra.billing.contract.objects import (
    DeliveryWithAttempts,
    Event,
    NewEndpoint,
    Pinged,
    Replayed,
)
from payments.access.scopes import SIGNED

# What only HTTP answers with.
OVER_HTTP = (DeliveryWithAttempts, Event, NewEndpoint, Pinged, Replayed)
_HEADERS = {
    "X-Request-Id": {
        "description": "The request's id: your own if you sent one.",
        "schema": {"type": "string", "pattern": "^(?=.*[A-Za-z])[A-Za-z0-9._-]{1,64}$"},
    },
    "Location": {"description": "Where the object is read.", "schema": {"type": "string"}},
    "Idempotent-Replayed": {
        "description": "There when the key was used for the same request before.",
        "schema": {"type": "string", "enum": ["true"]},
    },
    "Retry-After": {"description": "Seconds.", "schema": {"type": "string", "pattern": "^[0-9]+$"}},
    "Accept-Encoding": {
        "description": "Which encodings a body may have: none (RFC 7694, 3).",
        "schema": {"type": "string", "enum": ["identity"]},
    },
    "WWW-Authenticate": {
        "description": "What is lacking: RFC 9110, 11.6.1, and RFC 6750, 3.",
        "schema": {"type": "string"},
    },
}


def document(routes: Sequence[APIRoute]) -> dict[str, Any]:
    """The whole document, as it is answered at `/openapi.json`."""
    made: dict[str, Any] = get_openapi(
        title=TITLE,
        version=VERSION,
        openapi_version="3.1.0",
        description=SUMMARY,
        routes=routes,
        tags=TAGS,
        servers=[{"url": "/", "description": "This service"}],
    )
    components = made.setdefault("components", {})
    components["schemas"] = {
        **_own(components.get("schemas", {})),
        **over_http(everything()),
        **components_of(*map(model_of, OVER_HTTP), ProcessorEvent, Health, Readiness),
    }
    components["headers"] = _HEADERS
    components["securitySchemes"] = {
        "key": {
            "type": "http",
            "scheme": "bearer",
            "description": "An API key: `billing keys create NAME`. Its name is the producer.",
        }
    }
    by_name = {route.name: route for route in routes}
    for path, operations in made["paths"].items():
        for operation in operations.values():
            _finish(path, operation, by_name[operation["operationId"]])
    made["webhooks"] = {name: described_webhook(name) for name in DATA}
    _show_examples(made)
    return copy.deepcopy(made)  # what readers change is theirs alone


def _show_examples(made: dict[str, Any]) -> None:
    """Examples of every body: requests that are taken as they stand, and what is answered."""
    schemas = made["components"]["schemas"]
    for operations in made["paths"].values():
        for operation in operations.values():
            for body in _bodies(operation.get("requestBody", {})):
                samples = SAMPLES[body["schema"]["$ref"].rsplit("/", 1)[1]]
                body["examples"] = {name: one._asdict() for name, one in samples.items()}
            for status, told in operation["responses"].items():
                for body in _bodies(told):
                    body["example"] = _answered(status, body, schemas)
    for name, operations in made["webhooks"].items():
        for body in _bodies(operations["post"]["requestBody"]):
            shown = example(body["schema"], schemas)
            body["example"] = {**shown, "data": standing(shown["data"], name.split(".")[-1])}


def _answered(status: str, body: Mapping[str, Any], schemas: Mapping[str, Any]) -> Any:
    """An example of an answer, as it is when it answers this."""
    shown: Any = example(body["schema"], schemas)
    if body["schema"] == PROBLEM:
        return shown | refused(int(status))
    if body["schema"].get("type") == "string":  # a file
        return str(body["schema"]["examples"][0])
    if "example" in body:
        return filled_in(body["example"], shown, schemas)
    return standing(shown, "pending" if status == "202" else "succeeded")


def _bodies(holder: Mapping[str, Any]) -> Iterable[dict[str, Any]]:
    bodies: Iterable[dict[str, Any]] = holder.get("content", {}).values()
    return bodies


def _finish(path: str, operation: dict[str, Any], route: APIRoute) -> None:
    """What holds for every operation, and what FastAPI says of operations that aren't ours."""
    operation["responses"].pop("422", None)  # FastAPI's own answer to bad input, never given
    for status, declared in route.responses.items():
        for media_type, body in declared.get("content", {}).items():
            if "example" in body:  # FastAPI leaves out what is null of it
                answered = operation["responses"][str(status)]["content"]
                answered[media_type]["example"] = body["example"]
    route_signatures.describe(route, operation)
    responses = operation["responses"]
    for status, told in responses.items():
        headers = told.setdefault("headers", {})
        headers["X-Request-Id"] = {"$ref": "#/components/headers/X-Request-Id"}
        if status == "200" and route_signatures.is_keyed(route):
            headers["Idempotent-Replayed"] = {"$ref": "#/components/headers/Idempotent-Replayed"}
    has_key = path.startswith("/v1/") and operation["operationId"] not in SIGNED
    operation["security"] = [{"key": []}] if has_key else []


def _own(schemas: dict[str, Any]) -> dict[str, Any]:
    """FastAPI's schemas without those of its own answer to bad input, which we never give."""
    return {n: s for n, s in schemas.items() if n not in ("HTTPValidationError", "ValidationError")}
