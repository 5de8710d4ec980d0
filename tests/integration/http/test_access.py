"""Who may do what over HTTP: every route × scope × own and others', made from the router itself."""

import re
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest

from api.asgi_app import ROUTES
from infra.billing.contract.ids import dispute_id
from payments.access import scopes
from payments.processors.outcomes import Disputed, Succeeded
from payments.processors.port import ProcessorEvent
from tests.support.every import every
from tests.support.factories import Till
from tests.support.programs import ROOT
from tests.support.web import Caller, Web

V1 = "/v1/billing"
RULED = [r for r in ROUTES if r.path.startswith(V1) and r.name not in scopes.SIGNED]
# With an id in their path; what concerns the catalogue is everybody's.
OF_ONE = [
    route
    for route in RULED
    if "{id}" in route.path
    and not scopes.OPERATIONS[route.name].startswith("prices:")
    # Approvals are for those who see everybody's.
    and scopes.OPERATIONS[route.name] != scopes.OPERATE
]
NOBODYS = {
    "charges": "ch_",
    "refunds": "re_",
    "disputes": "dp_",
    "webhook-endpoints": "we_",
    "deliveries": "del_",
}


def method_of(route: Any) -> str:
    (method,) = route.methods
    return str(method)


def ask(caller: Caller, route: Any, id_: str = "x", **options: Any) -> httpx.Response:
    path = route.path.removeprefix(V1).replace("{id}", id_)
    return caller.request(method_of(route), path, **options)


def told(answer: httpx.Response) -> tuple[int, Any]:
    """What a caller can tell two answers by, but for the id of the request."""
    body = answer.json() if answer.content else None
    if isinstance(body, dict):
        body.pop("request_id", None)
    return answer.status_code, body


@every("scope", scopes.SCOPES)
def test_a_key_may_do_what_its_scope_says_on_every_route_and_nothing_else(
    door: Web, scope: str
) -> None:
    with door.caller(scopes=[scope]) as caller:
        for route in RULED:
            needed = scopes.OPERATIONS[route.name]
            answer = ask(caller, route)
            if needed in scopes.SCOPES[scope]:
                assert answer.status_code not in (401, 403), (route.name, answer.text)
                continue
            assert answer.status_code == 403, (route.name, answer.text)
            problem = answer.json()
            assert problem["code"] == "insufficient_scope"
            assert needed in scopes.SCOPES[problem["scope"]]
            assert repr(problem["scope"]) in problem["detail"]
            assert answer.headers["www-authenticate"] == (
                f'Bearer realm="billing", error="insufficient_scope", scope="{problem["scope"]}"'
            )


def test_no_route_is_open_without_a_key(caller: Caller) -> None:
    del caller.headers["authorization"]
    for route in RULED:
        assert ask(caller, route).status_code == 401, route.name


def test_every_route_has_a_rule_and_every_rule_a_route() -> None:
    assert {route.name for route in RULED} == set(scopes.OPERATIONS)


def test_the_page_has_the_rule_of_every_route() -> None:
    page = (ROOT / "docs/reference/scopes.md").read_text()
    rows = dict(re.findall(r"^\| `([A-Z]+ /[^`]*)` \| `([a-z:]+)` \|", page, re.MULTILINE))
    assert rows == {
        f"{method_of(route)} {route.path.removeprefix(V1)}": scopes.OPERATIONS[route.name]
        for route in RULED
    }


@pytest.fixture
def other(door: Web) -> Iterator[Caller]:
    """Another producer than `caller`."""
    with door.caller() as client:
        yield client


@pytest.fixture
def theirs(other: Caller, till: Till) -> dict[str, str]:
    """What the other producer has, by its place in the path: a paid charge, a refund and a dispute
    of it, a webhook endpoint, and a delivery to that."""
    charge_id = other.charge(reference="order-1").json()["charge_id"]
    till.settle(till.claim(charge_id), Succeeded("sbx_1"))
    refund_id = other.refund(charge_id, amount=1).json()["refund_id"]
    noon = datetime(2026, 11, 29, tzinfo=UTC)
    contested = Disputed(f"dp_{charge_id}", "needs_response", 1, "USD", "fraudulent", noon)
    till.report_all(ProcessorEvent(charge_id, "dispute", contested))
    endpoint = other.post("/webhook-endpoints", json={"url": "https://example.com/hooks"})
    path = f"/webhook-endpoints/{endpoint.json()['id']}"
    other.post(f"{path}/ping")
    (delivery,) = other.get(f"{path}/deliveries").json()["data"]
    return {
        "charges": charge_id,
        "refunds": refund_id,
        "disputes": dispute_id("sandbox", contested.reference),
        "webhook-endpoints": endpoint.json()["id"],
        "deliveries": delivery["id"],
    }


@pytest.mark.parametrize("route", OF_ONE, ids=lambda route: route.name)
def test_what_is_anothers_is_answered_as_what_is_not_there(
    caller: Caller, other: Caller, theirs: dict[str, str], till: Till, route: Any
) -> None:
    place = route.path.removeprefix(f"{V1}/").split("/")[0]
    before = till.query("SELECT e FROM webhook_endpoints e WHERE id = :id", id=theirs[place])
    body = {"json": {"since": "2026-11-22T10:00:00Z"}} if route.path.endswith("/replay") else {}
    if method_of(route) == "PATCH":
        body = {"json": {"url": "https://example.com/mine"}}
    headers = {"prefer": "wait=1"}
    anothers = ask(caller, route, theirs[place], headers=headers, **body)
    nobodys = ask(caller, route, NOBODYS[place] + "a" * 32, headers=headers, **body)
    assert told(anothers) == told(nobodys)
    assert anothers.status_code == 404
    assert (
        till.query("SELECT e FROM webhook_endpoints e WHERE id = :id", id=theirs[place]) == before
    )
    # Its owner may; that it has been paid is the owner's to know.
    mine = ask(other, route, theirs[place], **body)
    is_too_late = route.name in ("cancel_charge", "capture_charge")
    assert mine.status_code == 409 if is_too_late else mine.status_code < 300


