"""What may be asked of products, prices and stock, and what the refusal says to send instead."""

from contextlib import suppress
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra.billing.contract.limits import INTERVALS_MAX, QUANTITY_MAX
from infra.billing.contract.money import AMOUNT_MAX
from infra.billing.contract.requests.inventory_request import InventoryRequest, QuoteRequest
from infra.billing.contract.requests.price_request import PriceChanges, PriceRequest
from infra.billing.contract.requests.product_request import ProductChanges, ProductRequest
from payments.catalog.changes import LOCKED, changes, merged
from payments.parsing import parse
from payments.payment_errors import InvalidRequest, PriceLocked
from tests.support.every import every

PRODUCT_ID = "prod_" + "a" * 32
PRODUCT = {"name": "Tea", "idempotency_key": "k"}
BARE = {"product_id": PRODUCT_ID, "currency_id": "cur_usd", "idempotency_key": "k"}
PRICE = {**BARE, "unit_amount": "700"}
TIERS = [{"up_to": 5, "unit_amount": "700"}, {"up_to": "inf", "unit_amount": "600"}]
TIERED = {**BARE, "tiers": TIERS, "tiers_mode": "graduated"}
COUNT = {"quantity": 1, "action": "increment", "idempotency_key": "k"}
CARD = "4242424242424242"


def refused(model: Any, fields: dict[str, Any]) -> InvalidRequest:
    with pytest.raises(InvalidRequest) as refusal:
        parse(model, fields)
    return refusal.value


def without(fields: dict[str, Any], name: str) -> dict[str, Any]:
    return {n: value for n, value in fields.items() if n != name}


# --- what is taken, and what it means ---


def test_a_price_is_one_time_and_per_unit_unless_it_says_otherwise() -> None:
    request = parse(PriceRequest, PRICE)
    assert (request.type, request.billing_scheme, request.unit_amount) == (
        "one_time", "per_unit", 700,
    )  # fmt: skip
    assert (request.currency, request.active, request.quantity_available) == ("USD", True, None)


def test_what_a_price_recurs_by_and_its_tiers_say_what_it_is() -> None:
    assert parse(PriceRequest, {**PRICE, "recurring": {"interval": "month"}}).type == "recurring"
    request = parse(PriceRequest, TIERED)
    assert (request.billing_scheme, request.unit_amount) == ("tiered", None)
    assert request.tiers is not None
    assert [tier.stored() for tier in request.tiers] == [
        {"up_to": 5, "unit_amount": 700, "flat_amount": 0},
        {"up_to": None, "unit_amount": 600, "flat_amount": 0},
    ]


def test_the_same_price_in_other_words_is_the_same() -> None:
    one = parse(PriceRequest, PRICE)
    for words in (
        {"unit_amount": 700},
        {"unit_amount": "0700"},
        {"type": "one_time", "billing_scheme": "per_unit"},
        {"active": True, "metadata": {}, "nickname": None, "tiers": None},
    ):
        assert parse(PriceRequest, {**PRICE, **words}).fingerprint == one.fingerprint


@every(
    "change",
    [{"unit_amount": 701}, {"currency_id": "cur_eur"}, {"recurring": {"interval": "day"}},
     {"nickname": "n"}, {"active": False}, {"lookup_key": "l"}, {"metadata": {"a": "b"}},
     {"lookup_key": "l", "transfer_lookup_key": True}, {"quantity_available": 0},
     {"quantity_available": 1}, {"product_id": "prod_" + "b" * 32},
     {"transform_quantity": {"divide_by": 5, "round": "up"}}],
)  # fmt: skip
def test_every_field_of_a_price_is_part_of_what_was_asked(change: dict[str, Any]) -> None:
    one, other = parse(PriceRequest, PRICE), parse(PriceRequest, {**PRICE, **change})
    assert one.id == other.id
    assert one.fingerprint != other.fingerprint


def test_ids_come_from_keys_and_never_meet() -> None:
    made = [parse(ProductRequest, PRODUCT), parse(PriceRequest, PRICE)]
    made += [parse(InventoryRequest, COUNT)]
    assert [one.id.split("_")[0] for one in made] == ["prod", "price", "inv"]
    assert len({one.id.split("_")[1] for one in made}) == 3
    other = parse(PriceRequest, {**PRICE, "producer": "other"})
    assert (other.id != made[1].id, other.fingerprint) == (True, made[1].fingerprint)


