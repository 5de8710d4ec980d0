"""Of products, prices and stock the SDK says what the service says, and lets no float pass."""

import re
from decimal import Decimal
from inspect import signature
from pathlib import Path
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from infra.billing import catalogue
from infra.billing.catalogue import UNSET
from infra.billing.contract.requests.charge import ChargeRequest
from infra.billing.contract.requests.inventory import InventoryRequest, QuoteRequest
from infra.billing.contract.requests.price import PriceChanges, PriceRequest
from infra.billing.contract.requests.product import ProductChanges, ProductRequest
from infra.billing.contract.requests.refund import RefundRequest
from payments.catalog.changes import changes as changes_of
from payments.parsing import parse
from tests.support.every import every
from tests.support.refusals import present, sdk_says, service_says, short
from tests.support.scripted import Says, scripted_service
from tests.support.seeds import run

PRODUCT = {"name": "My SaaS Product", "idempotency_key": "product-1"}
PRODUCTS: list[dict[str, Any]] = [
    {},
    {"description": "Everything, for a team.", "active": False, "metadata": {"team": "7"}},
    {"name": None},
    {"name": ""},
    {"name": "n" * 256},
    {"name": 5},
    {"description": ""},
    {"description": "d" * 1001},
    {"description": 5},
    {"active": 1},
    {"active": "true"},
    {"metadata": {"team": 7}},
    {"idempotency_key": ""},
    {"idempotency_key": 7, "name": None},
]

PRICE = {
    "product_id": "prod_" + "a" * 32,
    "currency_id": "cur_usd",
    "unit_amount": "2000",
    "idempotency_key": "price-1",
}
MONTHLY = {"interval": "month"}
TIERS = [{"up_to": 5, "unit_amount": "700"}, {"up_to": "inf", "unit_amount": 600}]
TIERED = {"unit_amount": None, "tiers": TIERS, "tiers_mode": "graduated"}
LAST = {"up_to": "inf", "unit_amount": 1}


def tiered(**tier: Any) -> dict[str, Any]:
    return {**TIERED, "tiers": [tier, LAST]}


