"""What a key does by hand leaves a row that says so, whatever the route."""

from collections.abc import Callable, Mapping
from typing import Any

import httpx
import pytest

from api.asgi_app import ROUTES
from tests.support.approvals import an_approval
from tests.support.every import every
from tests.support.factories import Till
from tests.support.web import Caller, Web
from tests.support.webhooks import rows

CHANGING = sorted(route.name for route in ROUTES if not route.methods <= {"GET", "HEAD"})
# Of these the row that they make says who asked, when and by which request; or nobody did, or
# nothing changes.
ELSEWHERE = {
    "create_charge": "the charge's own row",
    "create_refund": "the refund's own row",
    "hear_processor": "the attempts of what the processor told of",
    "quote_price": "it changes nothing",
}
URL = "http://127.0.0.1:9/hook"


@pytest.fixture
def operator(door: Web) -> Any:
    with door.caller(scopes=["operator"]) as client:
        yield client


def an_endpoint(caller: Caller) -> str:
    return str(caller.post("/webhook-endpoints", json={"url": URL}).json()["id"])


def a_delivery(caller: Caller) -> str:
    endpoint = an_endpoint(caller)
    assert caller.post(f"/webhook-endpoints/{endpoint}/ping").status_code == 202
    return str(caller.get(f"/webhook-endpoints/{endpoint}/deliveries").json()["data"][0]["id"])


def a_price(caller: Caller) -> str:
    return str(caller.price(quantity_available=5)["id"])


# For each operation: what it is done to, and the request.
Prepare = Callable[[Caller, Till], str]
Ask = tuple[str, str, Any]
DONE: Mapping[str, tuple[str, Prepare | None, Ask]] = {
    "capture_charge": (
        "charge.capture",
        lambda caller, till: till.authorized(producer=caller.producer),
        ("POST", "/charges/{id}/capture", {}),
    ),
    "cancel_charge": (
        "charge.cancel",
        lambda caller, _: str(caller.charge().json()["charge_id"]),
        ("POST", "/charges/{id}/cancel", {"reason": "Ann changed her mind"}),
    ),
    "create_product": ("product.create", None, ("POST", "/products", {"name": "Tea"})),
    "update_product": (
        "product.update",
        lambda caller, _: caller.product(),
        ("PUT", "/products/{id}", {"name": "Coffee"}),
    ),
    "archive_product": (
        "product.archive",
        lambda caller, _: caller.product(),
        ("PUT", "/products/{id}/archive", None),
    ),
    "delete_product": (
        "product.delete",
        lambda caller, _: caller.product(),
        ("DELETE", "/products/{id}", None),
    ),
    "create_price": (
        "price.create",
        lambda caller, _: caller.product(),
        ("POST", "/prices", {"currency_id": "cur_usd", "unit_amount": "5", "product_id": "{id}"}),
    ),
    "update_price": (
        "price.update",
        lambda caller, _: a_price(caller),
        ("PUT", "/prices/{id}", {"nickname": "cheap"}),
    ),
    "archive_price": (
        "price.archive",
        lambda caller, _: a_price(caller),
        ("PUT", "/prices/{id}/archive", None),
    ),
    "delete_price": (
        "price.delete",
        lambda caller, _: a_price(caller),
        ("DELETE", "/prices/{id}", None),
    ),
    "change_price_inventory": (
        "price.inventory",
        lambda caller, _: a_price(caller),
        ("PUT", "/prices/{id}/inventory", {"quantity": 2, "action": "increment"}),
    ),
    "create_webhook_endpoint": (
        "endpoint.create",
        None,
        ("POST", "/webhook-endpoints", {"url": URL, "headers": {"X-Token": "s3cret-of-theirs"}}),
    ),
    "update_webhook_endpoint": (
        "endpoint.update",
        lambda caller, _: an_endpoint(caller),
        ("PATCH", "/webhook-endpoints/{id}", {"description": "theirs"}),
    ),
    "delete_webhook_endpoint": (
        "endpoint.delete",
        lambda caller, _: an_endpoint(caller),
        ("DELETE", "/webhook-endpoints/{id}", None),
    ),
    "rotate_webhook_secret": (
        "endpoint.rotate_secret",
        lambda caller, _: an_endpoint(caller),
        ("POST", "/webhook-endpoints/{id}/rotate-secret", None),
    ),
    "ping_webhook_endpoint": (
        "endpoint.ping",
        lambda caller, _: an_endpoint(caller),
        ("POST", "/webhook-endpoints/{id}/ping", None),
    ),
    "replay_to_webhook_endpoint": (
        "endpoint.replay",
        lambda caller, _: an_endpoint(caller),
        ("POST", "/webhook-endpoints/{id}/replay", {"since": "2026-01-01T00:00:00Z"}),
    ),
    "approve": (
        "approval.approve",
        lambda caller, till: an_approval(till.engine, till.charged(producer=caller.producer)),
        ("POST", "/approvals/{id}/approve", {"reason": "as agreed"}),
    ),
    "reject": (
        "approval.reject",
        lambda caller, till: an_approval(till.engine, till.charged(producer=caller.producer)),
        ("POST", "/approvals/{id}/reject", {"reason": "not agreed"}),
    ),
    "retry_delivery": (
        "delivery.retry",
        lambda caller, _: a_delivery(caller),
        ("POST", "/deliveries/{id}/retry", None),
    ),
}


