"""Lists over HTTP: pages, filters, and refusals of what is neither."""

import base64
import json
from datetime import datetime, timedelta

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support.every import every
from tests.support.factories import Till
from tests.support.web import Caller, Web


def ids(page: dict) -> list[str]:
    return [charge["charge_id"] for charge in page["data"]]


def test_pages_hold_everything_once_newest_first(caller: Caller) -> None:
    customer = f"cus_{caller.producer}"
    made = [caller.charge(customer_id=customer).json()["charge_id"] for _ in range(5)]
    found, cursor = [], None
    while True:
        query = {"customer_id": customer, "limit": "2"} | ({"cursor": cursor} if cursor else {})
        page = caller.get("/charges", params=query).json()
        found += ids(page)
        caller.charge(customer_id=customer)  # what is new comes before, and moves nothing
        cursor = page["next_cursor"]
        assert page["has_more"] is (cursor is not None)
        if not cursor:
            break
    assert found == made[::-1]


def test_filters_narrow_it_down(caller: Caller, till: Till) -> None:
    customer, reference = f"cus_{caller.producer}", f"order-{caller.producer}"
    one = caller.charge(customer_id=customer, reference=reference).json()
    other = caller.charge(customer_id=customer).json()
    till.claim(other["charge_id"])

    def found(**query: str) -> set[str]:
        page = caller.get("/charges", params={"customer_id": customer, **query})
        assert page.status_code == 200, page.text
        return set(ids(page.json()))

    both = {one["charge_id"], other["charge_id"]}
    assert found() == found(state="pending") == both
    assert found(state="succeeded") == set()
    assert found(reference=reference) == {one["charge_id"]}
    assert found(phase="in_flight") == {other["charge_id"]}
    price = caller.price(lookup_key=caller.producer)
    bought = caller.buy(price["id"], 1, customer_id=customer).json()
    assert found(price_id=price["id"]) == {bought["charge_id"]}
    assert found(price_id=caller.producer) == {bought["charge_id"]}
    unknown = caller.get("/charges", params={"price_id": "coffee"})
    assert (unknown.status_code, unknown.json()["param"]) == (400, "price_id")
    both.add(bought["charge_id"])
    assert found(created_after=one["created_at"]) == both
    assert found(created_before=other["created_at"]) == {one["charge_id"]}
    # In a URL an unescaped plus is a space.
    shifted = datetime.fromisoformat(one["created_at"]) + timedelta(hours=2)
    zoned = shifted.isoformat().replace("+00:00", "+02:00")
    assert found(created_before=zoned.replace("+", " ")) == set()


def test_refunds_are_listed_by_charge(caller: Caller) -> None:
    charge_id = caller.charge().json()["charge_id"]
    refund = caller.refund(charge_id).json()
    page = caller.get("/refunds", params={"charge_id": charge_id}).json()
    assert page == {"data": [refund], "has_more": False, "next_cursor": None}


@every(
    "query, param",
    [
        ("limit=0", "limit"), ("limit=101", "limit"), ("limit=x", "limit"), ("limit=1.5", "limit"),
        ("state=done", "state"), ("phase=later", "phase"), ("cursor=x", "cursor"),
        ("cursor=%00", "cursor"), ("created_after=yesterday", "created_after"),
        ("created_after=2026-11-22T10:00:00", "created_after"), ("custmer_id=1", "custmer_id"),
        ("customer_id=%00", "customer_id"), ("idempotency_key=order-1", "idempotency_key"),
        ("created_after=99999-01-01T00:00:00Z", "created_after"), ("Limit=1", None),
        ("charge_id=ch_1", "charge_id"),
        ("created_after=0001-01-01T00:00:00%2B23:59", "created_after"),
        ("created_before=9999-12-31T23:59:59-23:59", "created_before"),
    ],
)  # fmt: skip
def test_what_is_no_filter_is_refused_by_name(
    caller: Caller, query: str, param: str | None
) -> None:
    refused = caller.get(f"/charges?{query}")
    assert refused.status_code == 400
    assert (refused.json()["code"], refused.json()["param"]) == ("invalid_request", param)


def cursor_of(place: str) -> str:
    return base64.urlsafe_b64encode(place.encode()).decode().rstrip("=")


@every(
    "place",
    [
        '["2026-01-01T00:00:00+00:00","\\ud800"]', "[" * 20_000, '["2026-01-01T00:00:00+00:00"]',
        '["2026-01-01T00:00:00","ch_x"]', "{}", "null", "5", '["x","y"]', '[1,2]', "\x00",
        '["2026-01-01T00:00:00+00:00","ch_\\u0000"]', '["9999-12-31T23:59:59-14:00","ch_x"]',
    ],
    ids=lambda place: place[:40],
)  # fmt: skip
def test_a_cursor_that_was_tampered_with_is_refused(caller: Caller, place: str) -> None:
    refused = caller.get("/charges", params={"cursor": cursor_of(place)})
    assert (refused.status_code, refused.json()["param"]) == (400, "cursor")


@settings(
    max_examples=60,
    deadline=None,
    derandomize=True,
    suppress_health_check=[
        HealthCheck.function_scoped_fixture,
        HealthCheck.too_slow,
    ],  # the door forgets nothing
)
@given(st.one_of(st.text(), st.recursive(st.none() | st.text() | st.integers(), st.lists)))
def test_no_cursor_is_more_than_refused(door: Web, place: object) -> None:
    with door.caller() as caller:
        for cursor in (str(place), cursor_of(json.dumps(place))):
            assert caller.get("/charges", params={"cursor": cursor}).status_code in (200, 400)
            assert caller.get("/refunds", params={"cursor": cursor}).status_code in (200, 400)
