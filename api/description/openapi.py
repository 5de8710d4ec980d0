"""The description of the HTTP door, OpenAPI 3.1, made from the routes and the public objects."""

import copy
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from fastapi.openapi.utils import get_openapi
from fastapi.routing import APIRoute

from api.description import route_signatures
from api.description.event_bodies import DATA, event
from api.description.examples import example, standing
from api.description.http_bodies import Health, ProcessorEvent, Readiness
from api.description.models import model_of
from api.description.route_docs import ref
from api.description.samples import SAMPLES
from api.description.schemas import REQUESTS, everything
from api.description.schemas import components as components_of
from api.edge import problems
from infra.billing.contract.event_types import EVENTS
from infra.billing.contract.objects import (
    Charge,
    DeliveryWithAttempts,
    Event,
    NewEndpoint,
    Pinged,
    Replayed,
)
from infra.billing.contract.objects.sales import A_PRODUCT
from infra.billing.contract.requests.cancel_request import CancelRequest
from infra.billing.contract.requests.capture_request import CaptureRequest
from infra.billing.contract.requests.endpoint_request import (
    UNSETTABLE,
    Repeatable,
    WebhookEndpointChanges,
)
from infra.billing.contract.requests.request_fields import Keyed
from payments.access.scopes import SIGNED
from payments.catalog.currencies import codes, id_of
from payments.payment_errors import (
    BillingError,
    EventsGone,
    InsufficientScope,
    InvalidRequest,
    KeyReused,
    NotFound,
    ReferenceInUse,
    Unauthenticated,
)

VERSION = "1"
SUMMARY = """\
Charges and refunds, exactly once, with signed webhooks.

Amounts are whole numbers of the currency's smallest unit: 1999 is USD 19.99, 500 is JPY 500. A
request is accepted when it is answered with 202; what became of it is told by webhook, by the feed
of events, and here. Send an `Idempotency-Key` with every charge and refund, and repeat what you
got no answer to: under one key money moves once.

Refusals are problem documents (RFC 9457): `code` is for programs, `detail` says what to send
instead. Every answer has an `X-Request-Id`, which our log lines have, too; send your own and it is
kept.
"""
# What only HTTP answers with.
OVER_HTTP = (DeliveryWithAttempts, Event, NewEndpoint, Pinged, Replayed)
TAGS = [
    {"name": "Charges", "description": "Money taken from customers."},
    {"name": "Refunds", "description": "Money given back."},
    {"name": "Disputes", "description": "Charges that banks contest."},
    {"name": "Products", "description": "What is sold."},
    {"name": "Prices", "description": "What it costs, and how much is left."},
    {"name": "Currencies", "description": "What it is paid in."},
    {"name": "Events", "description": "The feed: the same events as webhooks, to read."},
    {"name": "Webhook endpoints", "description": "URLs that receive events."},
    {"name": "Deliveries", "description": "What became of each webhook, and sending it again."},
    {"name": "Finance", "description": "Exports and reports, for those who keep the books."},
    {"name": "Webhooks", "description": "What your endpoints are sent."},
    {"name": "Operating", "description": "Search, and what people and API keys did."},
    {"name": "Processors", "description": "What processors tell, signed by them, so no key."},
    {"name": "Health", "description": "Probes for load balancers and alerts; they need no key."},
]