def test_every_route_that_changes_something_is_tried_here() -> None:
    assert sorted([*DONE, *ELSEWHERE]) == CHANGING


@every("operation", DONE)
def test_it_leaves_a_row_with_the_key_and_the_request(
    door: Web, operator: Caller, till: Till, operation: str
) -> None:
    action, prepare, (method, path, body) = DONE[operation]
    id_ = prepare(operator, till) if prepare else ""
    if isinstance(body, dict):
        body = {name: id_ if value == "{id}" else value for name, value in body.items()}
    options = {"headers": {"audit-reason": "ticket 12"}} | ({} if body is None else {"json": body})
    answer = operator.request(method, path.replace("{id}", id_), **options)
    assert answer.is_success, answer.text
    (row,) = of_request(door, answer)
    assert (row["action"], row["door"], row["actor_kind"]) == (action, "http", "key")
    assert operator.key.startswith(row["actor"] + "_")
    assert row["producer"] == operator.producer
    # Of an approval, the reason that it must have.
    assert row["reason"] == (body["reason"] if "approval" in action else "ticket 12")
    made = answer.json() if answer.content else {}
    # Of an approval, what it is of.
    on = made.get("object_id") or (id_ if path != "/prices" and id_ else made["id"])
    assert row["object_id"] == on
    assert row["before"] or row["after"]
    kept = str(row)
    assert made.get("secret") is None or made["secret"] not in kept
    assert "s3cret" not in kept
    assert "Ann" not in kept


def of_request(door: Web, answer: httpx.Response) -> Any:
    found = "SELECT * FROM audit_log WHERE request_id = :id"
    return rows(door.engine, found, id=answer.headers["x-request-id"])


def test_a_repeat_and_a_refusal_leave_none(door: Web, operator: Caller) -> None:
    named = {"idempotency-key": "once"}
    first, again = (
        operator.post("/webhook-endpoints", json={"url": URL}, headers=named) for _ in range(2)
    )
    assert first.json()["id"] == again.json()["id"]
    assert len(of_request(door, first)) == 1
    assert of_request(door, again) == []
    assert of_request(door, operator.delete("/products/prod_nobody")) == []


