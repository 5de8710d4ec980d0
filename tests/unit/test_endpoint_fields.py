"""What may be asked of webhook endpoints, by the rules of the contract."""

from typing import Any

import pytest
from pydantic import BaseModel

from infra.billing.contract.endpoint_checks import RESERVED
from infra.billing.contract.invalid import Invalid
from infra.billing.contract.requests.endpoint_request import (
    WebhookEndpointChanges,
    WebhookEndpointRequest,
)
from infra.billing.contract.requests.endpoint_verbs import Replay, SecretRotation
from infra.billing.contract.requests.request_parser import parse
from tests.support.every import every

NEW = {"url": "https://example.com/hooks"}
AT = "2026-11-22T10:00:00Z"
A_NAME = "headers: a name must be 1 to 64 letters, digits, dashes and the like"
A_VALUE = "headers: a value must be 1 to 4096 ASCII characters"
PAUSES = (
    "retry_schedule must be a list of 1 to 20 whole numbers of seconds, each from 1 to 604800,"
    " like [60, 3600]"
)


@every("model", [WebhookEndpointRequest, WebhookEndpointChanges])
@every(
    "name, value, says",
    [
        ("url", 5, "url must be a string of at most 2048 characters"),
        ("url", "", "url must be a string of at most 2048 characters"),
        ("url", "https://example.com/" + "x" * 2048, "url must be a string of at most 2048"),
        ("url", "https://a b", "url must not contain spaces or control characters"),
        ("url", "https://a\x00", "url must not contain spaces or control characters"),
        ("event_types", "charge.failed", "event_types must be a list of types"),
        ("event_types", ["charge.fail"], "event_types: 'charge.fail' is not an event type; send"),
        ("event_types", [{}], "event_types: one of them is not an event type; send"),
        ("description", 5, "description must be text"),
        ("description", "a\ud800", "description must be text"),
        ("description", "d" * 501, "description must have at most 500 characters"),
        ("description", "a\x00b", "description: must not contain control characters"),
        ("description", "card 4242 4242 4242 4242", "description must hold no card data"),
        *(
            ("max_in_flight", n, "max_in_flight must be a whole number from 1 to 1000")
            for n in (0, 1001, 1.5, True, "8")
        ),
        *(
            ("rate_limit", n, "rate_limit must be a whole number from 1 to 1000")
            for n in (0, 1001, 0.5, True, "8")
        ),
        *(
            ("retry_schedule", value, PAUSES)
            for value in (5, "60", [], [0], [604_801], [1.5], [True], ["60"], [60] * 21)
        ),
        ("ordered", "mostly", "ordered must be 'strict' or 'relaxed'"),
        ("ordered", 1, "ordered must be 'strict' or 'relaxed'"),
        ("headers", [("a", "b")], "headers must be an object of names and values"),
        ("headers", {f"x-{n}": "v" for n in range(21)}, "headers: these would be 21, and 20 is"),
        *(("headers", {n: "v"}, A_NAME) for n in ("", "a b", "a:", "é", "x" * 65, "a\r\nb", 5)),
        *(
            ("headers", {"x-key": text}, A_VALUE)
            for text in ("", " v", "v ", "v\t", "a\r\nx-b: c", "é", "\x00", "v" * 4097)
        ),
        ("headers", {"x-key": 5}, "headers: the values must be text"),
        ("headers", {"x-key": "****"}, "headers: **** stands for a value that is not shown; send"),
        ("headers", {"x-key": "a", "X-Key": "b"}, "headers: a name is there twice"),
        ("headers", {"Content-Type": "v"}, "headers: content-* is ours to say; leave it out"),
        ("headers", {"WEBHOOK-ID": "v"}, "headers: webhook-* is ours to say; leave it out"),
    ],
)
def test_what_no_endpoint_can_have_is_refused_with_its_field(
    model: type[BaseModel], name: str, value: object, says: str
) -> None:
    with pytest.raises(Invalid) as refused:
        parse(model, {**NEW, name: value})
    assert str(refused.value).startswith(says)
    assert refused.value.param == name


@every("name", RESERVED)
def test_a_header_of_ours_is_refused_in_capitals_too(name: str) -> None:
    for written in (name.replace("*", "x"), name.replace("*", "x").upper()):
        with pytest.raises(Invalid, match="is ours to say") as refused:
            parse(WebhookEndpointRequest, {**NEW, "headers": {written: "v"}})
        assert refused.value.param == "headers"


@every("name", ["x-content-type", "hostname", "authorization", "X_Key", "te2", "user-agent", "!"])
def test_what_only_looks_like_one_of_ours_is_taken(name: str) -> None:
    made = parse(WebhookEndpointRequest, {**NEW, "headers": {name: "v w\t~"}})
    assert made.headers == {name: "v w\t~"}


