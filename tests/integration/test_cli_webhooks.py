"""Keys and webhooks on the command line."""

from typing import Any

import pytest
from sqlalchemy import Engine

from infra.billing.contract.ids import event_id
from tests.support.command import Billing
from tests.support.every import every
from tests.support.programs import Programs
from tests.support.sink import Answer, Sink
from tests.support.webhooks import deliveries, events_happen, rows

HOOK = "https://127.0.0.1:9/hook"


@pytest.fixture
def endpoint(billing: Billing) -> Any:
    return billing("endpoint", "add", HOOK, "--json").json


def test_a_key_stands_alone_on_stdout_and_is_listed_without_its_secret(billing: Billing) -> None:
    made = billing("keys", "create", "shop", "--scope", "read")
    (key,) = made.out.splitlines()
    assert made.code == 0
    assert "the key of shop (read), shown now and never again" in made.err
    assert key not in made.err
    listed = billing("keys", "list")
    assert key.rpartition("_")[0] in listed.out
    assert key.rpartition("_")[2] not in listed.out
    (row,) = billing("keys", "list", "--json").json
    assert (row["producer"], row["scopes"], row["revoked_at"]) == ("shop", ["read"], None)


def test_a_key_for_programs_may_do_everything_unless_told(billing: Billing) -> None:
    made = billing("keys", "create", "shop", "--json")
    assert made.json["key"].startswith(made.json["id"] + "_")
    assert made.json["scopes"] == ["read", "write"]
    assert made.err == ""


def test_a_key_is_revoked_by_its_id_or_by_itself(billing: Billing) -> None:
    one, other = (billing("keys", "create", "shop", "--json").json for _ in range(2))
    assert billing("keys", "revoke", one["id"], "--json").json["revoked_at"]
    revoked = billing("keys", "revoke", other["key"])
    assert revoked.code == 0
    assert other["key"] not in revoked.out
    assert all(row["revoked_at"] for row in billing("keys", "list", "--json").json)


