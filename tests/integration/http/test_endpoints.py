"""Webhook endpoints over HTTP."""

import json
from collections.abc import Iterator

import pytest
from sqlalchemy import text

from infra import billing
from payments.webhooks.delivery_loop import Deliverer
from service.wiring import asked_together
from tests.support.every import every
from tests.support.sdk import sdk_of
from tests.support.sink import Sink
from tests.support.vault import VAULT
from tests.support.web import Caller, Web
from tests.support.webhooks import LOOPBACK

PATH = "/webhook-endpoints"
FIELDS = [
    "id", "object", "producer", "url", "description", "event_types",
    "max_in_flight", "headers", "rate_limit", "retry_schedule", "ordered", "trace_context", "state",
    "disabled_because", "failing_since", "held_back_until", "held_back_because", "created_at",
    "health",
]  # fmt: skip


@pytest.fixture
def endpoint(caller: Caller, sink: Sink) -> Iterator[dict]:
    """An endpoint that is asked for and deleted over HTTP."""
    body = {"url": sink.url, "event_types": ["request.rejected"], "description": "a test"}
    made = caller.post(PATH, json=body)
    assert made.status_code == 201, made.text
    assert made.headers["location"] == f"/v1/billing{PATH}/{made.json()['id']}"
    yield made.json()
    caller.delete(f"{PATH}/{made.json()['id']}")


@pytest.fixture
def deliverer(door: Web) -> Iterator[Deliverer]:
    with Deliverer(door.engine, VAULT, together=asked_together, allow_private=LOOPBACK) as running:
        yield running


def test_a_secret_is_shown_when_it_is_made_and_never_again(caller: Caller, endpoint: dict) -> None:
    assert list(endpoint) == [*FIELDS, "secret"]
    assert endpoint["secret"].startswith("whsec_")
    read = caller.get(f"{PATH}/{endpoint['id']}")
    assert list(read.json()) == FIELDS
    assert endpoint["secret"] not in caller.get(PATH).text


def test_pages_of_endpoints_hold_each_once(caller: Caller, sink: Sink) -> None:
    made = {caller.post(PATH, json={"url": sink.url}).json()["id"] for _ in range(3)}
    found, cursor = [], ""
    while True:
        page = caller.get(PATH, params={"limit": 2, "cursor": cursor}).json()
        found += [one["id"] for one in page["data"]]
        if not page["has_more"]:
            break
        cursor = page["next_cursor"]
    assert made <= set(found)
    assert len(found) == len(set(found))
    for id_ in made:
        assert caller.delete(f"{PATH}/{id_}").status_code == 204


def test_what_is_sent_changes_and_the_rest_stays(caller: Caller, endpoint: dict) -> None:
    path = f"{PATH}/{endpoint['id']}"
    changed = caller.patch(path, json={"state": "disabled", "description": None})
    assert changed.status_code == 200
    secret_free = {name: endpoint[name] for name in FIELDS}
    assert changed.json() == {**secret_free, "state": "disabled", "description": None}
    refused = caller.post(f"{path}/ping")
    assert (refused.status_code, refused.json()["code"]) == (409, "endpoint_disabled")


def test_what_is_deleted_is_gone(caller: Caller, endpoint: dict) -> None:
    path = f"{PATH}/{endpoint['id']}"
    assert caller.delete(path).status_code == 204
    for answer in (caller.get(path), caller.delete(path), caller.patch(path, json={})):
        assert (answer.status_code, answer.json()["code"]) == (404, "not_found")


def test_a_ping_arrives_signed_with_the_old_secret_and_the_new(
    caller: Caller, endpoint: dict, sink: Sink, deliverer: Deliverer
) -> None:
    rotated = caller.post(f"{PATH}/{endpoint['id']}/rotate-secret", json={"overlap_s": 60}).json()
    assert rotated["secret"] != endpoint["secret"]
    pinged = caller.post(f"{PATH}/{endpoint['id']}/ping")
    assert pinged.status_code == 202
    deliverer.drain(endpoint["id"])
    (received,) = sink.wait_for(1)
    for secret in (endpoint["secret"], rotated["secret"]):
        event = billing.webhook.verify(received.body, received.headers, secret)
        assert (event.id, event.type) == (pinged.json()["event_id"], "ping")