@every("amount", [1, "1", "0001", AMOUNT_MAX, str(AMOUNT_MAX)])
def test_an_amount_is_digits_or_a_whole_number(amount: object) -> None:
    assert parse(PriceRequest, {**PRICE, "unit_amount": amount}).unit_amount == int(str(amount))


@every("quantity", [0, 1, 10**9 + 1, QUANTITY_MAX])
def test_stock_may_begin_with_any_number(quantity: int) -> None:
    request = parse(PriceRequest, {**PRICE, "quantity_available": quantity})
    assert request.quantity_available == quantity
    assert parse(QuoteRequest, {"quantity": quantity}).quantity == quantity


@every("interval", INTERVALS_MAX)
def test_a_price_recurs_every_three_years_at_least(interval: str) -> None:
    most = INTERVALS_MAX[interval]
    recurring = {"interval": interval, "interval_count": most}
    assert parse(PriceRequest, {**PRICE, "recurring": recurring}).type == "recurring"
    refusal = refused(
        PriceRequest, {**PRICE, "recurring": {**recurring, "interval_count": most + 1}}
    )
    assert refusal.param == "recurring"
    assert f"recurring.interval_count must be at most {most} for a {interval}" in str(refusal)


# --- what is refused ---


@every("field", ["product_id", "currency_id", "unit_amount", "idempotency_key"])
def test_what_a_price_lacks_is_named(field: str) -> None:
    refusal = refused(PriceRequest, without(PRICE, field))
    assert refusal.param == field
    assert str(refusal).startswith(f"{field} is required")


@every(
    "field, value, says",
    [
        ("unit_amount", True, "whole number of minor units"),
        ("unit_amount", 7.0, "whole number of minor units"),
        ("unit_amount", "7.00", "send unit_amount=7 if you mean USD 0.07, or unit_amount=700 if"),
        ("unit_amount", "", '"2000" is 20.00 USD'),
        ("unit_amount", "-5", '"2000" is 20.00 USD'),
        ("unit_amount", " 7", '"2000" is 20.00 USD'),
        ("unit_amount", "７", '"2000" is 20.00 USD'),
        ("unit_amount", "9" * 31, '"2000" is 20.00 USD'),
        ("unit_amount", [700], '"2000" is 20.00 USD'),
        ("unit_amount", 0, "must be 1 or more"),
        ("unit_amount", "0", "must be 1 or more"),
        ("unit_amount", -1, "must be 1 or more"),
        ("unit_amount", AMOUNT_MAX + 1, f"must be at most {AMOUNT_MAX}"),
        ("unit_amount", None, "is required, unless there are tiers"),
        ("product_id", "prod_1", "must be the id of a product (prod_…)"),
        ("product_id", "price_" + "a" * 32, "must be the id of a product (prod_…)"),
        ("product_id", None, "product_id is required"),
        ("currency_id", "usd", "like cur_usd"),
        ("currency_id", "USD", "like cur_usd"),
        ("currency_id", "cur_USD", "like cur_usd"),
        ("currency_id", "cur_zzz", "there is no currency with this currency_id; GET "),
        ("currency_id", "cur_xau", "or `billing currency list`, lists them"),
        ("currency_id", "cur_cur_usd", "like cur_usd"),
        ("currency_id", "cur_", "like cur_usd"),
        ("currency_id", 840, "must be text"),
        ("type", "monthly", "'one_time' or 'recurring'"),
        ("type", "", "'one_time' or 'recurring'"),
        ("type", 0, "'one_time' or 'recurring'"),
        ("type", "recurring", 'recurring is required for this type: {"interval": "month"}'),
        ("billing_scheme", "", "'per_unit' or 'tiered'"),
        ("billing_scheme", False, "'per_unit' or 'tiered'"),
        ("billing_scheme", "package", "'per_unit' or 'tiered'"),
        ("billing_scheme", "tiered", "tiers are required"),
        ("tiers_mode", "volume", "tiers_mode goes with tiers"),
        ("recurring", {}, "recurring.interval is required"),
        ("recurring", "month", "recurring must be an object"),
        ("recurring", {"interval": "fortnight"}, "recurring.interval must be 'hour', "),
        ("recurring", {"interval": "day", "interval_count": 0}, "interval_count must be 1 or more"),
        ("recurring", {"interval": "day", "interval_count": True}, "must be an integer"),
        ("recurring", {"interval": "day", "usage_type": "paid"}, "'licensed' or 'metered'"),
        ("recurring", {"interval": "day", "every": 2}, "recurring.every is not a field"),
        ("transform_quantity", 5, "transform_quantity must be an object"),
        ("transform_quantity", {"round": "up"}, "transform_quantity.divide_by is required"),
        ("transform_quantity", {"divide_by": 5}, "transform_quantity.round is required"),
        ("transform_quantity", {"divide_by": 0, "round": "up"}, "must be 1 or more"),
        ("transform_quantity", {"divide_by": 2.5, "round": "up"}, "must be an integer"),
        ("transform_quantity", {"divide_by": 5, "round": "half"}, "'up' or 'down'"),
        ("lookup_key", "", "must not be empty"),
        ("lookup_key", "x" * 201, "at most 200 characters"),
        ("lookup_key", "a\nb", "control characters"),
        ("lookup_key", "a\ud800b", "must be text"),
        ("lookup_key", "a/b", "must hold no slash"),
        ("lookup_key", "..", "more than dots"),
        ("lookup_key", "price_" + "a" * 32, "must not be written as the id of a price"),
        ("lookup_key", 5, "must be text"),
        ("transfer_lookup_key", True, "needs the lookup_key that is to move"),
        ("transfer_lookup_key", "yes", "must be true or false"),
        ("quantity_available", -1, "must be 0 or more"),
        ("quantity_available", True, "must be an integer"),
        ("quantity_available", 5.0, "must be an integer"),
        ("quantity_available", "5", "must be an integer"),
        ("quantity_available", QUANTITY_MAX + 1, f"must be at most {QUANTITY_MAX}"),
        ("active", 1, "must be true or false"),
        ("nickname", "x" * 1001, "at most 1000 characters"),
        ("nickname", "a\x00", "control characters"),
        ("metadata", {"a": 1}, "must be an object of text values"),
        ("metadata", {"a": None}, "must be an object of text values"),
        ("metadata", {str(n): "x" for n in range(51)}, "metadata must have at most 50 names"),
        ("producer", "a b", "letters, digits, dots, dashes or underscores"),
    ],
)  # fmt: skip
def test_what_does_not_fit_a_price_is_refused_with_the_fix(
    field: str, value: object, says: str
) -> None:
    refusal = refused(PriceRequest, {**PRICE, field: value})
    assert refusal.param == field
    assert says in str(refusal)