PRICES: list[dict[str, Any]] = [
    {},
    {"unit_amount": 2000},
    {"unit_amount": "0002000"},
    {"unit_amount": None},
    {"unit_amount": 20.0},
    {"unit_amount": 19.99},
    {"unit_amount": "19.99"},
    {"unit_amount": "2000.00"},
    {"unit_amount": "19.999"},
    {"unit_amount": 20.0, "currency_id": "cur_jpy"},
    {"unit_amount": Decimal(20)},
    {"unit_amount": float("nan")},
    {"unit_amount": "19.99"},
    {"unit_amount": "2e3"},
    {"unit_amount": ""},
    {"unit_amount": "٣"},
    {"unit_amount": "-2000"},
    {"unit_amount": -2000},
    {"unit_amount": 0},
    {"unit_amount": "0"},
    {"unit_amount": True},
    {"unit_amount": 10**15 - 1},
    {"unit_amount": 10**15},
    {"unit_amount": "9" * 30},
    {"unit_amount": "9" * 31},
    {"unit_amount": [2000]},
    {"product_id": None},
    {"product_id": ""},
    {"product_id": 5},
    {"product_id": "prod_1"},
    {"product_id": "price_" + "a" * 32},
    {"currency_id": None},
    {"currency_id": ""},
    {"currency_id": 5},
    {"currency_id": "usd"},
    {"currency_id": "cur_USD"},
    {"currency_id": "cur_qqq"},
    {"currency_id": "cur_usd\n"},
    {"currency_id": "cur_\ud800"},
    {"type": "recurring", "recurring": {"interval": "month", "interval_count": 1}},
    {"type": "one_time"},
    {"type": "recurring"},
    {"type": "one_time", "recurring": MONTHLY},
    {"type": "weekly"},
    {"type": 5},
    {"recurring": MONTHLY},
    {"recurring": {**MONTHLY, "usage_type": "metered"}},
    {"recurring": "month"},
    {"recurring": [MONTHLY]},
    {"recurring": {}},
    {"recurring": {"interval": "fortnight"}},
    {"recurring": {"interval": None}},
    {"recurring": {"interval": "fortnight", "interval_count": 99}},
    {"recurring": {"intervall": "month"}},
    {"recurring": {**MONTHLY, "interval_count": 1.0}},
    {"recurring": {**MONTHLY, "interval_count": None}},
    {"recurring": {**MONTHLY, "interval_count": True}},
    {"recurring": {**MONTHLY, "interval_count": 0}},
    {"recurring": {**MONTHLY, "interval_count": 36}},
    {"recurring": {**MONTHLY, "interval_count": 37}},
    {"recurring": {**MONTHLY, "interval_count": 10**40}},
    {"recurring": {"interval": "hour", "interval_count": 3 * 365 * 24 + 1}},
    {"recurring": {**MONTHLY, "usage_type": "measured"}},
    {"recurring": {**MONTHLY, "usage_type": None}},
    {"recurring": {**MONTHLY, "trial_days": 7}},
    {"recurring": {**MONTHLY, "ada@example.org": 7}},
    TIERED,
    {**TIERED, "tiers_mode": "volume", "billing_scheme": "tiered"},
    {**TIERED, "unit_amount": 2000},
    {**TIERED, "tiers_mode": None},
    {**TIERED, "tiers_mode": "stairs"},
    {**TIERED, "billing_scheme": "per_unit"},
    {**TIERED, "billing_scheme": "flat"},
    {**TIERED, "tiers": None},
    {**TIERED, "tiers": []},
    {**TIERED, "tiers": "5:700"},
    {**TIERED, "tiers": {"up_to": 5}},
    {**TIERED, "tiers": ["5:700"]},
    {**TIERED, "tiers": [{"up_to": 5, "flat_amount": 0, "unit_amount": None}, LAST]},
    {**TIERED, "transform_quantity": {"divide_by": 10, "round": "up"}},
    tiered(up_to=5.0, unit_amount=700),
    tiered(up_to="5", unit_amount=700),
    tiered(up_to=float("inf"), unit_amount=700),
    tiered(up_to=True, unit_amount=700),
    tiered(up_to=0, unit_amount=700),
    tiered(up_to=10**15, unit_amount=700),
    tiered(up_to=5, unit_amount=7.5),
    tiered(up_to=5, unit_amount="7.50"),
    tiered(up_to=5, unit_amount=-1),
    tiered(up_to=5, unit_amount=0),
    tiered(up_to=5, unit_amount=True),
    tiered(up_to=5, flat_amount=10.0),
    tiered(up_to=5, flat_amount=10**15),
    tiered(up_to=5, unit_amont=7),
    {"billing_scheme": "per_unit"},
    {"billing_scheme": "tiered"},
    {"billing_scheme": "tiered", "unit_amount": None},
    {"tiers_mode": "volume"},
    {"transform_quantity": {"divide_by": 10, "round": "down"}},
    {"transform_quantity": 10},
    {"transform_quantity": {}},
    {"transform_quantity": {"divide_by": 10}},
    {"transform_quantity": {"divide_by": 10.0, "round": "up"}},
    {"transform_quantity": {"divide_by": 0, "round": "up"}},
    {"transform_quantity": {"divide_by": 10, "round": "half"}},
    {"transform_quantity": {"divide_by": 10, "round": "up", "by": 2}},
    {"nickname": ""},
    {"nickname": "n" * 1001},
    {"nickname": 5},
    {"active": "yes"},
    {"lookup_key": "standard_monthly"},
    {"lookup_key": "standard_monthly", "transfer_lookup_key": True},
    {"lookup_key": ""},
    {"lookup_key": "k" * 200},
    {"lookup_key": "k" * 201},
    {"lookup_key": "a/b"},
    {"lookup_key": ".."},
    {"lookup_key": "a\nb"},
    {"lookup_key": "price_" + "a" * 32},
    {"lookup_key": "price_standard"},
    {"lookup_key": 5},
    {"transfer_lookup_key": True},
    {"transfer_lookup_key": False},
    {"transfer_lookup_key": 1, "lookup_key": "k"},
    {"quantity_available": 0},
    {"quantity_available": 10},
    {"quantity_available": -1},
    {"quantity_available": 10.0},
    {"quantity_available": True},
    {"quantity_available": "10"},
    {"quantity_available": 10**15},
    {"metadata": {"k": 1}, "product_id": None},
    {"metadata": None, "product_id": "x", "currency_id": "y", "unit_amount": 1.5},
]

