"""Endpoints: what may be registered, and how it is switched on and off."""

from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import Engine, text

from infra.billing.contract.signatures import key_of
from models.rows import columns_of
from payments.payment_errors import InvalidRequest, NotFound
from payments.transaction import Transaction
from payments.views import moment
from payments.webhooks import endpoints, headers
from payments.webhooks.pings import ping
from payments.webhooks.sealed import open_headers
from payments.webhooks.target import TargetCheck
from tests.support.acting import Database
from tests.support.every import every
from tests.support.vault import VAULT, opened

URL = "https://example.com/webhooks"


@pytest.fixture
def transaction(engine: Engine) -> Iterator[Transaction]:
    with Database(engine).transaction() as transaction:
        yield transaction


def added(transaction: Transaction, **fields: Any) -> Any:
    given = {"url": URL, "target_check": TargetCheck(), "vault": VAULT, **fields}
    row, secret = endpoints.add(transaction, **given)
    assert opened(row).secrets == [secret]
    return row


def rotated(transaction: Transaction, endpoint_id: str, **fields: Any) -> Any:
    row, secret = endpoints.rotate_secret(transaction, endpoint_id, vault=VAULT, **fields)
    assert opened(row).secrets[0] == secret
    return row


def test_an_endpoint_begins_enabled_with_a_secret_of_its_own(transaction: Transaction) -> None:
    one, another = added(transaction), added(transaction)
    assert one.id.startswith("we_")
    assert one.state == "enabled"
    assert one.event_types == []
    assert len(key_of(opened(one).secrets[0])) == 32
    assert opened(one).secrets != opened(another).secrets
    assert endpoints.get(transaction, one.id) == one


def test_event_types_and_a_description_are_kept(transaction: Transaction) -> None:
    types = ["charge.succeeded", "charge.pending", "charge.succeeded"]
    endpoint = added(transaction, event_types=types, description="the shop")
    assert endpoint.event_types == ["charge.succeeded", "charge.pending"]
    assert endpoint.description == "the shop"


@every(
    "fields, param, fix",
    [
        ({"url": "http://example.com/"}, "url", "https://"),
        ({"url": "https://127.0.0.1/"}, "url", "BILLING_WEBHOOK_ALLOW_PRIVATE"),
        ({"event_types": "charge.succeeded"}, "event_types", "list"),
        ({"event_types": ["charge.success"]}, "event_types", "charge.succeeded, "),
        ({"event_types": [["charge.succeeded"]]}, "event_types", "charge.succeeded, "),
        ({"event_types": 7}, "event_types", "list"),
        ({"description": "x" * 501}, "description", "500"),
        ({"description": "\x00"}, "description", "must not contain control characters"),
        ({"description": "\ud800"}, "description", "text"),
        ({"description": 7}, "description", "text"),
        *(
            ({"max_in_flight": n}, "max_in_flight", "from 1 to 1000")
            for n in (0, 1001, -1, True, "8", 1.5)
        ),
    ],
)
def test_what_is_wrong_is_named_with_its_fix(
    transaction: Transaction, fields: dict[str, Any], param: str, fix: str
) -> None:
    with pytest.raises(InvalidRequest, match=fix) as refused:
        added(transaction, **fields)
    assert refused.value.param == param


def test_how_many_are_under_way_at_once_is_said_or_256(transaction: Transaction) -> None:
    assert added(transaction).max_in_flight == 256
    endpoint = added(transaction, max_in_flight=1)
    assert endpoints.view(endpoint)["max_in_flight"] == 1
    assert change(transaction, endpoint.id, max_in_flight=1000).max_in_flight == 1000
    assert change(transaction, endpoint.id, max_in_flight=None).max_in_flight == 256


def kept(endpoint: Any) -> dict[str, str]:
    """Its headers; their values are in no column as they are."""
    sealed = headers.kept(endpoint.header_names, endpoint.header_values)
    found = open_headers(VAULT, endpoint.id, sealed)
    assert not set(found.values()) & set(sealed.values())
    return found


