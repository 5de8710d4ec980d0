"""What may be asked for, and what the refusal says to send instead."""

from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from payments.errors import InvalidRequest
from payments.parsing import parse
from payments.requests import ChargeRequest, RefundRequest

CHARGE = {"amount": 1000, "currency": "USD", "idempotency_key": "k"}
REFUND = {"charge_id": "ch_1", "idempotency_key": "k"}
CARD = "4242 4242 4242 4242"


def refused(model: Any, fields: dict[str, Any]) -> InvalidRequest:
    with pytest.raises(InvalidRequest) as refusal:
        parse(model, fields)
    return refusal.value


@pytest.mark.parametrize(
    ("amount", "says"),
    [
        (0, "at least 1"),
        (-1, "at least 1"),
        (5.0, "for USD 5.0 send amount=500"),
        (19.99, "for USD 19.99 send amount=1999"),
        (True, "an integer"),
        ("12", "an integer"),
        (10**18, "at most"),
        (None, "an integer"),
        (1e400, "an integer"),
    ],
)
def test_an_amount_that_is_none_is_refused_with_the_fix(amount: object, says: str) -> None:
    refusal = refused(ChargeRequest, {**CHARGE, "amount": amount})
    assert refusal.param == "amount"
    assert says in str(refusal)


@pytest.mark.parametrize("amount", [0, -1, 5.0, True, "12", 10**18])
def test_an_amount_that_is_none_is_refused_for_a_refund_too(amount: object) -> None:
    assert refused(RefundRequest, {**REFUND, "amount": amount}).param == "amount"


def test_a_refund_without_an_amount_is_one_of_all_that_is_left() -> None:
    assert parse(RefundRequest, REFUND).amount is None


@pytest.mark.parametrize("amount", [1, 999_999_999_999_999])
@pytest.mark.parametrize(("sent", "kept"), [("usd", "USD"), ("KWD", "KWD"), ("JPY", "JPY")])
def test_minor_units_of_any_currency_are_taken(amount: int, sent: str, kept: str) -> None:
    request = parse(ChargeRequest, {**CHARGE, "amount": amount, "currency": sent})
    assert (request.amount, request.currency) == (amount, kept)


@pytest.mark.parametrize(("currency", "fix"), [("JPY", 5), ("USD", 500), ("KWD", 5000)])
def test_the_fix_for_a_float_knows_the_currency(currency: str, fix: int) -> None:
    refusal = refused(ChargeRequest, {**CHARGE, "amount": 5.0, "currency": currency})
    assert f"send amount={fix}" in str(refusal)


@pytest.mark.parametrize("currency", ["XYZ", "US", "dollars", "", 840, None, "XAU"])
def test_an_unknown_currency_is_refused_with_an_example(currency: object) -> None:
    refusal = refused(ChargeRequest, {**CHARGE, "currency": currency})
    assert refusal.param == "currency"
    assert "USD" in str(refusal)


@pytest.mark.parametrize("field", ["amount", "currency", "idempotency_key"])
def test_what_is_missing_is_named(field: str) -> None:
    refusal = refused(ChargeRequest, {n: v for n, v in CHARGE.items() if n != field})
    assert (refusal.param, str(refusal)) == (field, f"{field} is required")


@pytest.mark.parametrize("also", [{}, {"amount": 5}, {"amount": 5, "currency": "USD"}])
@pytest.mark.parametrize("field", ["price_id", "quantity"])
def test_who_asks_by_price_hears_what_to_send_until_then(field: str, also: dict[str, Any]) -> None:
    refusal = refused(ChargeRequest, {field: 2, "idempotency_key": "k", **also})
    assert refusal.param == field
    assert str(refusal) == (
        f"{field}: charges by price are not there yet; send amount and currency"
    )


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


@pytest.mark.parametrize(
    ("field", "value"),
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


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("charge_id", "re_1"),
        ("charge_id", "pi_1"),
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


@pytest.mark.parametrize("field", ["amount", "currency"])
@pytest.mark.parametrize("value", ["a@b.example", "676770000000"])
def test_not_even_a_short_address_or_card_number_is_repeated(field: str, value: str) -> None:
    refusal = refused(ChargeRequest, {**CHARGE, field: value})
    assert refusal.param == field
    assert value not in str(refusal)


@pytest.mark.parametrize(
    "name", ["bob@example.com", "4242424242424242", "Bob", "x" * 41, "\x00", ""]
)
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


@pytest.mark.parametrize(
    "change",
    [{"amount": 999}, {"currency": "EUR"}, {"customer_id": "c"}, {"payment_method_id": "p"},
     {"reference": "r"}, {"description": "d"}, {"metadata": {"a": "b"}}],
)  # fmt: skip
def test_every_field_of_a_charge_is_part_of_what_was_asked(change: dict[str, Any]) -> None:
    one, other = parse(ChargeRequest, CHARGE), parse(ChargeRequest, {**CHARGE, **change})
    assert one.id == other.id
    assert one.fingerprint != other.fingerprint


@pytest.mark.parametrize(
    "change",
    [{"amount": 1}, {"charge_id": "ch_2"}, {"reason": "r"}, {"if_pending": "reject"},
     {"expected_refunded_amount": 0}, {"metadata": {"a": "b"}}],
)  # fmt: skip
def test_every_field_of_a_refund_is_part_of_what_was_asked(change: dict[str, Any]) -> None:
    one, other = parse(RefundRequest, REFUND), parse(RefundRequest, {**REFUND, **change})
    assert one.fingerprint != other.fingerprint


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


@given(st.dictionaries(names, json_values, max_size=8), st.sampled_from([{}, CHARGE, REFUND]))
def test_whatever_json_is_sent_is_taken_or_refused_and_nothing_else(
    fields: dict[str, Any], base: dict[str, Any]
) -> None:
    for model in (ChargeRequest, RefundRequest):
        with suppress(InvalidRequest):
            request = parse(model, {**base, **fields})
            assert len(request.id) == 35
            assert request.fingerprint