DOCUMENT = Path(__file__).parents[2] / "docs" / "reference" / "python.md"

# What the SDK leaves to the service: rules that look at tiers as a whole.
TO_THE_SERVICE: list[dict[str, Any]] = [
    {**TIERED, "tiers": [{"up_to": 5, "unit_amount": 1}]},
    {**TIERED, "tiers": [LAST, LAST]},
    {**TIERED, "tiers": [{"up_to": 5, "unit_amount": 1}, {"up_to": 5, "unit_amount": 1}, LAST]},
    {**TIERED, "tiers": [{"up_to": 5}, LAST]},
    {**TIERED, "tiers": [{"up_to": "inf", "unit_amount": 0}]},
    {**TIERED, "tiers": [*({"up_to": n, "unit_amount": 1} for n in range(1, 101)), LAST]},
]


def _absent(check: Any) -> dict[str, Any]:
    return dict.fromkeys(signature(check).parameters)


@every("changes", PRODUCTS, ids=short)
def test_both_say_the_same_of_a_product(changes):
    fields = {**_absent(catalogue.product_fields), **PRODUCT, **changes}
    said = service_says(ProductRequest, present(fields))
    assert sdk_says(catalogue.product_fields, fields) == said


@every("changes", PRICES, ids=short)
def test_both_say_the_same_of_a_price(changes):
    fields = {**_absent(catalogue.price_fields), **PRICE, **changes}
    said = service_says(PriceRequest, present(fields))
    assert sdk_says(catalogue.price_fields, fields) == said


@every("changes", TO_THE_SERVICE, ids=short)
def test_whether_tiers_fit_together_only_the_service_says(changes):
    fields = {**_absent(catalogue.price_fields), **PRICE, **changes}
    assert sdk_says(catalogue.price_fields, fields) is None
    said = service_says(PriceRequest, present(fields))
    assert said is not None
    assert said[0] == "tiers"


@every("changes", [*PRICES, *TO_THE_SERVICE], ids=short)
def test_what_is_sent_of_a_price_means_to_the_service_what_was_meant(changes):
    fields = {**_absent(catalogue.price_fields), **PRICE, **changes}
    if service_says(PriceRequest, present(fields)) is not None:
        return
    sent = catalogue.price_fields(**fields)
    meant = parse(PriceRequest, present(fields))
    assert parse(PriceRequest, sent).fingerprint == meant.fingerprint


CHANGES: list[dict[str, Any]] = [
    {},
    {"active": False},
    {"active": None},
    {"active": 0},
    {"metadata": {"plan": "gold", "trial": None}},
    {"metadata": None},
    {"metadata": []},
    {"metadata": {"plan": 5}},
    {"metadata": {"": None}},
    {"metadata": {"k" * 41: None}},
    {"metadata": {"k": "v" * 501}},
    {"metadata": {str(n): "v" for n in range(51)}},
]
PRODUCT_CHANGES: list[dict[str, Any]] = [
    *CHANGES,
    {"name": "Another"},
    {"name": None},
    {"name": ""},
    {"name": 5},
    {"description": None},
    {"description": "d" * 1001},
    {"name": None, "active": None},
]
PRICE_CHANGES: list[dict[str, Any]] = [
    *CHANGES,
    {"nickname": None},
    {"nickname": "Standard"},
    {"nickname": 5},
    {"lookup_key": None},
    {"lookup_key": "standard", "transfer_lookup_key": True},
    {"lookup_key": "a/b"},
    {"lookup_key": ""},
    {"transfer_lookup_key": True},
    {"lookup_key": None, "transfer_lookup_key": True},
    {"lookup_key": "standard", "transfer_lookup_key": "yes"},
    {"lookup_key": "", "active": None},
]


def _unset(check: Any) -> dict[str, Any]:
    return {name: UNSET for name in signature(check).parameters if name != "transfer_lookup_key"}


@every("changes", PRODUCT_CHANGES, ids=short)
def test_both_say_the_same_of_changes_of_a_product(changes):
    fields = {**_unset(catalogue.product_changes), **changes}
    said = service_says(ProductChanges, changes, changes_of)
    assert sdk_says(catalogue.product_changes, fields) == said
    if said is None:
        assert catalogue.product_changes(**fields) == changes