def test_what_is_set_stays_until_it_is_changed_or_unset(transaction: Transaction) -> None:
    set_ = {"rate_limit": 50, "retry_schedule": [60, 600], "ordered": "strict"}
    endpoint = added(transaction, headers={"x-key": "k"}, max_in_flight=9, **set_)
    shown = endpoints.view(endpoint)
    assert {name: shown[name] for name in set_} == set_
    assert shown["headers"] == {"x-key": "****"}
    changed = change(transaction, endpoint.id, rate_limit=5)
    assert columns_of(changed) == columns_of(endpoint) | {"rate_limit": 5}
    unset = dict.fromkeys((*set_, "headers", "max_in_flight", "event_types", "description"))
    as_new = endpoints.view(change(transaction, endpoint.id, **unset))
    assert as_new == endpoints.view(added(transaction)) | {
        "id": endpoint.id,
        "created_at": shown["created_at"],
    }


def test_headers_are_merged_into_those_that_are_there(transaction: Transaction) -> None:
    endpoint = added(transaction, headers={"X-Key": "k", "x-other": "o"})
    merged = change(transaction, endpoint.id, headers={"x-key": "l", "x-new": "n"})
    assert kept(merged) == {"x-other": "o", "x-key": "l", "x-new": "n"}
    fewer = change(transaction, endpoint.id, headers={"X-OTHER": None, "x-unknown": None})
    assert kept(fewer) == {"x-key": "l", "x-new": "n"}
    assert kept(change(transaction, endpoint.id, headers={})) == kept(fewer)
    with pytest.raises(InvalidRequest, match="these would be 21, and 20 is the most") as refused:
        change(transaction, endpoint.id, headers={f"x-{n}": "v" for n in range(19)})
    assert refused.value.param == "headers"
    assert kept(change(transaction, endpoint.id, headers=None)) == {}


@every(
    "url, given, is_taken",
    [
        ("https://example.com/elsewhere", {}, True),
        ("https://EXAMPLE.com:443/elsewhere", {}, True),
        ("https://example.org/webhooks", {}, False),
        ("https://example.com:8443/webhooks", {}, False),
        ("https://example.org/webhooks", {"x-key": "l"}, False),
        ("https://example.org/webhooks", {"x-key": "l", "x-other": None}, True),
        ("https://example.org/webhooks", {"x-key": "l", "X-Other": "o"}, True),
        ("https://example.org/webhooks", None, True),
    ],
)
def test_values_of_headers_do_not_go_to_a_host_that_they_were_not_for(
    transaction: Transaction, url: str, given: Any, is_taken: bool
) -> None:
    endpoint = added(transaction, headers={"x-key": "k_secret", "x-other": "o_secret"})
    if is_taken:
        moved = change(transaction, endpoint.id, url=url, headers=given)
        assert moved.url == url.replace("EXAMPLE.com:443", "example.com")
        return
    with pytest.raises(InvalidRequest, match="x-other were not for the new url's host") as refused:
        change(transaction, endpoint.id, url=url, headers=given)
    assert refused.value.param == "headers"
    assert "secret" not in str(refused.value)
    assert endpoints.get(transaction, endpoint.id) == endpoint


def told_of(transaction: Transaction, endpoint_id: str) -> list[tuple[str, int, list[str]]]:
    """The events about an endpoint: type, sequence, and which endpoints are told."""
    rows = transaction.execute(
        text(
            "SELECT e.type, e.sequence, array_remove(array_agg(d.endpoint_id), NULL) AS told"
            " FROM events e LEFT JOIN deliveries d ON d.event_id = e.id"
            " WHERE e.object_id = :id GROUP BY e.id ORDER BY e.sequence"
        ),
        {"id": endpoint_id},
    )
    return [(row.type, row.sequence, sorted(row.told)) for row in rows]


