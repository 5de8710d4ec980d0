"""The tests that a scratch copy runs, in which a charge has a `gift_note`: it is taken,
kept, put into the order for the processor, and shown at every door."""

import json
from base64 import b64decode
from pathlib import Path
from typing import Any

import redis

from infra import billing as sdk
from infra.billing.contract.requests.charge_request import ChargeRequest
from payments.parsing import parse
from tests.support.command import Billing
from tests.support.factories import Till
from tests.support.sdk import unconfigured
from tests.support.web import CHARGE, Caller

FIELD, SAID = "gift_note", "FOR ADA"
ASKED = {**CHARGE, FIELD: SAID}


def test_http_takes_it_and_everybody_is_told(caller: Caller, till: Till) -> None:
    asked = {"url": "https://example.com/hooks", "event_types": ["charge.pending"]}
    assert caller.post("/webhook-endpoints", json=asked).status_code == 201
    posted = caller.charge(**ASKED)
    assert (posted.status_code, posted.json()[FIELD]) == (202, SAID)
    id_ = posted.json()["charge_id"]
    assert till.row(id_)[FIELD] == SAID
    assert caller.get(f"/charges/{id_}").json()[FIELD] == SAID
    (event,) = till.query("SELECT body FROM events WHERE object_id = :id", id=id_)
    assert json.loads(event["body"])["data"][FIELD] == SAID  # what webhooks and the feed tell
    with unconfigured():
        sdk.configure(url=caller.url, api_key=caller.key)
        assert sdk.charge.get(id_).gift_note == SAID
        assert sdk.charge.create(**ASKED)[FIELD] == SAID
    assert getattr(till.claim(id_).order, FIELD) == SAID  # what the processor is asked


def test_it_is_part_of_what_a_key_was_used_for(caller: Caller) -> None:
    assert caller.charge("order-1", **ASKED).status_code == 202
    assert caller.charge("order-1", **ASKED).status_code == 200
    assert caller.charge("order-1").status_code == 422


def test_too_long_a_one_is_refused_by_its_name(caller: Caller) -> None:
    refused = caller.charge(**{FIELD: "x" * 23})
    assert (refused.status_code, refused.json()["param"]) == (400, FIELD)


def test_a_message_brings_it_as_far_as_the_processor(till: Till, redis_url: str) -> None:
    with unconfigured():
        sdk.configure(url=redis_url)
        assert sdk.charge.create(**ASKED)[FIELD] == SAID
    with redis.Redis.from_url(redis_url) as broker:
        (message,) = broker.lrange("payments", 0, -1)
    _, kwargs, _ = json.loads(b64decode(json.loads(message)["body"]))
    (begun,) = till.create(parse(ChargeRequest, kwargs))
    order: Any = begun.order  # type: ignore[union-attr]
    assert getattr(order, FIELD) == SAID


def test_the_command_line_takes_it_and_shows_it(billing: Billing) -> None:
    money = ("--amount", "1999", "--currency", "USD")
    made = billing("charge", "create", *money, "--gift-note", SAID, "--json").json
    assert made[FIELD] == SAID
    assert billing("charge", "get", made["charge_id"], "--json").json[FIELD] == SAID


def test_a_column_of_a_file_takes_it(billing: Billing, tmp_path: Path) -> None:
    file = tmp_path / "charges.csv"
    file.write_text(f"amount,currency,{FIELD}\n1999,USD,{SAID}\n")
    assert billing("charge", "import", str(file)).code == 0
    (made,) = billing("charge", "list", "--json").json
    assert made[FIELD] == SAID


def test_it_is_described(caller: Caller) -> None:
    schemas = caller.get(f"{caller.url}/openapi.json").json()["components"]["schemas"]
    for name in ("Charge", "ChargeByAmount", "ChargeByPrice"):
        assert schemas[name]["properties"][FIELD]["description"]
