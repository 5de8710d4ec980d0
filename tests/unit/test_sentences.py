"""Whatever is wrong with a field is said in our words, and none of a validator's."""

import re
from collections.abc import Iterator
from typing import Any

import pytest
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ValidationError

from api.description.schemas import REQUESTS
from api.edge.exception_handlers import problem_of
from api.routes import endpoint_routes, event_routes
from api.routes.catalog_routes import CurrencyPlace, PriceFilters, ProductFilters
from api.routes.filters import ChargeFilters, RefundFilters
from infra.billing.contract.requests.charge_request import ChargeRequest
from infra.billing.contract.requests.inventory_request import InventoryRequest, QuoteRequest
from infra.billing.contract.requests.price_request import PriceRequest
from infra.billing.contract.requests.product_request import ProductChanges, ProductRequest
from infra.billing.contract.requests.refund_request import RefundRequest
from infra.billing.contract.requests.request_parser import sentence
from payments.parsing import parse
from payments.payment_errors import BillingError
from tests.support.every import every

FOREIGN = re.compile(
    r"should|[Ii]nput|validation|pattern|unable|literal|dictionary|Value error|\^|valid [sib]"
)
CARD = "4242424242424242"
PRICE = {"product_id": "prod_" + "a" * 32, "currency_id": "cur_usd", "idempotency_key": "k"}
LAST = {"up_to": "inf", "unit_amount": 1}
NO_CURRENCY = (
    "there is no currency with this currency_id; GET /currencies, or `billing currency list`,"
    " lists them"
)
QUERIES = (
    ChargeFilters,
    RefundFilters,
    PriceFilters,
    ProductFilters,
    CurrencyPlace,
    event_routes.Place,
    endpoint_routes.Place,
)


def told(model: type[BaseModel], fields: dict[str, Any]) -> str:
    with pytest.raises(BillingError) as refused:
        parse(model, fields)
    return str(refused.value)


def answered(model: type[BaseModel], query: dict[str, str]) -> str | None:
    """What HTTP answers to a query; None if it takes it."""
    try:
        model.model_validate(query)
    except ValidationError as wrong:
        errors = [{**one, "loc": ("query", *one["loc"])} for one in wrong.errors()]
        return str(problem_of(RequestValidationError(errors)))
    return None


@every(
    "model, fields, says",
    [
        (QuoteRequest, {"quantity": -1}, "quantity must be 0 or more"),
        (QuoteRequest, {"quantity": 10**15}, "quantity must be at most 999999999999999"),
        (QuoteRequest, {"quantity": "2"}, "quantity must be an integer"),
        (
            ChargeRequest,
            {"idempotency_key": "k", "price_id": "p", "quantity": 0},
            "quantity must be 1 or more",
        ),
        (ProductRequest, {"idempotency_key": "k", "name": ""}, "name must not be empty"),
        (
            ProductRequest,
            {"idempotency_key": "k", "name": "n" * 256},
            "name must have at most 255 characters",
        ),
        (
            PriceRequest,
            {**PRICE, "unit_amount": 1, "lookup_key": "k" * 201},
            "lookup_key must have at most 200 characters",
        ),
        (
            PriceRequest,
            {**PRICE, "unit_amount": 1, "recurring": {"interval": "fortnight"}},
            "recurring.interval must be 'hour', 'day', 'week', 'month' or 'year'",
        ),
        (PriceRequest, {**PRICE, "tiers": []}, "tiers must not be empty"),
        (PriceRequest, {**PRICE, "tiers": [LAST] * 101}, "tiers must have at most 100 items"),
        (
            PriceRequest,
            {**PRICE, "tiers": [{**LAST, "unit_amount": -1}]},
            "tiers[0].unit_amount must be 0 or more",
        ),
        (
            RefundRequest,
            {"idempotency_key": "k", "charge_id": "ch_" + "a" * 32, "if_pending": "cancel"},
            "if_pending must be 'wait' or 'reject'",
        ),
    ],
)
def test_a_refusal_says_what_the_field_must_be(
    model: type[BaseModel], fields: dict[str, Any], says: str
) -> None:
    assert told(model, fields) == says


