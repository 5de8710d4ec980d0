"""The tests that a scratch copy runs, in which a webhook endpoint has a `team`: it is taken, kept,
changed, unset and shown at every door."""

from typing import Any

from infra import billing as sdk
from tests.support.command import Billing
from tests.support.sdk import sdk_of
from tests.support.web import Caller

NEW: dict[str, Any] = {"url": "https://example.com/hooks"}
PATH = "/webhook-endpoints"


def test_http_takes_changes_unsets_and_bounds_it(caller: Caller) -> None:
    made = caller.post(PATH, json={**NEW, "team": "payments"})
    assert (made.status_code, made.json()["team"]) == (201, "payments")
    path = f"{PATH}/{made.json()['id']}"
    assert caller.get(path).json()["team"] == "payments"
    assert caller.patch(path, json={"team": "shop"}).json()["team"] == "shop"
    assert caller.patch(path, json={"description": "x"}).json()["team"] == "shop"
    assert caller.patch(path, json={"team": None}).json()["team"] is None
    for refused in (
        caller.patch(path, json={"team": "x" * 41}),
        caller.post(PATH, json={**NEW, "team": ""}),
    ):
        assert (refused.status_code, refused.json()["param"]) == (400, "team")


def test_the_sdk_takes_it_and_shows_it(caller: Caller) -> None:
    with sdk_of(caller):
        made = sdk.endpoint.create(**NEW, team="payments")
        assert made.team == "payments"
        assert sdk.endpoint.update(made.id, team="shop").team == "shop"


def test_the_command_line_takes_it_and_shows_it(billing: Billing) -> None:
    made = billing("endpoint", "add", NEW["url"], "--team", "payments", "--json").json
    assert made["team"] == "payments"
    assert billing("endpoint", "update", made["id"], "--team", "", "--json").json["team"] is None


def test_it_is_described(caller: Caller) -> None:
    schemas = caller.get(f"{caller.url}/openapi.json").json()["components"]["schemas"]
    for name in ("WebhookEndpoint", "WebhookEndpointRequest", "WebhookEndpointChanges"):
        assert schemas[name]["properties"]["team"]["description"]