def test_what_recurs_is_not_asked_for_once() -> None:
    fields = {**PRICE, "type": "one_time", "recurring": {"interval": "month"}}
    refusal = refused(PriceRequest, fields)
    assert (refusal.param, str(refusal)) == (
        "type", "type one_time recurs never; leave recurring out, or send type recurring",
    )  # fmt: skip


LAST = {"up_to": "inf", "unit_amount": 600}


@every(
    "tiers, says",
    [
        ([], "tiers must not be empty"),
        ("x", "tiers must be a list"),
        (["x"], "tiers[0] must be an object"),
        ([LAST] * 101, "at most 100 items"),
        ([{"up_to": 5, "unit_amount": 1}], "the last of the tiers must be open: up_to must be"),
        ([LAST, LAST], "only the last of the tiers may be open"),
        ([{"unit_amount": 1}, LAST], "only the last of the tiers may be open"),
        ([{"up_to": 5, "unit_amount": 1}] * 2 + [LAST], "tiers must rise"),
        ([{"up_to": 5, "unit_amount": 1}, {"up_to": 4, "unit_amount": 1}, LAST], "tiers must rise"),
        ([{"up_to": 0, "unit_amount": 1}, LAST], "tiers[0].up_to must be 1 or more"),
        ([{"up_to": QUANTITY_MAX + 1, "unit_amount": 1}, LAST], "tiers[0].up_to must be at most "),
        ([{"up_to": True, "unit_amount": 1}, LAST], '"inf" for the last'),
        ([{"up_to": 5.5, "unit_amount": 1}, LAST], '"inf" for the last'),
        ([{"up_to": "5", "unit_amount": 1}, LAST], "tiers[0].up_to: must be a whole number"),
        ([{"up_to": 5}, LAST], "each of the tiers needs a unit_amount, a flat_amount, or both"),
        ([{"up_to": 5, "unit_amount": 0}, {"up_to": "inf", "flat_amount": "0"}], "not all be free"),
        ([{"up_to": 5, "unit_amount": 1}, {"unit_amount": 1.5}], "tiers[1].unit_amount: must be"),
        ([{**LAST, "flat_amount": "x"}], "tiers[0].flat_amount: must be a whole number of minor"),
        ([{**LAST, "unit_amount": -1}], "tiers[0].unit_amount must be 0 or more"),
        ([{**LAST, "flat_amount": AMOUNT_MAX + 1}], "tiers[0].flat_amount must be at most "),
        ([{**LAST, "colour": 1}], "tiers[0].colour is not a field"),
        ([{**LAST, "Colour of it": 1}], "tiers[0] is not a field"),
    ],
)  # fmt: skip
def test_tiers_that_do_not_cover_every_quantity_once_are_refused(tiers: object, says: str) -> None:
    refusal = refused(PriceRequest, {**TIERED, "tiers": tiers})
    assert refusal.param == "tiers"
    assert says in str(refusal)


