"""What may be asked for, and what the refusal says to send instead."""

from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra.billing.contract.requests.charge_request import ChargeRequest
from infra.billing.contract.requests.refund_request import RefundRequest
from infra.billing.contract.requests.rules import ANY_DAY
from payments.parsing import parse
from payments.payment_errors import InvalidRequest
from tests.support.every import every

CHARGE = {"amount": 1000, "currency": "USD", "idempotency_key": "k"}
SALE = {"price_id": "tea", "quantity": 2, "idempotency_key": "k"}
REFUND = {"charge_id": "ch_" + "a" * 32, "idempotency_key": "k"}
CARD = "4242 4242 4242 4242"


def refused(model: Any, fields: dict[str, Any]) -> InvalidRequest:
    with pytest.raises(InvalidRequest) as refusal:
        parse(model, fields)
    return refusal.value


@every(
    "amount, says",
    [
        (0, "at least 1"),
        (-1, "at least 1"),
        (5.0, "send amount=5 if you mean USD 0.05, or amount=500 if you mean USD 5"),
        (19.99, "for USD 19.99 send amount=1999"),
        (True, "an integer"),
        ("12", "an integer"),
        (10**18, "at most"),
        (None, "amount is required"),
        (1e400, "an integer"),
    ],
)
def test_an_amount_that_is_none_is_refused_with_the_fix(amount: object, says: str) -> None:
    refusal = refused(ChargeRequest, {**CHARGE, "amount": amount})
    assert refusal.param == "amount"
    assert says in str(refusal)


@every("amount", [0, -1, 5.0, True, "12", 10**18])
def test_an_amount_that_is_none_is_refused_for_a_refund_too(amount: object) -> None:
    assert refused(RefundRequest, {**REFUND, "amount": amount}).param == "amount"


def test_a_refund_without_an_amount_is_one_of_all_that_is_left() -> None:
    assert parse(RefundRequest, REFUND).amount is None


@every("amount", [1, 999_999_999_999_999])
@every("sent, kept", [("usd", "USD"), ("KWD", "KWD"), ("JPY", "JPY")])
def test_minor_units_of_any_currency_are_taken(amount: int, sent: str, kept: str) -> None:
    request = parse(ChargeRequest, {**CHARGE, "amount": amount, "currency": sent})
    assert (request.amount, request.currency) == (amount, kept)


@pytest.mark.parametrize(
    ("currency", "fix"),
    [
        ("JPY", "; send amount=5"),
        ("USD", "; send amount=5 if you mean USD 0.05, or amount=500 if you mean USD 5"),
        ("KWD", "; send amount=5 if you mean KWD 0.005, or amount=5000 if you mean KWD 5"),
    ],
)
def test_a_float_without_a_fraction_is_told_in_both_readings(currency: str, fix: str) -> None:
    refusal = refused(ChargeRequest, {**CHARGE, "amount": 5.0, "currency": currency})
    assert str(refusal).endswith(fix)


@pytest.mark.parametrize("amount", [5.0, 19.99])
def test_without_a_currency_no_reading_of_a_float_is_told(amount: float) -> None:
    refusal = refused(RefundRequest, {**REFUND, "amount": amount})
    assert str(refusal).endswith(f"not the decimal {amount}; send an integer")


@every("currency", ["XYZ", "US", "dollars", "", 840, "XAU"])
def test_an_unknown_currency_is_refused_with_an_example(currency: object) -> None:
    refusal = refused(ChargeRequest, {**CHARGE, "currency": currency})
    assert refusal.param == "currency"
    assert "USD" in str(refusal)


@pytest.mark.parametrize("field", ["amount", "idempotency_key"])
def test_what_is_missing_is_named(field: str) -> None:
    refusal = refused(ChargeRequest, {n: v for n, v in CHARGE.items() if n != field})
    assert (refusal.param, str(refusal)) == (field, f"{field} is required")


@pytest.mark.parametrize("fields", [{}, {"amount": 5}, {"amount": 5, "currency": None}])
def test_without_a_currency_or_a_price_both_ways_are_told(fields: dict[str, Any]) -> None:
    refusal = refused(ChargeRequest, {"idempotency_key": "k", **fields})
    assert refusal.param == "currency"
    other_way = "unless you send price_id and quantity in place of amount and currency"
    assert str(refusal) == f"currency is required, {other_way}"


