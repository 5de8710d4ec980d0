"""What a webhook endpoint may be given, by the rules of the contract."""

from collections.abc import Callable
from typing import Any

import pytest

from infra.billing.contract import endpoints
from infra.billing.contract.invalid import Invalid
from tests.support.every import every

LONG = "https://example.com/" + "x" * 2048


@every(
    "check, value, says",
    [
        (endpoints.url, 5, "url must be a string of at most 2048 characters"),
        (endpoints.url, "", "url must be a string of at most 2048 characters"),
        (endpoints.url, LONG, "url must be a string of at most 2048 characters"),
        (endpoints.url, "https://a b", "url must not contain spaces or control characters"),
        (endpoints.url, "https://a\x00", "url must not contain spaces or control characters"),
        (endpoints.description, 5, "description must be text"),
        (endpoints.description, "a\ud800", "description must be text"),
        (endpoints.description, "d" * 501, "description must have at most 500 characters"),
        (endpoints.description, "a\x00b", "description: must not contain control characters"),
        (endpoints.description, "card 4242 4242 4242 4242", "description must hold no card data"),
        (endpoints.max_in_flight, 0, "max_in_flight must be a whole number from 1 to 100"),
        (endpoints.max_in_flight, 101, "max_in_flight must be a whole number from 1 to 100"),
        (endpoints.max_in_flight, 1.5, "max_in_flight must be a whole number from 1 to 100"),
        (endpoints.max_in_flight, True, "max_in_flight must be a whole number from 1 to 100"),
        (endpoints.overlap_s, 1.0, "overlap_s must be a whole number of seconds"),
        (endpoints.overlap_s, True, "overlap_s must be a whole number of seconds"),
        (endpoints.overlap_s, -1, "overlap_s must be from 0 to 604800 seconds"),
        (endpoints.overlap_s, 604_801, "overlap_s must be from 0 to 604800 seconds"),
        (endpoints.event_ids, "evt_1", "event_ids must be a list of ids"),
        (endpoints.event_ids, 5, "event_ids must be a list of ids"),
        (endpoints.event_ids, [], "event_ids must be 1 to 1000 ids"),
        (endpoints.event_ids, [5], "event_ids must be 1 to 1000 ids"),
        (endpoints.event_ids, ["e"] * 1001, "event_ids must be 1 to 1000 ids"),
    ],
)
def test_what_no_endpoint_can_have_is_refused_with_its_field(
    check: Callable[[object], object], value: object, says: str
) -> None:
    with pytest.raises(Invalid) as refused:
        check(value)
    assert str(refused.value).startswith(says)
    assert refused.value.param == check.__name__


@every(
    "check, value",
    [
        (endpoints.url, "https://example.com/hooks"),
        (endpoints.description, ""),
        (endpoints.description, "d" * 500),
        (endpoints.max_in_flight, 1),
        (endpoints.max_in_flight, 100),
        (endpoints.overlap_s, 0),
        (endpoints.overlap_s, 604_800),
        (endpoints.event_ids, ["evt_1"] * 1000),
    ],
)
def test_what_one_may_have_is_taken_as_it_is(check: Callable[[Any], object], value: object) -> None:
    assert check(value) == value