@every("changes", PRICE_CHANGES, ids=short)
def test_both_say_the_same_of_changes_of_a_price(changes):
    fields = {**_unset(catalogue.price_changes), "transfer_lookup_key": False, **changes}
    said = service_says(PriceChanges, changes, changes_of)
    assert sdk_says(catalogue.price_changes, fields) == said
    if said is None:
        assert catalogue.price_changes(**fields) == changes


COUNT = {"quantity": 1, "action": "decrement", "idempotency_key": "count-1"}
COUNTS: list[dict[str, Any]] = [
    {},
    {"action": "increment"},
    {"action": "decrease"},
    {"action": 5},
    {"action": None},
    {"quantity": None},
    {"quantity": None, "action": None},
    {"quantity": 0},
    {"quantity": -1},
    {"quantity": 1.0},
    {"quantity": True},
    {"quantity": "1"},
    {"quantity": 10**15},
    {"idempotency_key": ""},
]


@every("changes", COUNTS, ids=short)
def test_both_say_the_same_of_a_count_of_stock(changes):
    fields = {**COUNT, **changes}
    said = service_says(InventoryRequest, present(fields))
    assert sdk_says(catalogue.inventory_fields, fields) == said


@every("quantity", [None, 0, 20, -1, 2.0, True, "2", 10**15, 10**40])
def test_both_say_the_same_of_a_quote(quantity):
    fields = {"quantity": quantity}
    said = service_says(QuoteRequest, present(fields))
    assert sdk_says(catalogue.quote_fields, fields) == said


_FLOATS = st.one_of(st.floats(), st.decimals(), st.sampled_from(["19.99", "1e3", "7,5"]))
_VALUES = st.one_of(_FLOATS, st.integers(-1, 9), st.none(), st.booleans(), st.sampled_from("5a"))
_TIER = st.dictionaries(st.sampled_from(["up_to", "unit_amount", "flat_amount", "other"]), _VALUES)


def _leaves(value: Any) -> list[Any]:
    match value:
        case dict():
            return [leaf for one in value.values() for leaf in _leaves(one)]
        case list():
            return [leaf for one in value for leaf in _leaves(one)]
    return [value]


@given(
    unit_amount=_VALUES,
    tiers=st.none() | st.lists(_TIER, max_size=3),
    recurring=st.none() | st.dictionaries(st.sampled_from(["interval", "interval_count"]), _VALUES),
    quantity_available=_VALUES,
)
def test_no_float_and_no_decimal_leaves_the_process(**changes):
    mode = None if changes["tiers"] is None else "volume"
    fields = {**_absent(catalogue.price_fields), **PRICE, **changes, "tiers_mode": mode}
    refused = sdk_says(catalogue.price_fields, fields)
    if refused is None:
        sent = catalogue.price_fields(**fields)
        assert {type(leaf) for leaf in _leaves(sent)} <= {str, int}
    else:
        assert service_says(PriceRequest, present(fields)) is not None


def test_the_example_of_the_document_asks_only_for_what_the_service_takes(
    unconfigured, monkeypatch
):
    (example,) = re.findall(r"```python\n(.*?)```", DOCUMENT.read_text(), re.DOTALL)
    told = {
        "id": PRICE["product_id"],
        "charge_id": "ch_" + "a" * 32,
        "refund_id": "re_1",
        "amount": 4150,
        "lines": [],
        "quantity_available": 94,
    }
    with scripted_service() as running:
        running.will(Says(200, told))
        monkeypatch.setenv("BILLING_URL", running.url)
        monkeypatch.setenv("BILLING_API_KEY", "bk_1")
        run("from infra import billing\n" + example)
    prices = "/v1/billing/prices"
    asked = {(one.method, one.path): one for one in running.asked}
    for route, model in {
        ("POST", "/v1/billing/products"): ProductRequest,
        ("POST", prices): PriceRequest,
        ("POST", f"{prices}/shirt/quote"): QuoteRequest,
        ("POST", "/v1/billing/charges"): ChargeRequest,
        ("POST", "/v1/billing/refunds"): RefundRequest,
        ("PUT", f"{prices}/shirt/inventory"): InventoryRequest,
    }.items():
        one = asked.pop(route)
        key = one.headers.get("idempotency-key")
        assert service_says(model, one.body | ({"idempotency_key": key} if key else {})) is None
    assert list(asked) == [("GET", f"{prices}/shirt")]