def test_a_charge_by_price_names_a_price_and_a_quantity() -> None:
    request = parse(ChargeRequest, SALE)
    assert (request.price_id, request.quantity) == ("tea", 2)
    assert (request.amount, request.currency) == (None, None)
    assert request.asked() == {"metadata": {}, "price_id": "tea", "quantity": 2}


@every(
    "fields, param, says",
    [
        ({"price_id": "tea"}, "quantity", "quantity is required with price_id"),
        ({"price_id": "tea", "quantity": None}, "quantity", "how many units of it"),
        ({"quantity": 2}, "quantity", "send price_id, too"),
        ({"quantity": 2, "amount": 5, "currency": "USD"}, "quantity", "send price_id, too"),
        ({**SALE, "amount": 5}, "amount", "send price_id and quantity, or amount and currency"),
        ({**SALE, "currency": "USD"}, "currency", "or amount and currency"),
        ({**SALE, "amount": 5, "currency": "USD"}, "currency", "what the price says"),
        ({**SALE, "amount": 0}, "amount", "what the price says"),
        ({**SALE, "quantity": 0}, "quantity", "must be 1 or more"),
        ({**SALE, "quantity": -1}, "quantity", "must be 1 or more"),
        ({**SALE, "quantity": 10**15}, "quantity", "must be at most 999999999999999"),
        ({**SALE, "quantity": True}, "quantity", "must be an integer"),
        ({**SALE, "quantity": 2.0}, "quantity", "must be an integer"),
        ({**SALE, "quantity": "2"}, "quantity", "must be an integer"),
        ({**SALE, "expected_amount": 0}, "expected_amount", "must be 1 or more"),
        ({**SALE, "expected_amount": 5.0}, "expected_amount", "must be an integer"),
        ({**SALE, "expected_amount": "5"}, "expected_amount", "must be an integer"),
        (
            {"amount": 5, "currency": "USD", "expected_amount": 5},
            "expected_amount",
            "is held against what a price comes to",
        ),
        ({**SALE, "price_id": ""}, "price_id", "must not be empty"),
        ({**SALE, "price_id": 5}, "price_id", "must be text"),
        ({**SALE, "price_id": "a\x00"}, "price_id", "control characters"),
    ],
)
def test_half_a_price_and_half_an_amount_are_refused_with_the_fix(
    fields: dict[str, Any], param: str, says: str
) -> None:
    refusal = refused(ChargeRequest, {"idempotency_key": "k", **fields})
    assert refusal.param == param
    assert says in str(refusal)


@pytest.mark.parametrize("quantity", [1, 10**9 + 1, 999_999_999_999_999])
def test_any_quantity_is_taken(quantity: int) -> None:
    assert parse(ChargeRequest, {**SALE, "quantity": quantity}).quantity == quantity


@every(
    "fields",
    [
        {"restock": True},
        {"restock": True, "restock_quantity": 2},
        {"restock": True, "restock_quantity": 2, "amount": 5},
        {"restock": False, "amount": 5},
    ],
)
def test_a_refund_may_bring_goods_back(fields: dict[str, Any]) -> None:
    request = parse(RefundRequest, {**REFUND, **fields})
    assert (request.restock, request.restock_quantity) == (
        fields["restock"], fields.get("restock_quantity"),
    )  # fmt: skip


@every(
    "fields, param, says",
    [
        ({"restock": True, "amount": 5}, "restock_quantity", "is required for a refund of an"),
        ({"restock_quantity": 2}, "restock_quantity", "send restock=true, too"),
        ({"restock": False, "restock_quantity": 2}, "restock_quantity", "send restock=true, too"),
        (
            {"restock": True, "restock_quantity": 0},
            "restock_quantity",
            "restock_quantity must be 1 or more",
        ),
        ({"restock": True, "restock_quantity": True}, "restock_quantity", "must be an integer"),
        ({"restock": True, "restock_quantity": 1.0}, "restock_quantity", "must be an integer"),
        ({"restock": 1}, "restock", "must be true or false"),
        ({"restock": "yes"}, "restock", "must be true or false"),
    ],
)
def test_goods_come_back_by_number(fields: dict[str, Any], param: str, says: str) -> None:
    refusal = refused(RefundRequest, {**REFUND, **fields})
    assert refusal.param == param
    assert says in str(refusal)