def test_operators_read_it_page_by_page(door: Web, operator: Caller) -> None:
    products = [operator.product() for _ in range(3)]
    who = operator.key.rsplit("_", 1)[0]
    first = operator.get("/audit", params={"actor": who, "limit": 2}).json()
    assert [one["object_id"] for one in first["data"]] == products[:0:-1]
    assert first["has_more"]
    rest = operator.get(
        "/audit", params={"actor": who, "limit": 2, "cursor": first["next_cursor"]}
    ).json()
    assert [one["object_id"] for one in rest["data"]] == products[:1]
    assert not rest["has_more"]
    one = first["data"][0]
    assert one["object"] == "audit_entry"
    assert one["after"]["name"] == "Tea"
    for filters, count in (
        ({"object_id": products[0]}, 1),
        ({"action": "product.create"}, 3),
        ({"action": "product.delete"}, 0),
        ({"since": one["created_at"]}, 1),
        ({"until": one["created_at"]}, 2),
        ({"request_id": one["request_id"]}, 1),
    ):
        found = operator.get("/audit", params={"actor": who, **filters}).json()["data"]
        assert len(found) == count, filters
    assert operator.get("/audit", params={"who": "x"}).status_code == 400
    for name in ("actor", "action", "object_id", "request_id"):
        refused = operator.get("/audit", params={name: "\x00"})
        assert (refused.status_code, refused.json()["param"]) == (400, name)


def test_others_do_not_read_it(caller: Caller) -> None:
    assert caller.get("/audit").status_code == 403


def test_the_sdk_reads_it(door: Web, operator: Caller, unconfigured: None) -> None:
    from infra import billing

    product = operator.product()
    billing.configure(url=door.url, api_key=operator.key)
    (entry,) = billing.audit.list(object_id=product).data
    assert (entry.action, entry.actor_kind, entry.after["id"]) == ("product.create", "key", product)


def test_an_operator_says_why_in_a_header(door: Web, operator: Caller, caller: Caller) -> None:
    why = "Straße gesperrt, ticket 12"
    said = {"audit-reason": why.encode()}
    (row,) = of_request(door, operator.post("/products", json={"name": "Tea"}, headers=said))
    assert row["reason"] == why
    # What others say may be about a customer, and stays for ever.
    (row,) = of_request(door, caller.post("/products", json={"name": "Tea"}, headers=said))
    assert row["reason"] is None
    for wrong in (b"", b"x" * 256, b"\xff", b"card 4242 4242 4242 4242"):
        refused = operator.post("/products", json={"name": "Tea"}, headers={"audit-reason": wrong})
        assert (refused.status_code, refused.json()["param"]) == (400, "Audit-Reason")


def test_why_an_operator_asks_for_money_is_kept_of_what_is_new(
    door: Web, operator: Caller, caller: Caller, till: Till
) -> None:
    charge = till.charged(producer=operator.producer)
    wanted = {
        "charge": ("/charges", {"amount": 1, "currency": "USD"}),
        "refund": ("/refunds", {"charge_id": charge, "amount": 1}),
    }
    for kind, (path, body) in wanted.items():
        said = {"audit-reason": b"ticket 12", "idempotency-key": f"{kind}-{charge}"}
        first, again = (operator.post(path, json=body, headers=said) for _ in range(2))
        assert again.json()[f"{kind}_id"] == first.json()[f"{kind}_id"]
        (row,) = of_request(door, first)
        assert (row["action"], row["object_id"], row["reason"], row["actor_kind"]) == (
            f"{kind}.create", first.json()[f"{kind}_id"], "ticket 12", "key",
        )  # fmt: skip
        assert (row["producer"], row["after"]["amount"]) == (operator.producer, 1)
        assert of_request(door, again) == []
        wrong = operator.post(path, json=body, headers={"audit-reason": b"x" * 256})
        assert (wrong.status_code, wrong.json()["param"]) == (400, "Audit-Reason")
    # Others may say what they like, which nobody reads, and without a word there is no row.
    for who, headers in ((caller, {"audit-reason": b"\xff"}), (operator, {})):
        asked = who.post("/charges", json={"amount": 1, "currency": "USD"}, headers=headers)
        assert asked.status_code == 202
        assert of_request(door, asked) == []
