"""What the SDK sees to before it asks over HTTP: that JSON carries it, and that it is no card."""

import json
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from types import MappingProxyType
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra import billing
from infra.billing.contract import strict_json
from infra.billing.contract.card_data import CARD_DATA
from infra.billing.contract.moments import MOMENT
from infra.billing.values import WHOLE_MAX, carried, segment
from tests.support.every import every

CARD = "4242 4242 4242 4242"
PLAIN = datetime(2026, 11, 26, 1)  # noqa: DTZ001  # without a zone: that is what is wrong with it


def deep(levels: int) -> Any:
    return [deep(levels - 1)] if levels else []


@every(
    "value, sent",
    [
        (None, None),
        (True, True),
        ("", ""),
        ("größe\n", "größe\n"),
        (5, 5),
        (-5, -5),
        (10**15, 10**15),
        (WHOLE_MAX, WHOLE_MAX),
        (19.99, 19.99),
        (Decimal("19.99"), 19.99),
        (Decimal("5.00"), 5.0),
        (378282246310005, 378282246310005),  # an amount, as far as anybody can tell
        (datetime(2026, 11, 26, tzinfo=UTC), "2026-11-26T00:00:00Z"),
        (
            datetime(2026, 11, 26, 1, 0, 0, 5, tzinfo=timezone(timedelta(hours=1))),
            "2026-11-26T00:00:00.000005Z",
        ),
        (MappingProxyType({"a": ("b", {"c": 1})}), {"a": ["b", {"c": 1}]}),
        (deep(9), deep(9)),
    ],
    ids=repr,
)
def test_what_json_has_is_sent_as_it_is(value, sent):
    assert carried({"amount": value}) == {"amount": sent}


@every(
    "value, says",
    [
        (PLAIN, MOMENT),
        (PLAIN.date(), "must be of a type that JSON has, and date is none"),
        (b"text", "must be of a type that JSON has, and bytes is none"),
        ({"a"}, "must be of a type that JSON has, and set is none"),
        (UUID(int=5), "must be of a type that JSON has, and UUID is none"),
        (object, "must be of a type that JSON has, and type is none"),
        ("a\ud800b", "must be text"),
        ({"a\ud800b": "x"}, "must be text"),
        ({7: "x"}, "must have names that are text"),
        (WHOLE_MAX + 1, f"must be at most {WHOLE_MAX}"),
        (-WHOLE_MAX - 2, f"must be at most {WHOLE_MAX}"),
        (10**50, f"must be at most {WHOLE_MAX}"),
        (float("nan"), "must be a number that JSON can carry; send an integer"),
        (float("inf"), "must be a number that JSON can carry; send an integer"),
        (Decimal("sNaN"), "must be a number that JSON can carry; send an integer"),
        (Decimal("1E+9999999"), "must be a number that JSON can carry; send an integer"),
        (
            Decimal("1.00000000000000001"),
            "must be a number that JSON can carry; send an integer",
        ),
        (deep(10), "must not be nested so deep"),
        (CARD, CARD_DATA),
        ({"note": CARD}, CARD_DATA),
        ({CARD: "note"}, CARD_DATA),
        ({"cvc": "123"}, CARD_DATA),
        ([{"deep": [f"card {CARD}"]}], CARD_DATA),
        (4242424242424242, CARD_DATA),
        (4242424242424242.0, CARD_DATA),
        (Decimal(4242424242424242), CARD_DATA),
    ],
    ids=lambda it: repr(it)[:40],
)
def test_what_json_does_not_have_and_card_data_are_refused_by_the_name_of_the_field(value, says):
    with pytest.raises(billing.InvalidRequest) as refused:
        carried({"other": 1, "amount": value})
    assert (refused.value.param, str(refused.value)) == ("amount", f"amount {says}")
    assert refused.value.status is None


def test_of_a_payment_method_the_whole_is_read_as_a_card_of_any_scheme():
    assert carried({"reference": "4222222222222"})
    with pytest.raises(billing.InvalidRequest, match="payment_method_id must hold no card data"):
        carried({"payment_method_id": "4222222222222"})


@every(
    "fields",
    [
        {"customer_id": 378282246310005},
        {"customer_id": 378282246310005.0},
        {"customer_id": 6212345678901234569},  # as a float it would be another number
        {"payment_method_id": 9999999999999995},
        {"payment_method_id": Decimal("4222222222222.00")},
        {"metadata": {"amount": 378282246310005}},
        {"metadata": {"cvc": 123}},
        {"card": {"number": 30569309025904}},
        {"card": {"cvc": 123.0}},
    ],
    ids=repr,
)
def test_numbers_are_no_card_data_either_unless_they_may_be_an_amount(fields):
    with pytest.raises(billing.InvalidRequest, match="must hold no card data"):
        carried(fields)


@every("id_", [CARD, "a\ud800b"], ids=ascii)
def test_what_stands_in_a_path_is_seen_to_as_what_stands_in_a_body(id_):
    with pytest.raises(billing.InvalidRequest, match="id must") as refused:
        segment(id_)
    assert refused.value.param == "id"
    assert segment("a/b ü") == "a%2Fb%20%C3%BC"


@every("name", ["ada@example.org", CARD, 4242424242424242, "a\ud800"])
def test_a_name_that_may_be_anything_is_not_repeated(name):
    with pytest.raises(billing.InvalidRequest) as refused:
        carried({name: b""})
    assert refused.value.param is None
    assert str(refused.value).startswith("the request must")


_JSON = st.recursive(
    st.none() | st.booleans() | st.text(st.characters(codec="utf-8"), max_size=9) | st.floats(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=6,
)


def read_by_the_service(value):
    sent = carried({"field": value})
    read = strict_json.read(json.dumps(sent, ensure_ascii=False).encode())
    return read["field"]


@given(st.decimals() | st.integers() | _JSON)
def test_whatever_is_sent_the_service_reads_as_it_was_meant(value):
    try:
        read = read_by_the_service(value)
    except billing.InvalidRequest:
        return
    meant = strict_json.read(json.dumps(value)) if not isinstance(value, Decimal) else value
    assert read == meant