@every(
    "field, value, says",
    [
        ("tiers_mode", None, "tiers_mode is required with tiers: graduated or volume"),
        ("tiers_mode", "slab", "'graduated' or 'volume'"),
        ("billing_scheme", "per_unit", "tiers go with billing_scheme tiered"),
        ("unit_amount", "700", "unit_amount is what the tiers say; leave it out"),
        ("transform_quantity", {"divide_by": 5, "round": "up"}, "per_unit, not with tiers"),
    ],
)
def test_what_contradicts_tiers_is_refused(field: str, value: object, says: str) -> None:
    refusal = refused(PriceRequest, {**TIERED, field: value})
    assert refusal.param == field
    assert says in str(refusal)


def test_a_tier_may_be_free_and_the_last_may_say_nothing_of_its_end() -> None:
    tiers = [{"up_to": 5, "unit_amount": 0}, {"flat_amount": 600}]
    request = parse(PriceRequest, {**TIERED, "tiers": tiers})
    assert request.tiers is not None
    assert [one.stored()["up_to"] for one in request.tiers] == [5, None]


@every(
    "field, value",
    [("name", ""), ("name", None), ("name", "x" * 256), ("name", "a\x00"), ("name", 5),
     ("description", "x" * 1001), ("active", "no"), ("metadata", [])],
)  # fmt: skip
def test_what_does_not_fit_a_product_is_refused_by_name(field: str, value: object) -> None:
    assert refused(ProductRequest, {**PRODUCT, field: value}).param == field


@every(
    "field, value, says",
    [
        ("quantity", 0, "must be 1 or more"),
        ("quantity", -5, "must be 1 or more"),
        ("quantity", True, "must be an integer"),
        ("quantity", 1.0, "must be an integer"),
        ("quantity", QUANTITY_MAX + 1, f"must be at most {QUANTITY_MAX}"),
        ("action", "set", "'increment' or 'decrement'"),
        ("action", None, "action is required"),
    ],
)
def test_what_can_not_be_counted_is_refused_with_the_fix(
    field: str, value: object, says: str
) -> None:
    refusal = refused(InventoryRequest, {**COUNT, field: value})
    assert refusal.param == field
    assert says in str(refusal)


def test_stock_is_counted_up_and_down() -> None:
    assert parse(InventoryRequest, {**COUNT, "quantity": 5}).change == 5
    assert parse(InventoryRequest, {**COUNT, "quantity": 5, "action": "decrement"}).change == -5


@every("quantity", [-1, 1.0, True, None, "5", QUANTITY_MAX + 1])
def test_what_is_no_quantity_has_no_quote(quantity: object) -> None:
    assert refused(QuoteRequest, {"quantity": quantity}).param == "quantity"


# --- what may change ---


@every("name", sorted(LOCKED))
def test_what_a_price_costs_never_changes_and_the_refusal_says_what_to_do(name: str) -> None:
    with pytest.raises(PriceLocked) as locked:
        changes(PriceChanges, {name: "5"})
    assert locked.value.param == name
    assert f"{name} never changes: make a new price, move the lookup key" in str(locked.value)
    assert "What may change: active, metadata, nickname, lookup_key" in str(locked.value)


def test_everything_that_says_what_a_price_costs_is_locked() -> None:
    assert {
        "product_id", "currency_id", "type", "recurring", "billing_scheme", "unit_amount", "tiers",
        "tiers_mode", "transform_quantity",
    } == LOCKED  # fmt: skip


def test_stock_is_not_set() -> None:
    with pytest.raises(InvalidRequest) as refusal:
        changes(PriceChanges, {"quantity_available": 5})
    assert "send quantity and action to /inventory" in str(refusal.value)


