"""What /openapi.json shows can be sent as it stands, and is what is answered."""

import json
from collections.abc import Iterator
from typing import Any

import jsonschema_rs
from pydantic import BaseModel

from api.description.schemas import REQUESTS
from api.documents.files import CHECKOUT
from infra.billing.contract.objects.charge_objects import A_CHARGE
from infra.billing.contract.requests.cancel_request import CancelRequest
from infra.billing.contract.requests.capture_request import CaptureRequest
from infra.billing.contract.requests.price_request import PriceChanges
from infra.billing.contract.requests.product_request import ProductChanges
from infra.billing.contract.requests.request_fields import Keyed
from payments.catalog.changes import changes
from payments.parsing import parse
from tests.support.asked_fields import NEW_YEAR
from tests.support.every import every

DOCUMENT = json.loads((CHECKOUT / "docs/reference/openapi.json").read_text())
MODELS: dict[str, type[BaseModel]] = {model.__name__: model for model in REQUESTS}


def _operations() -> Iterator[tuple[str, dict[str, Any]]]:
    for group in (DOCUMENT["paths"], DOCUMENT["webhooks"]):
        for path, operations in group.items():
            for method, operation in operations.items():
                yield f"{method} {path}", operation


def _asked() -> dict[str, tuple[dict[str, Any], Any]]:
    """The bodies that are shown of requests, with their schemas."""
    return {
        f"{where}: {name}": (body["schema"], shown["value"])
        for where, operation in _operations()
        if " /" in where
        for body in operation.get("requestBody", {}).get("content", {}).values()
        for name, shown in body["examples"].items()
    }


def _told() -> dict[str, tuple[dict[str, Any], Any]]:
    """Those of answers and webhooks."""
    answers = {
        f"{where}: {status}": (body["schema"], body["example"])
        for where, operation in _operations()
        for status, answer in operation["responses"].items()
        for body in answer.get("content", {}).values()
    }
    webhooks = {
        where: (body["schema"], body["example"])
        for where, operation in _operations()
        if " /" not in where
        for body in operation["requestBody"]["content"].values()
    }
    return answers | webhooks


ASKED, TOLD = _asked(), _told()


def _validate(schema: dict[str, Any], value: Any) -> None:
    whole = {"components": DOCUMENT["components"], "allOf": [schema]}
    jsonschema_rs.Draft202012Validator(whole, validate_formats=True).validate(value)


@every("case", ASKED)
def test_a_request_that_is_shown_is_taken(case: str) -> None:
    schema, value = ASKED[case]
    _validate(schema, value)
    if "scheduled_at" in value:  # how far off it is from today is all that a day changes
        value = {**value, "scheduled_at": NEW_YEAR}
    model = MODELS.get(schema["$ref"].rsplit("/", 1)[1])
    if model in (ProductChanges, PriceChanges):
        assert changes(model, value).given()
    elif model is not None:
        key = {"idempotency_key": "k", "producer": "shop"} if issubclass(model, Keyed) else {}
        path = {"charge_id": A_CHARGE} if model in (CancelRequest, CaptureRequest) else {}
        parse(model, {**value, **key, **path})


@every("case", TOLD)
def test_an_answer_that_is_shown_is_what_its_schema_says(case: str) -> None:
    schema, value = TOLD[case]
    _validate(schema, value)
    if "list" in value:
        assert value["count"] == len(value["list"])


def test_every_way_to_ask_is_shown() -> None:
    shown = {
        where: {*body["examples"]}
        for where, operation in _operations()
        if " /" in where
        for body in operation.get("requestBody", {}).get("content", {}).values()
    }
    at = "/v1/billing"
    assert shown[f"post {at}/charges"] == {"amount", "price", "scheduled"}
    assert shown[f"post {at}/refunds"] == {"plain", "restock", "restock_part"}
    assert shown[f"post {at}/prices"] == {"per_unit", "tiered", "recurring"}
    assert all(shown.values())


def test_what_is_shown_is_what_became_of_it() -> None:
    def told(case: str) -> Any:
        return TOLD[f"{case}: 200"][1]

    at = "/v1/billing"
    assert told(f"delete {at}/products/{{id}}")["id"].startswith("prod_")
    assert told(f"delete {at}/prices/{{id}}")["id"].startswith("price_")
    quote = told(f"post {at}/prices/{{id}}/quote")
    assert quote["quantity"] == ASKED[f"post {at}/prices/{{id}}/quote: quote"][1]["quantity"]
    assert quote["amount"] == sum(line["amount"] for line in quote["lines"]) > 0
    for noun in ("prices", "products"):
        assert told(f"put {at}/{noun}/{{id}}/archive")["active"] is False
    canceled = told(f"post {at}/charges/{{id}}/cancel")
    assert (canceled["state"], canceled["failure_code"]) == ("failed", "canceled")
    for noun in ("charges", "refunds"):
        (one,) = told(f"get {at}/{noun}")["data"]
        assert (one["state"], one["failure_code"]) == ("succeeded", None)