def test_a_rotation_needs_no_body(caller: Caller, endpoint: dict) -> None:
    rotated = caller.post(f"{PATH}/{endpoint['id']}/rotate-secret")
    assert rotated.status_code == 200
    assert rotated.json()["secret"] != endpoint["secret"]


def test_events_are_sent_again_under_their_own_ids(
    caller: Caller, endpoint: dict, sink: Sink, deliverer: Deliverer
) -> None:
    event_id = caller.post(f"{PATH}/{endpoint['id']}/ping").json()["event_id"]
    for replay in ({"event_ids": [event_id]}, {"since": endpoint["created_at"], "only": "all"}):
        deliverer.drain(endpoint["id"])
        answer = caller.post(f"{PATH}/{endpoint['id']}/replay", json=replay)
        assert answer.status_code == 202, answer.text
        assert answer.json()["replayed"] == 1
    deliverer.drain(endpoint["id"])
    assert {one.headers["webhook-id"] for one in sink.wait_for(3)} == {event_id}


@every(
    "path, body, param",
    [
        ("", {}, "url"), ("", {"url": "ftp://x"}, "url"), ("", {"url": 5}, "url"),
        ("", {"url": "https://example.com", "event_types": ["x"]}, "event_types"),
        ("", {"url": "https://example.com", "secret": "mine"}, "secret"),
        ("", {"url": "https://example.com", "description": "\ud800"}, "description"),
        ("", {"url": "https://example.com/\ud800"}, "url"),
        ("/rotate-secret", {"overlap_s": -1}, "overlap_s"),
        ("/rotate-secret", {"overlap": 5}, "overlap"),
        ("/replay", {}, "event_ids"), ("/replay", {"since": 5}, "since"),
        ("/replay", {"since": "2026-11-22T10:00:00"}, "since"),
        ("/replay", {"event_ids": []}, "event_ids"),
        ("/replay", {"event_ids": ["evt_nobody"]}, "event_ids"),
        ("/replay", {"since": "2026-11-22T10:00:00Z", "only": "some"}, "only"),
        ("/replay", {"since": "2026-11-22T10:00:00Z", "after": True}, "after"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named(
    caller: Caller, endpoint: dict, path: str, body: dict, param: str
) -> None:
    where = f"{PATH}/{endpoint['id']}{path}" if path else PATH
    refused = caller.post(where, content=json.dumps(body))  # in ASCII: half a character, too
    assert refused.status_code == 400, refused.text
    assert refused.json()["param"] == param


def test_how_many_are_under_way_at_once_can_be_set_and_is_bounded(
    caller: Caller, endpoint: dict
) -> None:
    path = f"{PATH}/{endpoint['id']}"
    assert endpoint["max_in_flight"] == 256
    assert caller.patch(path, json={"max_in_flight": 3}).json()["max_in_flight"] == 3
    refused = caller.patch(path, json={"max_in_flight": 1001}).json()
    assert (refused["param"], refused["status"]) == ("max_in_flight", 400)
    with sdk_of(caller):
        made = billing.endpoint.create(url=endpoint["url"], max_in_flight=1)
        assert made.max_in_flight == 1
        assert billing.endpoint.update(made.id, max_in_flight=2).max_in_flight == 2
        with pytest.raises(billing.InvalidRequest, match="from 1 to 1000"):
            billing.endpoint.update(made.id, max_in_flight=0)
        billing.endpoint.delete(made.id)


def test_every_setting_is_taken_shown_changed_and_unset(caller: Caller) -> None:
    body = {
        "url": "https://example.com/hooks",
        "headers": {"x-key": "k"},
        "rate_limit": 50,
        "retry_schedule": [60, 600],
        "ordered": "strict",
        "trace_context": "forward",
    }
    made = caller.post(PATH, json=body)
    assert made.status_code == 201, made.text
    masked = {**body, "headers": {"x-key": "****"}}
    path = f"{PATH}/{made.json()['id']}"
    assert {name: caller.get(path).json()[name] for name in body} == masked
    changed = caller.patch(path, json={"headers": {"x-new": "n", "x-key": None}, "rate_limit": 9})
    assert changed.json() == caller.get(path).json()
    assert (changed.json()["headers"], changed.json()["rate_limit"]) == ({"x-new": "****"}, 9)
    unset = caller.patch(path, json=dict.fromkeys((*body.keys() - {"url"},))).json()
    assert (unset["headers"], unset["rate_limit"]) == ({}, None)
    assert (unset["retry_schedule"], unset["ordered"]) == (None, "relaxed")
    assert unset["trace_context"] == "off"
    for wrong, param in (
        ({"headers": {"Content-Length": "1"}}, "headers"),
        ({"rate_limit": 1001}, "rate_limit"),
        ({"retry_schedule": [0]}, "retry_schedule"),
        ({"ordered": "no"}, "ordered"),
    ):
        for refused in (
            caller.patch(path, json=wrong),
            caller.post(PATH, json={"url": body["url"], **wrong}),
        ):
            assert (refused.status_code, refused.json()["param"]) == (400, param)
    caller.delete(path)


def test_the_sdk_sets_changes_and_unsets_them(caller: Caller) -> None:
    with sdk_of(caller):
        made = billing.endpoint.create(
            url="https://example.com/hooks",
            headers={"x-key": "k"},
            rate_limit=50,
            retry_schedule=[60, 600],
            ordered="strict",
        )
        assert (made.headers, made.rate_limit) == ({"x-key": "****"}, 50)
        assert (made.retry_schedule, made.ordered) == ([60, 600], "strict")
        changed = billing.endpoint.update(made.id, headers={"x-key": None, "x-new": "n"})
        assert (changed.headers, changed.rate_limit) == ({"x-new": "****"}, 50)
        unset = billing.endpoint.update(
            made.id, headers=None, rate_limit=None, retry_schedule=None, ordered=None
        )
        assert (unset.headers, unset.rate_limit, unset.retry_schedule) == ({}, None, None)
        assert unset.ordered == "relaxed"
        with pytest.raises(billing.InvalidRequest, match="rate_limit must be a whole number"):
            billing.endpoint.create(url="https://example.com/hooks", rate_limit=0)
        billing.endpoint.delete(made.id)


def test_the_value_of_a_header_is_sent_and_nowhere_else(
    caller: Caller, door: Web, sink: Sink, deliverer: Deliverer
) -> None:
    secret = "k_5ecretvalue"
    key = {"idempotency-key": f"headers-{sink.url}"}
    body = {"url": sink.url, "headers": {"x-key": secret}}
    made = caller.post(PATH, json=body, headers=key)
    again = caller.post(PATH, json=body, headers=key)
    assert (made.status_code, again.status_code) == (201, 200)
    other = caller.post(PATH, json={**body, "headers": {"x-key": "k_other"}}, headers=key)
    assert (other.status_code, other.json()["code"]) == (422, "idempotency_key_reused")
    path = f"{PATH}/{made.json()['id']}"
    caller.post(f"{path}/ping")
    deliverer.drain(made.json()["id"])
    (received,) = sink.wait_for(1)
    assert received.headers["x-key"] == secret
    caller.patch(path, json={"state": "disabled"})
    told = [made.text, again.text, caller.get(path).text, received.body.decode()]
    with door.engine.connect() as connection:
        tables = "SELECT tablename FROM pg_tables WHERE schemaname = current_schema()"
        for (table,) in connection.execute(text(tables)).all():
            told += map(str, connection.execute(text(f'SELECT t FROM "{table}" t')).all())
    assert not [one for one in told if secret in one]
    caller.delete(path)


def test_an_endpoint_that_is_disabled_over_http_is_told_to_the_others(
    caller: Caller, sink: Sink, deliverer: Deliverer
) -> None:
    one, other = (caller.post(PATH, json={"url": sink.url}).json() for _ in range(2))
    caller.patch(f"{PATH}/{one['id']}", json={"state": "disabled"})
    deliverer.drain(other["id"])
    (told,) = (r.json() for r in sink.requests if r.json()["data"].get("id") == one["id"])
    assert (told["type"], told["data"]["state"]) == ("endpoint.disabled", "disabled")
    for each in (one, other):
        caller.delete(f"{PATH}/{each['id']}")
