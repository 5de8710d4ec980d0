"""Lists over HTTP: pages, filters, and refusals of what is neither."""

from datetime import datetime, timedelta

import pytest

from tests.support.factories import Till
from tests.support.web import Caller


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


@pytest.mark.parametrize(
    ("query", "param"),
    [
        ("limit=0", "limit"), ("limit=101", "limit"), ("limit=x", "limit"), ("limit=1.5", "limit"),
        ("state=done", "state"), ("phase=later", "phase"), ("cursor=x", "cursor"),
        ("cursor=%00", "cursor"), ("created_after=yesterday", "created_after"),
        ("created_after=2026-11-22T10:00:00", "created_after"), ("custmer_id=1", "custmer_id"),
        ("customer_id=%00", "customer_id"), ("idempotency_key=order-1", "idempotency_key"),
        ("created_after=99999-01-01T00:00:00Z", "created_after"), ("Limit=1", None),
        ("charge_id=ch_1", "charge_id"),
    ],
)  # fmt: skip
def test_what_is_no_filter_is_refused_by_name(
    caller: Caller, query: str, param: str | None
) -> None:
    refused = caller.get(f"/charges?{query}")
    assert refused.status_code == 400
    assert (refused.json()["code"], refused.json()["param"]) == ("invalid_request", param)