@every(
    "metadata, says",
    [
        ("team=7", "metadata must be an object of text values"),
        ({"team": 7}, "metadata must be an object of text values"),
        ({str(n): "v" for n in range(51)}, "metadata must have at most 50 names"),
        ({"k" * 41: "v"}, "the names in metadata must have at most 40 characters"),
        ({"": "v"}, "the names in metadata must not be empty"),
        ({"a\n": "v"}, "the names in metadata must not contain control characters"),
        ({"k": "v" * 501}, "the values in metadata must have at most 500 characters"),
        ({"k": "v\n"}, "the values in metadata must not contain control characters"),
        ({"[key]": "v" * 501}, "the values in metadata must have at most 500 characters"),
    ],
)
def test_of_metadata_names_and_values_are_told_apart(metadata: object, says: str) -> None:
    assert told(ProductRequest, {"idempotency_key": "k", "name": "n", "metadata": metadata}) == says
    assert told(ProductChanges, {"metadata": metadata}) == says


@every(
    "model, query, says",
    [
        *(
            (PriceFilters, {"pageSize": size}, "pageSize must be a whole number from 1 to 100")
            for size in ("0", "101", "ten", "1.5", "", "9" * 5000)
        ),
        (ProductFilters, {"page": "0"}, "page must be a whole number from 1 to 10000000"),
        (CurrencyPlace, {"pageSize": "301"}, "pageSize must be a whole number from 1 to 300"),
        (ChargeFilters, {"limit": "x"}, "limit must be a whole number from 1 to 100"),
        (endpoint_routes.Place, {"limit": "0"}, "limit must be a whole number from 1 to 100"),
        (ChargeFilters, {"state": "done"}, "state must be 'pending', 'succeeded' or 'failed'"),
        (ProductFilters, {"active": "maybe"}, "active must be true or false"),
        (ProductFilters, {"order": "up"}, "order must be 'desc' or 'asc'"),
        *(
            (
                RefundFilters,
                {"created_after": moment},
                "created_after must be a moment with its zone, like 2026-11-22T10:00:00Z",
            )
            for moment in ("yesterday", "2026-11-22T10:00:00", "2026-11-22T10", "2026-13-22T10:00Z")
        ),
        (PriceFilters, {"product_id": ""}, "product_id must not be empty"),
        (
            PriceFilters,
            {"currency_id": "USD"},
            "currency_id must be cur_ and an ISO 4217 code in lower case, like cur_usd",
        ),
        (PriceFilters, {"currency_id": "cur_xyz"}, NO_CURRENCY),
    ],
)
def test_of_a_query_the_same_words_are_said(
    model: type[BaseModel], query: dict[str, str], says: str
) -> None:
    assert answered(model, query) == says


WRONG = [
    None, 0, -1, 1.5, True, "", "x", CARD, "a\x00", "a\ud800", "x" * 2000, 10**40, [], [CARD], {},
    {"k" * 50: "v"}, {"k": CARD * 60}, [{"up_to": 0}], [{"up_to": CARD}], [{"unit_amount": CARD}],
    {"interval": CARD}, {"interval": "day", "usage_type": CARD}, {"divide_by": 0}, {CARD: CARD},
]  # fmt: skip


# What the fields of each must have beside the one that is wrong.
BESIDE: dict[type[BaseModel], dict[str, Any]] = {
    ChargeRequest: {"idempotency_key": "k", "amount": 1, "currency": "USD"},
    RefundRequest: {"idempotency_key": "k", "charge_id": "ch_" + "a" * 32},
    ProductRequest: {"idempotency_key": "k", "name": "n"},
    PriceRequest: {**PRICE, "unit_amount": 1},
    InventoryRequest: {"idempotency_key": "k", "quantity": 1, "action": "increment"},
}


def refusals_of_everything() -> Iterator[tuple[str, str | None]]:
    for model in REQUESTS:
        for name in model.model_fields:
            for value in WRONG:
                try:
                    parse(model, {**BESIDE.get(model, {}), name: value})
                except BillingError as refused:
                    yield f"{model.__name__}.{name} = {value!r:.40}", str(refused)
    for query in QUERIES:
        for name, field in query.model_fields.items():
            for value in WRONG:
                if isinstance(value, str):
                    said = answered(query, {field.alias or name: value})
                    yield f"{query.__name__}.{name} = {value!r:.40}", said


def test_no_refusal_has_a_word_of_the_validator_or_what_was_sent() -> None:
    said = [(case, text) for case, text in refusals_of_everything() if text is not None]
    assert len(said) > 500
    assert not [one for one in said if FOREIGN.search(one[1]) or CARD in one[1]]


def test_what_nobody_has_thought_of_is_said_without_its_words() -> None:
    assert sentence("amount", "decimal_type", "Decimal input should be …", {}) == (
        "amount is not valid"
    )
    assert sentence("amount", "ours", "must be even", {}) == "amount: must be even"
