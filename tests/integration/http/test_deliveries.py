"""Deliveries over HTTP and with the SDK: looked up, and sent again."""

from typing import Any

import pytest

from infra import billing
from infra.billing.contract.objects import Delivery, DeliveryAttempt
from infra.billing.contract.objects.object_fields import fields_of
from payments.webhooks.delivery_loop import Deliverer
from service.wiring import asked_together
from tests.support.every import every
from tests.support.sdk import sdk_of
from tests.support.sink import Answer, Sink
from tests.support.vault import VAULT
from tests.support.web import Caller, Web
from tests.support.webhooks import LOOPBACK

COOKIE = {"set-cookie": "sid=s3cr3t", "x-request-id": "r-1"}


@pytest.fixture
def endpoint(caller: Caller, sink: Sink) -> Any:
    return caller.post("/webhook-endpoints", json={"url": sink.url}).json()


def drain(door: Web, endpoint: Any) -> None:
    with Deliverer(door.engine, VAULT, together=asked_together, allow_private=LOOPBACK) as running:
        running.drain(endpoint["id"])


def deliveries(caller: Caller, endpoint: Any, **query: Any) -> list[Any]:
    answer = caller.get(f"/webhook-endpoints/{endpoint['id']}/deliveries", params=query)
    assert answer.status_code == 200, answer.text
    return list(answer.json()["data"])


def test_what_became_of_a_webhook_is_told_attempt_by_attempt(
    caller: Caller, door: Web, endpoint: Any, sink: Sink
) -> None:
    ping = caller.post(f"/webhook-endpoints/{endpoint['id']}/ping").json()
    (waiting,) = deliveries(caller, endpoint)
    assert list(waiting) == list(fields_of(Delivery))
    assert (waiting["event_id"], waiting["event_type"]) == (ping["event_id"], "ping")
    assert (waiting["state"], waiting["attempt_count"]) == ("pending", 0)
    sink.answer = Answer(500, headers=COOKIE, body=b"the queue is full")
    drain(door, endpoint)
    (failed,) = deliveries(caller, endpoint)
    assert (failed["state"], failed["status_code"], failed["error"]) == ("pending", 500, None)
    one = caller.get(f"/deliveries/{failed['id']}").json()
    assert {**failed, "attempts": one["attempts"]} == one
    (attempt,) = one["attempts"]
    assert list(attempt) == list(fields_of(DeliveryAttempt))
    assert (attempt["number"], attempt["trigger"]) == (1, "ping")
    assert (attempt["remote_ip"], attempt["response_body"]) == ("127.0.0.1", "the queue is full")
    told = attempt["response_headers"]
    assert (told["set-cookie"], told["x-request-id"]) == ("<hidden>", "r-1")
    assert "s3cr3t" not in str(one)
    assert attempt["tls_ms"] is None
    parts = [attempt[f"{part}_ms"] for part in ("connect", "first_byte")]
    assert all(0 <= part <= attempt["duration_ms"] for part in parts)


def test_a_delivery_is_sent_again_once_per_key(
    caller: Caller, door: Web, endpoint: Any, sink: Sink
) -> None:
    caller.post(f"/webhook-endpoints/{endpoint['id']}/ping")
    drain(door, endpoint)
    (was,) = deliveries(caller, endpoint)
    assert was["state"] == "delivered"
    path, key = f"/deliveries/{was['id']}/retry", {"idempotency-key": "again"}
    again = caller.post(path, headers=key)
    assert (again.status_code, again.json()["state"]) == (202, "pending")
    repeated = caller.post(path, headers=key)
    assert (repeated.status_code, repeated.json()) == (200, again.json())
    assert repeated.headers["idempotent-replayed"] == "true"
    drain(door, endpoint)
    assert caller.post(path, headers=key).status_code == 200
    drain(door, endpoint)
    assert len(sink.requests) == 2
    assert len({request.headers["webhook-id"] for request in sink.requests}) == 1
    one = caller.get(f"/deliveries/{was['id']}").json()
    assert [attempt["trigger"] for attempt in one["attempts"]] == ["ping", "manual"]


def test_nothing_is_sent_again_to_an_endpoint_that_takes_nothing(
    caller: Caller, endpoint: Any
) -> None:
    place = f"/webhook-endpoints/{endpoint['id']}"
    caller.post(f"{place}/ping")
    (one,) = deliveries(caller, endpoint)
    caller.patch(place, json={"state": "disabled"})
    refused = caller.post(f"/deliveries/{one['id']}/retry")
    assert (refused.status_code, refused.json()["code"]) == (409, "endpoint_disabled")
    caller.delete(place)
    refused = caller.post(f"/deliveries/{one['id']}/retry")
    assert (refused.status_code, refused.json()["code"]) == (409, "endpoint_disabled")
    # Its history stays.
    assert [again["id"] for again in deliveries(caller, endpoint)] == [one["id"]]


@every(
    "query",
    [
        {"state": "failed"}, {"event_type": "charge.lost"}, {"event_id": "evt_1"},
        {"since": "yesterday"}, {"until": "2026-11-22"}, {"cursor": "x"}, {"limit": "0"},
        {"producer": "shop"}, {"after_sequence": "-1"}, {"after_sequence": "many"},
    ],
)  # fmt: skip
def test_a_filter_that_is_none_is_refused_by_name(
    caller: Caller, endpoint: Any, query: dict[str, str]
) -> None:
    answer = caller.get(f"/webhook-endpoints/{endpoint['id']}/deliveries", params=query)
    assert answer.status_code == 400
    assert answer.json()["param"] == next(iter(query))


def test_the_sdk_lists_gets_and_retries(
    caller: Caller, door: Web, endpoint: Any, sink: Sink
) -> None:
    with sdk_of(caller):
        pings = [billing.endpoint.ping(endpoint["id"]).event_id for _ in range(3)]
        sink.answer = Answer(503, body=b"later")
        drain(door, endpoint)
        page = billing.delivery.list(endpoint["id"], limit=2, event_type="ping", state="pending")
        listed = list(page.auto_paging_iter())
        assert [one.event_id for one in listed] == pings[::-1]
        (found,) = billing.delivery.list(endpoint["id"], event_id=pings[1]).data
        numbered = billing.delivery.list(endpoint["id"], after_sequence=1).data
        assert [one.sequence for one in numbered] == [2, 3]
        one = billing.delivery.get(found.id)
        assert one.attempts[0].status_code == 503
        assert one.attempts[0].response_body == "later"
        assert billing.delivery.retry(one.id).state == "pending"
        health = billing.endpoint.get(endpoint["id"]).health
        assert (health.attempts, health.success_rate, health.p95_ms) == (3, 0.0, None)
        assert health.oldest_due_at is not None
        sink.answer = Answer(200)
        drain(door, endpoint)
        health = billing.endpoint.list().data[0].health
        assert (health.attempts, health.success_rate) == (4, 0.25)
        assert health.p95_ms is not None
        assert health.last_success_at is not None