@every(
    "arguments, said",
    [
        (("keys", "create", "the shop"), "PRODUCER: must be 1 to 64"),
        (("keys", "create", "shop", "--scope", "admin"), "--scope must be some of read, write"),
        (("keys", "revoke", "key_x"), "there is no API key"),
        (("endpoint", "rotate", "we_x"), "no webhook endpoint"),
        (("endpoint", "update", "we_x", "--url", "ftp://x"), "url must be like https://"),
        (("webhook", "replay", "we_x", "--since", "2026-01-01"), "no webhook endpoint"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_what_is_refused_is_said(billing: Billing, arguments: tuple[str, ...], said: str) -> None:
    told = billing(*arguments)
    assert (told.code, told.out) == (1, "")
    assert said in told.err


@every(
    "arguments",
    [
        ("keys", "create"),
        ("endpoint", "rotate", "we_x", "--overlap", "soon"),
        ("endpoint", "update", "we_x", "--every-event", "--event", "charge.failed"),
        ("webhook", "replay", "we_x", "--since", "yesterday"),
    ],
    ids=" ".join,
)
def test_wrong_usage_ends_with_2(billing: Billing, arguments: tuple[str, ...]) -> None:
    assert billing(*arguments).code == 2


def test_an_endpoint_is_changed_in_what_is_given(billing: Billing, endpoint: Any) -> None:
    id_ = endpoint["id"]
    changed = billing(
        "endpoint", "update", id_, "--event", "charge.failed", "--description", "shop", "--json"
    ).json
    assert (changed["event_types"], changed["description"]) == (["charge.failed"], "shop")
    assert changed["url"] == HOOK
    again = billing("endpoint", "update", id_, "--every-event", "--description", "", "--json").json
    assert (again["event_types"], again["description"]) == ([], None)


def test_a_new_secret_is_shown_once(billing: Billing, endpoint: Any) -> None:
    rotated = billing("endpoint", "rotate", endpoint["id"])
    assert rotated.out.count("whsec_") == 1
    assert endpoint["secret"] not in rotated.out
    assert billing("endpoint", "rotate", endpoint["id"], "--overlap", "999999999").code == 1


def test_a_deleted_endpoint_is_listed_no_more(billing: Billing, endpoint: Any) -> None:
    assert billing("endpoint", "delete", endpoint["id"], "--json").json["state"] == "deleted"
    assert billing("endpoint", "list", "--json").json == []
    assert billing("endpoint", "ping", endpoint["id"]).code == 1


def test_events_are_replayed_by_id_and_by_time(
    billing: Billing, endpoint: Any, engine: Engine
) -> None:
    ids = [event_id(charge_id, 1) for charge_id in events_happen(engine, 3)]
    rows(engine, "UPDATE deliveries SET state = 'delivered', next_attempt_at = NULL")
    told = billing(
        "webhook", "replay", endpoint["id"], "--event", ids[0], "--event", ids[1], "--json"
    )
    assert told.json == {"endpoint_id": endpoint["id"], "replayed": 2}
    assert [row["state"] for row in deliveries(engine)] == ["pending", "pending", "delivered"]
    since = ("--since", "2026-01-01", "--json")
    assert billing("webhook", "replay", endpoint["id"], *since).json["replayed"] == 2
    assert billing("webhook", "replay", endpoint["id"], *since, "--only", "all").json[
        "replayed"
    ] == len(ids)


def test_a_long_replay_goes_on_until_all_is_sent(
    billing: Billing, endpoint: Any, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    from payments.webhooks import replays

    monkeypatch.setattr(replays, "EVENTS_MAX", 3)
    events_happen(engine, 8)
    told = billing("webhook", "replay", endpoint["id"], "--since", "2026-01-01", "--json")
    assert told.json["replayed"] == 8


def test_a_ping_waits_for_its_answer(billing: Billing, programs: Programs, sink: Sink) -> None:
    id_ = billing("endpoint", "add", sink.url, "--json").json["id"]
    waited = billing("endpoint", "ping", id_, "--wait", "0.1", "--json")
    assert waited.code == 1
    assert waited.error == {
        "code": "not_delivered", "detail": "not delivered: nothing yet after 0.1 s", "param": None
    }  # fmt: skip
    programs.start("webhooks")
    told = billing("endpoint", "ping", id_, "--wait", "20", "--json")
    assert told.code == 0, told
    assert (told.json["state"], told.json["status_code"]) == ("delivered", 204)
    sink.answer = Answer(410, body=b"\x1b[31mgone")
    refused = billing("endpoint", "ping", id_, "--wait", "20")
    assert refused.code == 1
    assert "not delivered: 410" in refused.err
    assert "\\x1b[31mgone" in refused.out  # no terminal obeys a stranger


def test_how_many_webhooks_are_under_way_at_once_is_an_option(billing: Billing) -> None:
    added = billing("endpoint", "add", HOOK, "--max-in-flight", "1", "--json").json
    assert added["max_in_flight"] == 1
    changed = billing("endpoint", "update", added["id"], "--max-in-flight", "5", "--json").json
    assert changed["max_in_flight"] == 5
    refused = billing("endpoint", "update", added["id"], "--max-in-flight", "1001")
    assert (refused.code, "from 1 to 1000" in refused.err) == (1, True)


def test_every_setting_of_an_endpoint_is_an_option(billing: Billing) -> None:
    set_ = ("--rate-limit", "50", "--retry-schedule", "60, 600", "--ordered", "strict")
    added = billing(
        "endpoint", "add", HOOK, "--header", "x-key=k=1", "--header", "x-other=o", *set_, "--json"
    ).json
    assert (added["rate_limit"], added["retry_schedule"]) == (50, [60, 600])
    assert (added["ordered"], added["headers"]) == ("strict", {"x-key": "****", "x-other": "****"})
    changed = billing(
        "endpoint", "update", added["id"], "--header", "x-new=n", "--unset-header", "x-key",
        "--rate-limit", "", "--retry-schedule", "", "--ordered", "", "--json",
    ).json  # fmt: skip
    assert changed["headers"] == {"x-other": "****", "x-new": "****"}
    unset = (changed["rate_limit"], changed["retry_schedule"], changed["ordered"])
    assert unset == (None, None, "relaxed")


@every(
    "typed, said",
    [
        (("--rate-limit", "0"), "--rate-limit must be a whole number from 1 to 1000"),
        (("--rate-limit", "many"), "--rate-limit must be a whole number from 1 to 1000"),
        (("--retry-schedule", "60,soon"), "--retry-schedule must be a list of 1 to 20"),
        (("--ordered", "mostly"), "--ordered must be 'strict' or 'relaxed'"),
        (("--header", "host=x"), "--header: host is ours to say; leave it out"),
    ],
)
def test_a_setting_that_can_not_be_is_refused_by_its_option(
    billing: Billing, typed: tuple[str, ...], said: str
) -> None:
    refused = billing("endpoint", "add", HOOK, *typed)
    assert (refused.code, refused.out) == (1, "")
    assert said in refused.err


def test_a_header_without_a_value_is_a_matter_of_usage(billing: Billing) -> None:
    refused = billing("endpoint", "add", HOOK, "--header", "x-key:k_secret")
    assert refused.code == 2
    assert "NAME=VALUE" in refused.err
    assert "k_secret" not in refused.err


@pytest.mark.parametrize("options", [(), ("--event", "evt_x", "--since", "2026-01-01")])
def test_a_replay_says_which_of_its_options_it_needs(billing: Billing, options: Any) -> None:
    told = billing("webhook", "replay", "we_x", *options)
    assert (told.code, "give --event, or --since and perhaps --until" in told.err) == (2, True)