@pytest.mark.parametrize("verb", ["disable", "update"])
def test_the_others_are_told_when_an_endpoint_is_disabled(
    transaction: Transaction, verb: str
) -> None:
    one, everything, asks = (
        added(transaction, event_types=types) for types in ([], [], ["endpoint.disabled"])
    )
    added(transaction, event_types=["charge.succeeded"])
    shop = added(transaction, producer="shop")  # sees its own producer's only
    for _ in range(2):  # the second changes nothing, and is no news
        if verb == "disable":
            endpoints.disable(transaction, one.id)
        else:
            change(transaction, one.id, state="disabled")
    told = sorted([everything.id, asks.id])
    assert told_of(transaction, one.id) == [("endpoint.disabled", 1, told)]
    assert set(told) <= transaction.wakes.endpoints
    # It counts with its pings.
    endpoints.enable(transaction, one.id)
    ping(transaction, one.id)
    endpoints.disable(transaction, one.id)
    assert [(kind, n) for kind, n, _ in told_of(transaction, one.id)] == [
        ("endpoint.disabled", 1),
        ("ping", 2),
        ("endpoint.disabled", 3),
    ]
    endpoints.disable(transaction, shop.id)
    assert told_of(transaction, shop.id) == [
        ("endpoint.disabled", 1, sorted([everything.id, asks.id]))
    ]


def test_the_list_comes_in_pages(transaction: Transaction) -> None:
    ids = sorted(added(transaction).id for _ in range(5))
    first = endpoints.listed(transaction, limit=3)
    rest = endpoints.listed(transaction, limit=3, after=first[-1].id)
    assert [row.id for row in [*first, *rest]] == ids


def test_enabling_wakes_the_drainer_for_what_waited(transaction: Transaction) -> None:
    endpoint = added(transaction)
    assert endpoints.disable(transaction, endpoint.id).state == "disabled"
    assert transaction.wakes.endpoints == set()
    assert endpoints.enable(transaction, endpoint.id).state == "enabled"
    assert transaction.wakes.endpoints == {endpoint.id}


def change(transaction: Transaction, endpoint_id: str, **changes: object) -> Any:
    check = TargetCheck()
    return endpoints.update(
        transaction, endpoint_id, changes=changes, target_check=check, vault=VAULT
    )


def test_what_is_not_changed_stays(transaction: Transaction) -> None:
    endpoint = added(transaction, event_types=["charge.failed"], description="the shop")
    assert change(transaction, endpoint.id) == endpoint
    moved = change(transaction, endpoint.id, url="https://example.com/new")
    assert columns_of(moved) == columns_of(endpoint) | {"url": "https://example.com/new"}


def test_all_that_can_be_changed_is_changed_at_once(transaction: Transaction) -> None:
    endpoint = added(transaction, event_types=["charge.failed"], description="the shop")
    changed = change(
        transaction,
        endpoint.id,
        url="https://example.com/new",
        event_types=["refund.failed"],
        description=None,
        state="disabled",
    )
    assert endpoints.view(changed) == {
        "id": endpoint.id,
        "object": "webhook_endpoint",
        "producer": None,
        "url": "https://example.com/new",
        "description": None,
        "event_types": ["refund.failed"],
        "max_in_flight": 256,
        "headers": {},
        "rate_limit": None,
        "retry_schedule": None,
        "ordered": "relaxed",
        "trace_context": "off",
        "state": "disabled",
        "disabled_because": None,
        "failing_since": None,
        "held_back_until": None,
        "held_back_because": None,
        "created_at": moment(endpoint.created_at),
        "health": {
            "attempts": 0,
            "success_rate": None,
            "p95_ms": None,
            "last_success_at": None,
            "oldest_due_at": None,
            "local_fault": None,
            "local_fault_at": None,
        },
    }
    assert endpoints.get(transaction, endpoint.id) == changed


