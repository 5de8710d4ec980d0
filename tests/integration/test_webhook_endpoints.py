"""Endpoints: what may be registered, and how it is switched on and off."""

from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import Engine

from payments.errors import InvalidRequest, NotFound
from payments.transaction import Database, Transaction
from payments.webhooks import endpoints
from payments.webhooks.signature import key_of
from payments.webhooks.target import TargetCheck

URL = "https://example.com/webhooks"


@pytest.fixture
def transaction(engine: Engine) -> Iterator[Transaction]:
    with Database(engine).transaction() as transaction:
        yield transaction


def added(transaction: Transaction, **fields: Any) -> Any:
    return endpoints.add(transaction, **{"url": URL, "target_check": TargetCheck(), **fields})


def test_an_endpoint_begins_enabled_with_a_secret_of_its_own(transaction: Transaction) -> None:
    one, another = added(transaction), added(transaction)
    assert one["id"].startswith("we_")
    assert one["state"] == "enabled"
    assert one["event_types"] == []
    assert len(key_of(one["secrets"][0])) == 32
    assert one["secrets"] != another["secrets"]
    assert endpoints.get(transaction, one["id"]) == one


def test_event_types_and_a_description_are_kept(transaction: Transaction) -> None:
    types = ["charge.succeeded", "charge.pending", "charge.succeeded"]
    endpoint = added(transaction, event_types=types, description="the shop")
    assert endpoint["event_types"] == ["charge.succeeded", "charge.pending"]
    assert endpoint["description"] == "the shop"


@pytest.mark.parametrize(
    ("fields", "param", "fix"),
    [
        ({"url": "http://example.com/"}, "url", "https://"),
        ({"url": "https://127.0.0.1/"}, "url", "BILLING_WEBHOOK_ALLOW_PRIVATE"),
        ({"event_types": "charge.succeeded"}, "event_types", "list"),
        ({"event_types": ["charge.success"]}, "event_types", "charge.succeeded, "),
        ({"event_types": [["charge.succeeded"]]}, "event_types", "charge.succeeded, "),
        ({"event_types": 7}, "event_types", "list"),
        ({"description": "x" * 501}, "description", "500"),
        ({"description": "\x00"}, "description", "text"),
        ({"description": 7}, "description", "text"),
    ],
)
def test_what_is_wrong_is_named_with_its_fix(
    transaction: Transaction, fields: dict[str, Any], param: str, fix: str
) -> None:
    with pytest.raises(InvalidRequest, match=fix) as refused:
        added(transaction, **fields)
    assert refused.value.param == param


def test_the_list_comes_in_pages(transaction: Transaction) -> None:
    ids = sorted(added(transaction)["id"] for _ in range(5))
    first = endpoints.listed(transaction, limit=3)
    rest = endpoints.listed(transaction, limit=3, after=first[-1]["id"])
    assert [row["id"] for row in [*first, *rest]] == ids


def test_enabling_wakes_the_drainer_for_what_waited(transaction: Transaction) -> None:
    endpoint = added(transaction)
    assert endpoints.disable(transaction, endpoint["id"])["state"] == "disabled"
    assert transaction.wakes.endpoints == set()
    assert endpoints.enable(transaction, endpoint["id"])["state"] == "enabled"
    assert transaction.wakes.endpoints == {endpoint["id"]}


@pytest.mark.parametrize("verb", [endpoints.get, endpoints.enable, endpoints.disable])
def test_an_unknown_id_is_not_found(transaction: Transaction, verb: Any) -> None:
    with pytest.raises(NotFound):
        verb(transaction, "we_nobody")
