"""JSON as every door reads it: what two readers could read differently is refused."""

import json
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra.billing.contract.strict_json import NUMBER_LENGTH_MAX, NotStrict, is_deeper, read
from tests.support.every import every

plain = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**20), 10**20) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=10,
)


@given(plain)
def test_what_json_means_is_read_as_text_and_as_bytes(value: Any) -> None:
    written = json.dumps(value)
    assert read(written) == read(written.encode()) == value


@every(
    "text, says",
    [
        ('{"amount": 5, "amount": 6}', "a name is given twice"),
        ('[{"a": {"b": 1, "b": 1}}]', "a name is given twice"),
        ('{"amount": NaN}', "NaN is not JSON; send a whole number"),
        ("[Infinity]", "Infinity is not JSON"),
        ("-Infinity", "-Infinity is not JSON"),
        ("1e999999999999999999999", "a number that is out of range"),
        ("0." + "1" * NUMBER_LENGTH_MAX, "a number that is out of range"),
    ],
)
def test_what_readers_differ_about_is_refused(text: str, says: str) -> None:
    with pytest.raises(NotStrict, match=says):
        read(text)


def test_decimals_stay_as_they_were_written() -> None:
    value = read("[5.0, 19.90, 1e3, 0.1]")
    assert [str(one) for one in value] == ["5.0", "19.90", "1E+3", "0.1"]
    assert all(type(one) is Decimal for one in value)


def test_what_is_not_read_exactly_can_be_written_again() -> None:
    value = read('{"amount": 19.99, "of": [5.0, 1e3]}', exactly=False)
    assert json.loads(json.dumps(value)) == value == {"amount": 19.99, "of": [5.0, 1000.0]}
    with pytest.raises(NotStrict):
        read("[NaN]", exactly=False)


def test_a_number_of_thousands_of_digits_is_read_and_is_too_large_for_every_field() -> None:
    assert read("9" * 9000) == 10**NUMBER_LENGTH_MAX - 1
    assert read("-" + "9" * 9000) < -(10**98)
    assert read("9" * 9000, exactly=False) == 10**NUMBER_LENGTH_MAX - 1


def test_a_byte_order_mark_is_skipped_in_bytes() -> None:
    assert read('\ufeff{"a": 1}'.encode()) == {"a": 1}


@every("text", ["", "{", "{'a': 1}", '{"a": 1,}', "\x00", "nul", '"\n"'])
def test_what_is_no_json_is_an_error_of_its_reader(text: str) -> None:
    with pytest.raises(json.JSONDecodeError):
        read(text)


@every(
    "value, depth", [(5, 0), ([], 1), ({}, 1), ([1, [2, [3]]], 3), ({"a": {"b": [1]}}, 3), ((), 1)]
)
def test_the_depth_of_a_value_is_that_of_its_containers(value: object, depth: int) -> None:
    assert not is_deeper(value, depth)
    assert depth == 0 or is_deeper(value, depth - 1)
