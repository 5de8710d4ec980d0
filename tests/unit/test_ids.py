"""Ids that come from keys: the wire contract that producers in any language rely on."""

import json
from pathlib import Path
from string import printable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra.billing.contract.ids import (
    delivery_id,
    delivery_number,
    event_id,
    fingerprint,
    id_from_key,
    is_id,
    random_id,
    rejection_id,
    traceparent,
)
from tests.support.every import every

VECTORS = json.loads((Path(__file__).parents[1] / "contract" / "vectors" / "ids.json").read_text())
words = st.text(printable.replace("\n", ""), min_size=1, max_size=20)


def test_the_id_of_a_key_never_changes() -> None:
    """Charges live for ever under these: whoever changes the rule orphans them all."""
    assert id_from_key("charge", producer="shop", key="order-1") == CHARGE_ID
    assert id_from_key("refund", producer="shop", key="order-1") == REFUND_ID
    assert event_id("ch_x", 1) == EVENT_ID


CHARGE_ID = "ch_udpzealsai2anmwq2p2phehew4xswwl2"
REFUND_ID = "re_2r7y73rddl2maljht63d7vdictx2osoj"
EVENT_ID = "evt_hizqv6v3c2pfrigodmv7cr54txdlzpf5"


@pytest.mark.parametrize("vector", VECTORS, ids=lambda v: v["id"])
def test_a_key_has_this_id_in_every_language(vector: dict[str, Any]) -> None:
    id_ = id_from_key(vector["kind"], producer=vector["producer"], key=vector["key"])
    assert id_ == vector["id"]


@given(words, words, words, words)
def test_another_producer_or_key_is_another_id(p: str, k: str, p2: str, k2: str) -> None:
    same = (p, k) == (p2, k2)
    one, other = (id_from_key("charge", producer=a, key=b) for a, b in ((p, k), (p2, k2)))
    assert (one == other) == same


def test_parts_do_not_run_together() -> None:
    assert id_from_key("charge", producer="ab", key="c") != id_from_key(
        "charge", producer="a", key="bc"
    )


@given(words)
def test_an_id_fits_a_url_and_a_webhook_header(key: str) -> None:
    for id_ in (id_from_key("charge", producer="p", key=key), event_id(key, 3), random_id("we_")):
        assert id_.replace("_", "").isalnum()
        assert id_.isascii()
        assert len(id_) <= 40


def test_the_same_refusal_of_the_same_message_has_one_id() -> None:
    assert rejection_id("t", "c", "d") == rejection_id("t", "c", "d") != rejection_id("t", "c", "e")


def test_random_ids_differ() -> None:
    assert len({random_id("we_") for _ in range(100)}) == 100


@pytest.mark.parametrize("nothing", [None, {}, []])
def test_a_field_that_says_nothing_does_not_change_the_fingerprint(nothing: object) -> None:
    assert fingerprint({"amount": 1, "new_field": nothing}) == fingerprint({"amount": 1})


def test_the_order_of_fields_does_not_change_the_fingerprint() -> None:
    one, other = {"a": 1, "m": {"x": "1", "y": "2"}}, {"m": {"y": "2", "x": "1"}, "a": 1}
    assert fingerprint(one) == fingerprint(other)


@every("other", [{"a": 2}, {"a": "1"}, {"b": 1}, {"a": 1, "b": 0}, {"a": 1, "b": ""}])
def test_another_request_has_another_fingerprint(other: dict[str, object]) -> None:
    assert fingerprint(other) != fingerprint({"a": 1})


@every(
    "value, is_one",
    [
        ("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", True),
        ("00-00000000000000000000000000000000-00f067aa0ba902b7-01", False),
        ("00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01", False),
        ("01-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", False),
        ("00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01", False),
        ("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01\n", False),
        ({"a": 1}, False),
        (None, False),
    ],
)
def test_a_trace_is_what_the_standard_says_or_none(value, is_one):
    assert traceparent(value) == (value if is_one else None)


@given(st.integers(0, 2**63 - 1))
def test_the_id_of_a_delivery_is_its_number_and_looks_like_any_id(number: int) -> None:
    id_ = delivery_id(number)
    assert is_id(id_, "del_")
    assert delivery_number(id_) == number


def test_the_ids_of_neighbours_begin_differently() -> None:
    assert len({delivery_id(number)[:8] for number in range(1, 40)}) == 39


@every(
    "id_",
    [
        None, 7, "", "del_", "del_" + "a" * 32, "we_" + delivery_id(7)[4:],
        delivery_id(7).upper(), delivery_id(7)[:-1] + "z",
    ],
)  # fmt: skip
def test_what_is_mistyped_is_the_id_of_no_delivery(id_: object) -> None:
    assert delivery_number(id_) is None