def test_requests_of_before_there_were_prices_have_the_fingerprints_they_had() -> None:
    """As the release before wrote them into the tables: their repeats must stay repeats."""
    assert parse(ChargeRequest, CHARGE).fingerprint == "6mfduaxdewfmxdcamuv6oloej2te5ega"
    refund = {"charge_id": "ch_1", "idempotency_key": "k"}
    for fields in (refund, {**refund, "if_pending": "wait", "restock": False}):
        request = parse(RefundRequest, fields, day=ANY_DAY)
        assert request.fingerprint == "snboeucq3k3c3furtlhekqjcgf2pqw2v"


def test_a_refund_knows_no_prices() -> None:
    assert "is not a field" in str(refused(RefundRequest, {**REFUND, "price_id": "price_1"}))


def test_what_is_no_field_is_named_beside_those_that_are() -> None:
    refusal = refused(ChargeRequest, {**CHARGE, "ammount": 5})
    assert refusal.param == "ammount"
    assert "'ammount' is not a field (did you mean 'amount'?); the fields are: " in str(refusal)


def test_a_misspelled_field_is_named_and_not_the_one_that_is_missing() -> None:
    refusal = refused(ChargeRequest, {"amout": 5, "currency": "USD", "idempotency_key": "k"})
    assert refusal.param == "amout"
    assert "did you mean 'amount'?" in str(refusal)


@every(
    "field, value",
    [
        ("idempotency_key", ""),
        ("idempotency_key", "x" * 256),
        ("idempotency_key", 5),
        ("idempotency_key", "a\nb"),
        ("idempotency_key", "a\x00b"),
        ("idempotency_key", "a\ud800b"),
        ("producer", "shop\n"),
        ("producer", ""),
        ("producer", "x" * 65),
        ("customer_id", ["cus_1"]),
        ("description", "x" * 1001),
        ("metadata", {"a": 1}),
        ("metadata", {"a": None}),
        ("metadata", {"": "x"}),
        ("metadata", {"x" * 41: "x"}),
        ("metadata", {"a": "x" * 501}),
        ("metadata", {str(n): "x" for n in range(51)}),
        ("metadata", {"a": "\x00"}),
        ("metadata", "a=b"),
    ],
)
def test_what_does_not_fit_is_refused_by_name(field: str, value: object) -> None:
    assert refused(ChargeRequest, {**CHARGE, field: value}).param == field


@every(
    "field, value",
    [
        ("charge_id", "re_1"),
        ("charge_id", "pi_1"),
        ("charge_id", "ch_1"),
        ("charge_id", "ch_…"),
        ("charge_id", "ch_" + "a" * 31),
        ("charge_id", "ch_" + "a" * 32 + " "),
        ("charge_id", "\u00a0ch_" + "a" * 32),
        ("charge_id", "CH_" + "a" * 32),
        ("charge_id", "ch_" + "A" * 32),
        ("charge_id", "ch_" + "1" * 32),
        ("charge_id", "ch_" + "a" * 32 + "\n"),
        ("if_missing", "reject it"),
        ("if_pending", "maybe"),
        ("expected_refunded_amount", -1),
        ("expected_refunded_amount", 10**30),
        ("expected_refunded_amount", 1.0),
        ("expected_refunded_amount", True),
        ("reason", 5),
    ],
)
def test_what_does_not_fit_a_refund_is_refused_by_name(field: str, value: object) -> None:
    assert refused(RefundRequest, {**REFUND, field: value}).param == field


@pytest.mark.parametrize("number", [CARD, CARD.replace(" ", ""), CARD.replace(" ", "-")])
def test_a_card_number_is_refused_and_not_repeated(number: str) -> None:
    for field in ("payment_method_id", "amount", "currency"):
        refusal = refused(ChargeRequest, {**CHARGE, field: number})
        assert refusal.param == field
        assert "4242" not in str(refusal)


@every("field", ["amount", "currency"])
@every("value", ["a@b.example", "676770000000"])
def test_not_even_a_short_address_or_card_number_is_repeated(field: str, value: str) -> None:
    refusal = refused(ChargeRequest, {**CHARGE, field: value})
    assert refusal.param == field
    assert value not in str(refusal)


@every("name", ["bob@example.com", "4242424242424242", "Bob", "x" * 41, "\x00", ""])
def test_a_name_that_reads_as_none_is_not_repeated(name: str) -> None:
    refusal = refused(ChargeRequest, {**CHARGE, name: 5})
    assert refusal.param is None
    assert str(refusal).startswith("one of the names sent is not a field; the fields are: ")


