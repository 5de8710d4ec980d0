"""The description of the door is the truth: it is followed and broken at random, and nothing is
answered that it doesn't say."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, settings
from schemathesis.checks import load_all_checks, not_a_server_error
from schemathesis.generation.feedback import FeedbackSources
from schemathesis.pytest._test_builder import build_operation_test
from schemathesis.specs.openapi.checks import positive_data_acceptance

from api.asgi_app import ROUTES
from api.description.event_bodies import DATA
from api.description.openapi import document
from tests.support.waiting import patience_s
from tests.support.web import Caller, Web, ask

DOCUMENT = document(ROUTES)
schema = schemathesis.openapi.from_dict(document(ROUTES))


# What rules say of one field by another, and no schema of one field can.
BETWEEN_FIELDS = {
    ("POST", "/v1/billing/prices"),
    ("PUT", "/v1/billing/prices/{id}"),
    ("GET", "/v1/billing/exports/{what}"),
    ("GET", "/v1/billing/reports/{period}"),
}


@schema.hook
def map_body(_: Any, body: Any) -> Any:
    """To JSON Schema 5.0 is a whole number; we refuse it, and no schema can say so."""
    return whole(body)


def whole(value: Any) -> Any:
    match value:
        case dict():
            return {name: whole(one) for name, one in value.items()}
        case list():
            return [whole(one) for one in value]
        case float() if value.is_integer():
            return int(value)
    return value


@schema.hook
def map_query(_: Any, query: Any) -> Any:
    """Without what nobody could guess from a schema: a cursor is what the page before said."""
    return query and {name: value for name, value in query.items() if name != "cursor"}


OPERATIONS = [(path, method) for path, them in DOCUMENT["paths"].items() for method in them]


# Not by `schema.parametrize()`: all of its tests have one id, of which xdist runs the first alone,
# and every process that collects them spends seconds on requests that it may never send.
@pytest.mark.parametrize(("path", "method"), OPERATIONS)
def test_the_door_does_what_its_description_says(path: str, method: str, door: Web) -> None:
    load_all_checks()
    build_operation_test(
        config=schema.config,
        operation=schema[path][method],
        test_func=follow,
        given_kwargs={},
        feedback=FeedbackSources(),
    )(door=door)


@settings(
    max_examples=20,
    deadline=None,
    derandomize=True,  # a test that fails, fails each time
    suppress_health_check=list(HealthCheck),
)
def follow(case: schemathesis.Case, door: Web) -> None:
    # Nobody consumes here, and not to be ready is what /readyz is there to say.
    excluded: list[Any] = [not_a_server_error] if case.path == "/readyz" else []
    if case.headers:  # no worker runs, so nobody could wait for it
        case.headers.pop("Prefer", None)
        has_another = isinstance(case.body, dict) and "idempotency_key" in case.body
        if has_another and case.meta and case.meta.generation.mode.is_positive:
            # Two keys are refused, and no schema can say so.
            case.headers.pop("Idempotency-Key", None)
    if isinstance(case.body, dict) and case.body.get("return_url") is not None:
        # Who is there now doesn't wait for a day: refused, and said in words only.
        case.body.pop("scheduled_at", None)
    if (case.method, case.path) in BETWEEN_FIELDS:
        excluded.append(positive_data_acceptance)
    with door.caller(all_producers=True) as caller:
        if case.meta and case.meta.generation.mode.is_positive:
            name_what_is_there(case.body, caller)
            if "price_id" in (case.query or ()):
                case.query["price_id"] = caller.price()["id"]
        case.call_and_validate(
            base_url=door.url,
            headers={"Authorization": f"Bearer {caller.key}"},
            excluded_checks=excluded,
            timeout=patience_s(),
        )


def name_what_is_there(body: Any, caller: Caller) -> None:
    """No schema can say which products and prices there are, what is more than can be paid, how far
    ahead a moment is, and when a refund must say how many units come back."""
    if not isinstance(body, dict):
        return
    if isinstance(body.get("product_id"), str):
        body["product_id"] = caller.product()
    if isinstance(body.get("price_id"), str):
        body["price_id"] = caller.price()["id"]
        body["quantity"] = 1 + body["quantity"] % 1000
    if isinstance(body.get("scheduled_at"), str):
        body["scheduled_at"] = (datetime.now(UTC) + timedelta(days=1)).isoformat()
    if "charge_id" in body:
        body["restock_quantity"] = 1 if body.get("restock") and body.get("amount") else None


def test_it_is_answered_without_a_key(door: Web) -> None:
    answer = ask(f"{door.url}/openapi.json")
    assert (answer.status_code, answer.json()) == (200, json.loads(json.dumps(DOCUMENT)))
    assert answer.json()["openapi"].startswith("3.1")


def test_it_tells_of_every_webhook(caller: Caller) -> None:
    assert [*DOCUMENT["webhooks"]] == [*DATA]


def test_every_operation_says_what_it_may_answer_and_shows_it() -> None:
    for path, operations in DOCUMENT["paths"].items():
        for method, operation in operations.items():
            where = f"{method} {path}"
            assert operation["description"], where
            for status, told in operation["responses"].items():
                assert "X-Request-Id" in told["headers"], where
                if status != "204":
                    (body,) = told["content"].values()
                    assert body["example"], where
            if path.startswith("/v1/"):
                assert {"400", "429", "500", "503"} <= {*operation["responses"]}, where
            # Who needs no key is not refused for having none.
            of_keys = {"401", "403"} & {*operation["responses"]}
            assert of_keys == ({"401", "403"} if operation["security"] else set()), where


@pytest.mark.parametrize("name", [*DOCUMENT["components"]["schemas"]])
def test_no_schema_is_empty(name: str) -> None:
    schema = DOCUMENT["components"]["schemas"][name]
    (says,) = {"properties", "oneOf", "anyOf", "allOf", "enum"} & {*schema}
    assert schema[says]
