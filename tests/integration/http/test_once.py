"""Every POST that makes something does it once per key."""

import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from api.asgi_app import ROUTES
from tests.support.factories import Till
from tests.support.web import Caller, Web, insist, made_once

PATH = "/webhook-endpoints"
BODY = {"url": "https://example.com/hooks"}
# They make nothing that a key could tell apart: a quote is only read, and to cancel a charge twice
# is to cancel it once (test_cancel.py). What a processor tells twice is true once, too
# (test_processor_events.py), and what a second person decides (rules/test_approvals.py).
MAKE_NOTHING = {"quote_price", "cancel_charge", "hear_processor", "approve", "reject"}


def under(key: str) -> dict[str, dict[str, str]]:
    return {"headers": {"idempotency-key": key}}


@pytest.fixture
def endpoint(caller: Caller) -> Iterator[dict[str, Any]]:
    made = caller.post(PATH, json=BODY).json()
    yield made
    caller.delete(f"{PATH}/{made['id']}")


def bodies(
    caller: Caller, endpoint: dict[str, Any], till: Till
) -> dict[str, tuple[str, dict[str, Any]]]:
    """For each POST of the API, where it goes and what it says."""
    at = f"{PATH}/{endpoint['id']}"
    charge_id = caller.charge().json()["charge_id"]
    caller.post(f"{at}/ping")
    (delivery,) = caller.get(f"{at}/deliveries").json()["data"]
    set_aside = till.authorized(producer=caller.producer)
    return {
        "capture_charge": (f"/charges/{set_aside}/capture", {"amount": 1}),
        "create_charge": ("/charges", {"amount": 1, "currency": "USD"}),
        "create_refund": ("/refunds", {"charge_id": charge_id, "amount": 1}),
        "retry_delivery": (f"/deliveries/{delivery['id']}/retry", {}),
        "create_product": ("/products", {"name": "Tea"}),
        "create_price": (
            "/prices",
            {"product_id": caller.product(), "currency_id": "cur_usd", "unit_amount": "1"},
        ),
        "create_webhook_endpoint": (PATH, BODY),
        "rotate_webhook_secret": (f"{at}/rotate-secret", {}),
        "ping_webhook_endpoint": (f"{at}/ping", {}),
        "replay_to_webhook_endpoint": (f"{at}/replay", {"since": "2026-11-22T10:00:00Z"}),
    }


POSTS = sorted(
    route.name
    for route in ROUTES
    if "POST" in route.methods and route.path.startswith("/v1/") and route.name not in MAKE_NOTHING
)


@pytest.mark.parametrize("operation", POSTS)
def test_a_repeat_is_answered_the_same_and_does_nothing(
    caller: Caller, endpoint: dict[str, Any], till: Till, operation: str
) -> None:
    path, body = bodies(caller, endpoint, till)[operation]
    key = uuid.uuid4().hex
    first = caller.post(path, json=body, **under(key))
    written = "SELECT (SELECT count(*) FROM webhook_endpoints) + (SELECT count(*) FROM events) AS n"
    before = till.query(written)
    again = caller.post(path, json=body, **under(key))
    assert first.status_code in (200, 201, 202), first.text
    assert "idempotent-replayed" not in first.headers
    assert (again.status_code, again.json()) == (200, first.json())
    assert again.headers["idempotent-replayed"] == "true"
    assert again.headers.get("location") == first.headers.get("location")
    assert till.query(written) == before
    another = {**body, "amount": 2} if "amount" in body else {**body, "url": "https://example.com"}
    if operation in ("create_charge", "create_refund", "create_webhook_endpoint"):
        refused = caller.post(path, json=another, **under(key))
        assert refused.json()["code"] == "idempotency_key_reused"


def test_many_at_once_under_one_key_make_one_endpoint(caller: Caller) -> None:
    key = uuid.uuid4().hex

    def make(_: int) -> httpx.Response:
        return insist(lambda: caller.post(PATH, json=BODY, **under(key)))

    with ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(make, range(8)))
    assert made_once(answers, status=201)
    assert len({a.json()["id"] for a in answers}) == 1
    assert len({a.json()["secret"] for a in answers}) == 1
    assert len(caller.get(PATH).json()["data"]) == 1


def test_keys_of_producers_and_of_operations_never_meet(
    door: Web, caller: Caller, endpoint: dict[str, Any]
) -> None:
    key = uuid.uuid4().hex
    made = caller.post(PATH, json=BODY, **under(key))
    assert caller.post(f"{PATH}/{endpoint['id']}/ping", **under(key)).status_code == 202
    with door.caller() as other:
        anothers = other.post(PATH, json=BODY, **under(key))
    assert (made.status_code, anothers.status_code) == (201, 201)
    assert made.json()["id"] != anothers.json()["id"]


def test_the_secret_is_repeated_for_a_day_and_while_it_is_that_one(
    caller: Caller, till: Till
) -> None:
    key = uuid.uuid4().hex
    first = caller.post(PATH, json=BODY, **under(key)).json()
    till.put(
        "UPDATE requests_made SET created_at = created_at - interval '25 hours'"
        " WHERE idempotency_key = :key", key=key,
    )  # fmt: skip
    later = caller.post(PATH, json=BODY, **under(key)).json()
    assert later == {**first, "secret": None}

    key = uuid.uuid4().hex
    second = caller.post(PATH, json=BODY, **under(key)).json()
    rotated = caller.post(f"{PATH}/{second['id']}/rotate-secret").json()
    again = caller.post(PATH, json=BODY, **under(key)).json()
    assert again["secret"] is None  # and not the new one, which others asked for
    assert rotated["secret"] not in str(till.query("SELECT * FROM requests_made"))
    caller.delete(f"{PATH}/{second['id']}")
    gone = caller.post(PATH, json=BODY, **under(key))
    assert (gone.status_code, gone.json()["param"]) == (404, "idempotency_key")


def test_what_was_refused_leaves_the_key_free(caller: Caller) -> None:
    key = uuid.uuid4().hex
    for wrong in ({"url": "ftp://x"}, {"url": 1.5}, {}):
        assert caller.post(PATH, json=wrong, **under(key)).status_code == 400
    half = b'{"url": "https://example.com", "description": "\\ud800"}'
    assert caller.post(PATH, content=half, **under(key)).status_code == 400
    assert caller.post(PATH, json=BODY, **under(key)).status_code == 201


@pytest.mark.parametrize("where", ["header", "body"])
def test_the_key_may_stand_in_the_header_or_in_the_body(caller: Caller, where: str) -> None:
    key = uuid.uuid4().hex
    body = BODY if where == "header" else {**BODY, "idempotency_key": key}
    sent = under(key) if where == "header" else {}
    first, second = (caller.post(PATH, json=body, **sent) for _ in range(2))
    assert (first.status_code, second.status_code) == (201, 200)
    differ = caller.post(PATH, json={**BODY, "idempotency_key": "x"}, **under(key))
    assert (differ.status_code, differ.json()["param"]) == (400, "idempotency_key")