@every(
    "changes, param, fix",
    [
        ({"url": "http://example.com/"}, "url", "https://"),
        ({"url": None}, "url", "string"),
        ({"event_types": ["charge.success"]}, "event_types", "charge.succeeded, "),
        ({"description": 7}, "description", "text"),
        ({"state": "deleted"}, "state", "must be 'enabled' or 'disabled'"),
        ({"state": None}, "state", "must be 'enabled' or 'disabled'"),
        ({"secrets": [], "producer": "x"}, "secrets", "'secrets', 'producer' can't be"),
        ({"4000 0000 0000 0002": 1}, None, "one of the names sent can't be changed"),
    ],
)
def test_a_wrong_change_is_named_and_changes_nothing(
    transaction: Transaction, changes: dict[str, Any], param: str | None, fix: str
) -> None:
    endpoint = added(transaction)
    with pytest.raises(InvalidRequest, match=fix) as refused:
        change(transaction, endpoint.id, **{"description": "new", **changes})
    assert refused.value.param == param
    assert endpoints.get(transaction, endpoint.id) == endpoint


def test_who_asks_for_more_is_not_owed_the_past(engine: Engine) -> None:
    with Database(engine).transaction() as transaction:
        endpoint = added(transaction)
    with Database(engine).transaction() as transaction:
        described = change(transaction, endpoint.id, description="x", state="enabled")
        assert described.subscribed_at == endpoint.subscribed_at
        asking = change(transaction, endpoint.id, event_types=["charge.pending"])
        assert asking.subscribed_at > endpoint.subscribed_at


def test_a_deleted_endpoint_is_gone_and_its_secrets_are_wiped(transaction: Transaction) -> None:
    kept, endpoint = added(transaction), added(transaction)
    rotated(transaction, endpoint.id)
    transaction.execute(
        text("UPDATE webhook_endpoints SET header_names = '{x-key}', header_values = '{k}'")
    )
    deleted = endpoints.delete(transaction, endpoint.id)
    assert (deleted.secrets, deleted.header_names, deleted.header_values) == ([], [], [])
    assert [row.id for row in endpoints.listed(transaction)] == [kept.id]
    with pytest.raises(NotFound):
        endpoints.get(transaction, endpoint.id)


def test_pages_go_on_behind_an_endpoint_that_was_deleted_meanwhile(
    transaction: Transaction,
) -> None:
    ids = sorted(added(transaction).id for _ in range(3))
    endpoints.delete(transaction, ids[0])
    assert [row.id for row in endpoints.listed(transaction, after=ids[0])] == ids[1:]
    with pytest.raises(InvalidRequest):
        endpoints.listed(transaction, after="\x00")


def test_a_new_secret_comes_first_and_the_one_before_stays_for_a_day(
    transaction: Transaction,
) -> None:
    endpoint = added(transaction)
    first = rotated(transaction, endpoint.id)
    assert len(key_of(opened(first).secrets[0])) == 32
    assert first.secrets[1:] == endpoint.secrets
    assert (first.older_secrets_until - first.created_at).total_seconds() == 86_400
    second = rotated(transaction, endpoint.id, overlap_s=60)
    assert second.secrets[1:] == first.secrets[:1]  # the first of all is dropped


def test_a_secret_that_leaked_is_dropped_at_once(transaction: Transaction) -> None:
    endpoint = added(transaction)
    row = rotated(transaction, endpoint.id, overlap_s=0)
    assert len(row.secrets) == 1
    assert opened(row).secrets != opened(endpoint).secrets
    assert row.older_secrets_until is None


@every("overlap_s", [-1, 7 * 86_400 + 1, 1.5, "60", True, None])
def test_an_overlap_is_seconds_of_a_week(transaction: Transaction, overlap_s: object) -> None:
    endpoint = added(transaction)
    with pytest.raises(InvalidRequest) as refused:
        rotated(transaction, endpoint.id, overlap_s=overlap_s)
    assert refused.value.param == "overlap_s"


@every(
    "verb",
    [
        endpoints.get,
        endpoints.enable,
        endpoints.disable,
        endpoints.delete,
        rotated,
        change,
        ping,
    ],
)
@every("id_", ["we_nobody", "\x00", "we_" + "a" * 32, "deleted"])
def test_an_unknown_id_is_not_found(transaction: Transaction, verb: Any, id_: str) -> None:
    if id_ == "deleted":
        id_ = endpoints.delete(transaction, added(transaction).id).id
    with pytest.raises(NotFound):
        verb(transaction, id_)