@pytest.mark.parametrize("model", [PriceChanges, ProductChanges])
def test_only_what_was_sent_changes(model: Any) -> None:
    assert changes(model, {}).given() == {}
    assert changes(model, {"active": False}).given() == {"active": False}
    sent = {"metadata": {"a": "b", "c": None}}
    assert changes(model, sent).given() == sent


def test_null_unsets_what_may_be_absent() -> None:
    sent = {"nickname": None, "lookup_key": None}
    assert changes(PriceChanges, sent).given() == sent
    assert changes(ProductChanges, {"description": None}).given() == {"description": None}


@every(
    "model, sent",
    [
        (PriceChanges, {"active": None}),
        (PriceChanges, {"metadata": None}),
        (PriceChanges, {"metadata": {"a": 1}}),
        (PriceChanges, {"metadata": {"": None}}),
        (PriceChanges, {"lookup_key": "a/b"}),
        (PriceChanges, {"transfer_lookup_key": True}),
        (PriceChanges, {"transfer_lookup_key": True, "lookup_key": None}),
        (PriceChanges, {"idempotency_key": "k"}),
        (ProductChanges, {"name": None}),
        (ProductChanges, {"name": ""}),
        (ProductChanges, {"active": None}),
        (ProductChanges, {"lookup_key": "l"}),
    ],
)
def test_a_change_to_nothing_that_can_be_is_refused_by_name(
    model: Any, sent: dict[str, Any]
) -> None:
    with pytest.raises(InvalidRequest) as refusal:
        changes(model, sent)
    assert refusal.value.param == next(iter(sent))


def test_metadata_is_merged_name_by_name() -> None:
    there = {"a": "1", "b": "2"}
    assert merged(there, {"b": None, "c": "3"}) == {"a": "1", "c": "3"}
    assert merged(there, {"z": None}) == there
    assert merged(there, {}) == there
    assert there == {"a": "1", "b": "2"}


def test_metadata_is_never_more_than_fifty_names_after_it_is_merged() -> None:
    fifty = {str(n): "x" for n in range(50)}
    assert len(merged(fifty, {"0": None, "new": "y"})) == 50
    with pytest.raises(InvalidRequest) as refusal:
        merged(fifty, {"new": "y"})
    assert refusal.value.param == "metadata"
    assert "it would have 51 names, and 50 is the most" in str(refusal.value)


# --- whatever is sent ---


@every("field", ["product_id", "currency_id", "unit_amount", "quantity_available", "type", "tiers"])
def test_a_card_number_in_the_wrong_field_is_not_repeated(field: str) -> None:
    for value in (CARD, int(CARD), [CARD], {CARD: CARD}):
        assert CARD not in str(refused(PriceRequest, {**PRICE, field: value}))


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)
a_tier = st.fixed_dictionaries(
    {},
    optional={
        name: json_values | st.integers(0, 9) for name in ("up_to", "unit_amount", "flat_amount")
    },
)
MODELS: list[Any] = [ProductRequest, PriceRequest, InventoryRequest, QuoteRequest]
names = st.sampled_from(sorted({n for model in MODELS for n in model.model_fields})) | st.text()
bodies = st.dictionaries(names, json_values, max_size=6) | st.fixed_dictionaries(
    {"tiers": st.lists(a_tier, max_size=4) | json_values}
)


@given(bodies, st.sampled_from([{}, PRODUCT, PRICE, TIERED, COUNT]))
def test_whatever_json_is_sent_is_taken_or_refused_and_nothing_else(
    fields: dict[str, Any], base: dict[str, Any]
) -> None:
    for model in MODELS:
        with suppress(InvalidRequest):
            parse(model, {**base, **fields})
    for model in (PriceChanges, ProductChanges):
        with suppress(InvalidRequest, PriceLocked):
            changes(model, {**base, **fields}).given()


@given(st.lists(st.integers(1, 50), min_size=1, max_size=5))
def test_tiers_are_taken_exactly_if_they_rise(ends: list[int]) -> None:
    tiers = [{"up_to": end, "unit_amount": 1} for end in ends]
    fields = {**TIERED, "tiers": [*tiers, LAST]}
    if all(one < other for one, other in pairwise(ends)):
        assert parse(PriceRequest, fields).tiers is not None
    else:
        assert "tiers must rise" in str(refused(PriceRequest, fields))