@every(
    "name, value",
    [
        ("url", "https://example.com/other"),
        ("event_types", ["charge.succeeded", "ping"]),
        ("event_types", []),
        ("description", ""),
        ("description", "d" * 500),
        ("headers", {}),
        ("headers", {f"x-{n}": "v" * 4096 for n in range(20)}),
        ("max_in_flight", 1),
        ("max_in_flight", 1000),
        ("rate_limit", 1),
        ("rate_limit", 1000),
        ("retry_schedule", [1]),
        ("retry_schedule", [604_800] * 20),
        ("ordered", "strict"),
        ("ordered", "relaxed"),
    ],
)
def test_what_one_may_have_is_taken_as_it_is(name: str, value: object) -> None:
    for model in (WebhookEndpointRequest, WebhookEndpointChanges):
        asked: Any = parse(model, {**NEW, name: value})
        assert getattr(asked, name) == value


def test_what_is_not_said_is_as_ever() -> None:
    made = parse(WebhookEndpointRequest, NEW)
    assert (made.max_in_flight, made.rate_limit, made.retry_schedule) == (256, None, None)
    assert (made.ordered, made.headers, [*made.event_types]) == ("relaxed", {}, [])


def test_a_change_takes_a_header_away_by_null_and_a_new_endpoint_has_none_to_take() -> None:
    away = {"headers": {"x-key": None}}
    assert parse(WebhookEndpointChanges, away).headers == {"x-key": None}
    with pytest.raises(Invalid, match="headers: the values must be text"):
        parse(WebhookEndpointRequest, {**NEW, **away})


def test_no_value_of_a_header_is_in_what_is_printed_of_a_request() -> None:
    for model in (WebhookEndpointRequest, WebhookEndpointChanges):
        asked = parse(model, {**NEW, "headers": {"x-key": "k_secret"}})
        assert "k_secret" not in f"{asked!r} {asked}"


@every(
    "model, fields, param, says",
    [
        (SecretRotation, {"overlap_s": 1.0}, "overlap_s", "must be a whole number of seconds"),
        (SecretRotation, {"overlap_s": True}, "overlap_s", "must be a whole number of seconds"),
        (SecretRotation, {"overlap_s": None}, "overlap_s", "must be a whole number of seconds"),
        (SecretRotation, {"overlap_s": -1}, "overlap_s", "must be from 0 to 604800 seconds"),
        (SecretRotation, {"overlap_s": 604_801}, "overlap_s", "must be from 0 to 604800 seconds"),
        (Replay, {"event_ids": "evt_1"}, "event_ids", "must be a list of ids"),
        (Replay, {"event_ids": 5}, "event_ids", "must be a list of ids"),
        (Replay, {"event_ids": []}, "event_ids", "must be 1 to 1000 ids"),
        (Replay, {"event_ids": [5]}, "event_ids", "must be 1 to 1000 ids"),
        (Replay, {"event_ids": ["e"] * 1001}, "event_ids", "must be 1 to 1000 ids"),
        (Replay, {"event_ids": ["e"], "since": AT}, "since", "event_ids or since, not both"),
        (Replay, {"event_ids": ["e"], "until": AT}, "until", "goes with since"),
        (Replay, {"event_ids": ["e"], "only": "all"}, "only", "goes with since"),
        (Replay, {"event_ids": ["e"], "after": 1}, "after", "goes with since"),
        (Replay, {"since": 5}, "since", "must be a moment with its zone"),
        (Replay, {"since": "2026-11-22T10:00:00"}, "since", "must be a moment with its zone"),
        (
            Replay,
            {"since": AT, "only": "some"},
            "only",
            "must be 'undelivered', 'failed', 'missed' or 'all'",
        ),
        (Replay, {"since": AT, "after": True}, "after", "must be the next_after of the call"),
        (Replay, {"since": AT, "after": 2**63}, "after", "must be the next_after of the call"),
    ],
)
def test_what_can_not_be_done_with_one_is_refused_with_its_field(
    model: type[BaseModel], fields: dict[str, Any], param: str, says: str
) -> None:
    with pytest.raises(Invalid) as refused:
        parse(model, fields)
    assert says in str(refused.value)
    assert refused.value.param == param


def test_what_can_be_done_with_one_is_taken() -> None:
    assert parse(SecretRotation, {"overlap_s": 0}).overlap_s == 0
    assert parse(SecretRotation, {"overlap_s": 604_800}).overlap_s == 604_800
    assert parse(Replay, {"event_ids": ["evt_1"] * 1000}).event_ids == ["evt_1"] * 1000
    asked = parse(Replay, {"since": AT, "until": "2026-11-22T12:00:00+01:00", "only": "all"})
    assert asked.since is not None
    assert asked.until is not None
    assert (asked.until - asked.since).total_seconds() == 3600