def document(routes: Sequence[APIRoute]) -> dict[str, Any]:
    """The whole document, as it is answered at `/openapi.json`."""
    made: dict[str, Any] = get_openapi(
        title="Billing",
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
        **_of_http(everything()),
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
    _of_currencies(made["paths"])
    made["webhooks"] = {name: _webhook(name) for name in DATA}
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
                    body["example"] = _answered(operation["operationId"], status, body, schemas)
    for name, operations in made["webhooks"].items():
        for body in _bodies(operations["post"]["requestBody"]):
            shown = example(body["schema"], schemas)
            body["example"] = {**shown, "data": standing(shown["data"], name.split(".")[-1])}


def _answered(
    operation: str, status: str, body: Mapping[str, Any], schemas: Mapping[str, Any]
) -> Any:
    """An example of an answer, as it is when it answers this."""
    shown: Any = example(body["schema"], schemas)
    if body["schema"] == ref("Problem"):
        return shown | _refused(int(status))
    if body["schema"].get("type") == "string":  # a file
        return str(body["schema"]["examples"][0])
    if operation == "list_events":
        charge = standing(example(ref(Charge), schemas), "succeeded")
        shown["data"] = [{**one, "data": charge} for one in shown["data"]]
        return shown
    if operation == "delete_product":
        return {**shown, "id": A_PRODUCT, "object": "product"}
    if operation == "cancel_charge" and status == "200":
        return standing(shown, "canceled")
    if operation.startswith("archive_"):
        return standing(shown, "archived")
    return standing(shown, "pending" if status == "202" else "succeeded")


def _bodies(holder: Mapping[str, Any]) -> Iterable[dict[str, Any]]:
    bodies: Iterable[dict[str, Any]] = holder.get("content", {}).values()
    return bodies


def _refused(status: int) -> dict[str, Any]:
    """An example of a refusal with this status."""
    error = _ERRORS[status]
    told = problems.document(error(), request_id="req_1f0c9a")
    return {**told, "param": _PARAMS.get(status)}


def _finish(path: str, operation: dict[str, Any], route: APIRoute) -> None:
    """What holds for every operation, and what FastAPI says of operations that aren't ours."""
    operation["responses"].pop("422", None)  # FastAPI's own answer to bad input, never given
    route_signatures.describe(route, operation)
    responses = operation["responses"]
    for status, told in responses.items():
        headers = told.setdefault("headers", {})
        headers["X-Request-Id"] = {"$ref": "#/components/headers/X-Request-Id"}
        if operation["operationId"].startswith("create_") and status in ("200", "201", "202"):
            headers["Location"] = {"$ref": "#/components/headers/Location"}
        if status == "200" and route_signatures.is_keyed(route):
            headers["Idempotent-Replayed"] = {"$ref": "#/components/headers/Idempotent-Replayed"}
    has_key = path.startswith("/v1/") and operation["operationId"] not in SIGNED
    operation["security"] = [{"key": []}] if has_key else []


def _own(schemas: dict[str, Any]) -> dict[str, Any]:
    """FastAPI's schemas without those of its own answer to bad input, which we never give."""
    return {n: s for n, s in schemas.items() if n not in ("HTTPValidationError", "ValidationError")}


def _of_http(schemas: dict[str, Any]) -> dict[str, Any]:
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
    currency_id["enum"] = _currency_ids()
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


def _of_currencies(paths: Mapping[str, Any]) -> None:
    """Which currencies a list may be narrowed down to: the same that a price may have."""
    for operations in paths.values():
        for parameter in operations.get("get", {}).get("parameters", ()):
            if parameter["name"] == "currency_id":
                one, _null = parameter["schema"]["anyOf"]
                one.pop("pattern")
                one["enum"] = _currency_ids()


def _currency_ids() -> list[str]:
    return [id_of(code) for code in codes()]


def _webhook(name: str) -> dict[str, Any]:
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


_ERRORS: Mapping[int, type[BillingError]] = {
    400: InvalidRequest,
    401: Unauthenticated,
    403: InsufficientScope,
    404: NotFound,
    408: problems.RequestTimeout,
    409: ReferenceInUse,
    410: EventsGone,
    413: problems.BodyTooLarge,
    415: problems.EncodingNotSupported,
    421: problems.HostNotAllowed,
    422: KeyReused,
    429: problems.TooManyRequests,
    500: problems.InternalError,
    503: problems.DatabaseUnavailable,
}
_PARAMS = {400: "amount", 404: "id", 410: "after", 422: "idempotency_key"}
_CHARGES = {
    "ChargeByAmount": "Take `amount` minor units of `currency`, once.",
    "ChargeByPrice": "Take what `quantity` units of a price cost, once.",
}
_REPLAYS = {
    "ReplayOfEvents": "Exactly these events, whatever became of them.",
    "ReplayOfATime": "The events of a time.",
}
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
_HEADERS = {
    "X-Request-Id": {
        "description": "The request's id: your own if you sent one.",
        "schema": {"type": "string", "pattern": "^(?=.*[A-Za-z])[A-Za-z0-9._-]{1,64}$"},
    },
    "Location": {"description": "Where the object is read.", "schema": _TEXT},
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
        "schema": _TEXT,
    },
}