def test_text_in_any_script_is_taken() -> None:
    text = "Übergröße 超大 👩‍👩‍👧"
    request = parse(ChargeRequest, {**CHARGE, "description": text, "metadata": {"größe": text}})
    assert request.metadata == {"größe": text}


def test_the_key_and_the_producer_are_not_part_of_what_was_asked() -> None:
    one = parse(ChargeRequest, CHARGE)
    other = parse(ChargeRequest, {**CHARGE, "idempotency_key": "other", "producer": "other"})
    assert one.fingerprint == other.fingerprint
    assert one.id != other.id


@every(
    "change",
    [{"amount": 999}, {"currency": "EUR"}, {"customer_id": "c"}, {"payment_method_id": "p"},
     {"reference": "r"}, {"description": "d"}, {"metadata": {"a": "b"}}],
)  # fmt: skip
def test_every_field_of_a_charge_is_part_of_what_was_asked(change: dict[str, Any]) -> None:
    one, other = parse(ChargeRequest, CHARGE), parse(ChargeRequest, {**CHARGE, **change})
    assert one.id == other.id
    assert one.fingerprint != other.fingerprint


@every(
    "change",
    [{"amount": 1}, {"charge_id": "ch_" + "b" * 32}, {"reason": "r"}, {"if_pending": "reject"},
     {"expected_refunded_amount": 0}, {"metadata": {"a": "b"}}, {"restock": True},
     {"restock": True, "restock_quantity": 1}, {"if_missing": "wait"}],
)  # fmt: skip
def test_every_field_of_a_refund_is_part_of_what_was_asked(change: dict[str, Any]) -> None:
    one, other = parse(RefundRequest, REFUND), parse(RefundRequest, {**REFUND, **change})
    assert one.fingerprint != other.fingerprint


@every(
    "change",
    [
        {"price_id": "coffee"},
        {"quantity": 3},
        {"customer_id": "c"},
        {"reference": "r"},
        {"expected_amount": 5},
    ],
)
def test_every_field_of_a_sale_is_part_of_what_was_asked(change: dict[str, Any]) -> None:
    one, other = parse(ChargeRequest, SALE), parse(ChargeRequest, {**SALE, **change})
    assert one.fingerprint != other.fingerprint
    assert one.fingerprint != parse(ChargeRequest, CHARGE).fingerprint


def test_the_same_asked_in_other_words_is_the_same() -> None:
    one = parse(ChargeRequest, CHARGE)
    other = parse(ChargeRequest, {**CHARGE, "currency": "usd", "metadata": {}})
    assert one.fingerprint == other.fingerprint


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)
names = st.sampled_from([*ChargeRequest.model_fields, *RefundRequest.model_fields]) | st.text()


@given(st.dictionaries(names, json_values, max_size=8), st.sampled_from([{}, CHARGE, SALE, REFUND]))
def test_whatever_json_is_sent_is_taken_or_refused_and_nothing_else(
    fields: dict[str, Any], base: dict[str, Any]
) -> None:
    for model in (ChargeRequest, RefundRequest):
        with suppress(InvalidRequest):
            request = parse(model, {**base, **fields})
            assert len(request.id) == 35
            assert request.fingerprint


@pytest.mark.parametrize("field", ["customer_id", "payment_method_id", "reference"])
def test_a_text_has_255_characters_at_most(field: str) -> None:
    assert getattr(parse(ChargeRequest, {**CHARGE, field: "x" * 255}), field) == "x" * 255
    assert refused(ChargeRequest, {**CHARGE, field: "x" * 256}).param == field


def test_null_is_absent_and_of_an_unknown_name_it_is_unknown() -> None:
    request = parse(ChargeRequest, {**CHARGE, "reference": None, "metadata": None})
    assert request.fingerprint == parse(ChargeRequest, CHARGE).fingerprint
    assert refused(ChargeRequest, {**CHARGE, "amout": None}).param == "amout"


def test_the_id_and_the_fingerprint_of_a_request_are_computed_once() -> None:
    request = parse(ChargeRequest, CHARGE)
    assert request.id is request.id
    assert request.fingerprint is request.fingerprint
    assert request == parse(ChargeRequest, CHARGE)  # which has computed neither