def test_lists_and_the_feed_hold_ones_own(
    door: Web, caller: Caller, other: Caller, theirs: dict[str, str], till: Till
) -> None:
    (before,) = till.query("SELECT min(position) AS p FROM events WHERE producer = :p",
                           p=other.producer)  # fmt: skip
    mine = caller.charge(reference="order-1").json()["charge_id"]  # two producers, two orders
    till.settle(till.claim(mine), Succeeded("sbx_1"))  # the feed has what was told
    for path, ids in (
        ("/charges", [mine]),
        ("/charges?reference=order-1", [mine]),
        ("/refunds", []),
        (f"/refunds?charge_id={theirs['charges']}", []),
        ("/webhook-endpoints", []),
        (f"/events?after={before['p'] - 1}", [mine]),
    ):
        page = caller.get(path).json()
        assert [one.get("charge_id") or one["data"]["charge_id"] for one in page["data"]] == ids
        assert page["has_more"] is False
    with door.caller(all_producers=True) as operator:
        assert operator.get(f"/charges/{theirs['charges']}").status_code == 200
        found = operator.get("/charges?reference=order-1&limit=2").json()["data"]
        assert [one["charge_id"] for one in found] == [mine, theirs["charges"]]
        assert theirs["refunds"] in operator.get(f"/refunds?charge_id={theirs['charges']}").text


def test_another_producers_charge_is_refunded_only_by_those_who_see_it(
    door: Web, caller: Caller, other: Caller, theirs: dict[str, str], till: Till
) -> None:
    answers = []
    for charge_id in (theirs["charges"], "ch_" + "a" * 32):
        for more in ({}, {"if_pending": "reject"}, {"expected_refunded_amount": 1}):
            answer = caller.refund(charge_id, **more)
            status, body = told(answer)
            for name in ("refund_id", "charge_id", "created_at", "idempotency_key"):
                body.pop(name, None)
            answers.append((status, body))
    assert answers[:3] == answers[3:]
    assert till.row(theirs["charges"])["refund_reserved"] == 1

    with door.caller(all_producers=True, scopes=["refunds:write", "charges:read"]) as operator:
        refund = operator.refund(theirs["charges"], amount=2).json()
        assert (refund["producer"], refund["amount"]) == (operator.producer, 2)
    # It belongs to whose money went back.
    assert other.get(f"/refunds/{refund['refund_id']}").json() == refund
    assert refund["refund_id"] in other.get("/refunds").text
    assert till.row(theirs["charges"])["refund_reserved"] == 3


def test_a_charge_that_is_held_is_not_waited_for_by_those_who_may_not_refund_it(
    door: Web, caller: Caller, other: Caller, theirs: dict[str, str], till: Till
) -> None:
    with door.engine.begin() as person:
        till_row = "SELECT 1 FROM charges WHERE id = :id FOR UPDATE"
        person.exec_driver_sql(till_row.replace(":id", f"'{theirs['charges']}'"))
        assert (
            caller.refund(theirs["charges"]).status_code
            == caller.refund("ch_" + "a" * 32).status_code
        )
        held = other.refund(theirs["charges"])
        assert (held.status_code, held.json()["code"]) == (503, "temporarily_held")


def test_a_timeline_tells_of_deliveries_to_ones_own_endpoints(door: Web, caller: Caller) -> None:
    url = f"https://example.com/{uuid.uuid4().hex}"
    with door.caller(all_producers=True) as operator:
        made = operator.post(
            "/webhook-endpoints", json={"url": f"{url}/all", "event_types": ["charge.pending"]}
        ).json()
        assert made["producer"] is None
        own = {"url": f"{url}/own", "event_types": ["charge.pending"]}
        assert caller.post("/webhook-endpoints", json=own).json()["producer"] == caller.producer
        charge_id = caller.charge().json()["charge_id"]
        path = f"/charges/{charge_id}/timeline"
        assert f"{url}/own" in caller.get(path).text
        assert f"{url}/all" not in caller.get(path).text
        assert f"{url}/all" in operator.get(path).text
        assert operator.delete(f"/webhook-endpoints/{made['id']}").status_code == 204


def test_an_endpoint_is_for_ones_own_producer_and_by_those_who_see_all_for_any(
    door: Web, caller: Caller
) -> None:
    body = {"url": "https://example.com/hooks"}
    refused = caller.post("/webhook-endpoints", json={**body, "producer": "somebody"})
    assert (refused.status_code, refused.json()["param"]) == (400, "producer")
    same = caller.post("/webhook-endpoints", json={**body, "producer": caller.producer})
    assert same.json()["producer"] == caller.producer
    with door.caller(scopes=["operator"]) as operator:
        for producer in ("somebody", None):
            made = operator.post("/webhook-endpoints", json={**body, "producer": producer}).json()
            assert made["producer"] == producer
            operator.delete(f"/webhook-endpoints/{made['id']}")


def test_products_and_prices_are_everybodys(caller: Caller, other: Caller) -> None:
    price = other.price(lookup_key=uuid.uuid4().hex)
    assert caller.get(f"/prices/{price['id']}").json() == price
    assert caller.buy(price["id"], 1).status_code == 202
    assert caller.put(f"/prices/{price['id']}", json={"nickname": "ours"}).status_code == 200
