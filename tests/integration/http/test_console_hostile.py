"""The console and what no page of it would send: it answers with a page that says so, and does
nothing twice."""

import re
from collections.abc import Iterator

import pytest

from tests.support.console import Visitor, visitor
from tests.support.web import Caller, Web, a_key, nobody

OF_NOBODY = "a" * 32
# A `bigint` holds 19 digits; Python reads no number of more than 4300.
TOO_LONG = "0" * 19 + "1" + "9" * 5000


@pytest.fixture
def ann(door: Web) -> Iterator[Visitor]:
    """An operator at the console."""
    with visitor(door) as client:
        yield client


def _added(ann: Visitor) -> str:
    """The page of an endpoint that was added."""
    made = ann.act("/new/endpoints/add", url="http://127.0.0.1:9/hook")
    found = re.search(r'href="/console(/endpoints/we_\w+)"', made.text)
    assert found, made.text
    return found[1]


def _times_done(ann: Visitor, page: str, action: str) -> int:
    """How often the audit says that this was done to the object of the page."""
    shown = ann.get(f"/audit?object_id={page.rpartition('/')[2]}&action={action}").text
    return shown.count(f"<td>{action}</td>")


@pytest.mark.parametrize("path", [
    "/charges?customer_id=%00", "/charges?reference=%00",
    "/refunds?charge_id=%00", "/endpoints?cursor=%00", "/prices?cursor=%00",
    f"/endpoints/we_{OF_NOBODY}?state=%00", "/search?q=%00", "/search?q=x&cursor=%00",
    "/audit?actor=%00", "/audit?action=%00", "/audit?object_id=%00", "/audit?request_id=%00",
    "/audit?cursor=%00", "/audit?since=0001-01-01T00:00:00%2B23:59",
    "/audit?until=9999-12-31T23:59:59-23:59",
    "/disputes?charge_id=%00", "/disputes?cursor=%00", "/disputes/%00", "/takings?period=%00",
    "/takings?to=%00", "/books?at=%00", "/books?seals=%00",
    "/books?seals=9999-12-31T23:59:59-23:59",
    "/charges/%00", "/endpoints/%00", "/deliveries/%00", "/prices/%00", "/keys/%00",
    "/quarantine/%00", f"/quarantine/{TOO_LONG[:50]}", f"/quarantine/{TOO_LONG}",
    "/charges/%00/refund", "/endpoints/%00/ping", "/deliveries/%00/retry", "/prices/%00/archive",
    "/keys/%00/revoke", "/%00/%00/%00",
])  # fmt: skip
def test_what_can_be_nothing_of_ours_is_refused_in_words(ann: Visitor, path: str) -> None:
    answer = ann.get(path)
    assert answer.status_code in (400, 404)
    assert "That didn’t work" in answer.text


@pytest.mark.parametrize("origin", ["http://[", "null", "", "x", "http://a:b:c", "\xff"])
@pytest.mark.parametrize(("site", "status"), [(None, 403), ("same-origin", 303)])
def test_an_origin_that_is_no_address_is_no_fault(
    door: Web, origin: str, site: str | None, status: int
) -> None:
    headers = {"origin": origin.encode("latin-1")} | ({"sec-fetch-site": site} if site else {})
    with nobody(f"{door.url}/console") as client:
        sent = {"key": a_key(door.engine, "shop-of-an-origin"), "name": "Ann"}
        assert client.post("/login", data=sent, headers=headers).status_code == status


def test_metadata_that_is_named_like_a_moment_is_shown_as_it_is(
    ann: Visitor, caller: Caller
) -> None:
    said = {"seen_at": "the till", "paid_at": "2026-11-30", "left_at": "2026-11-30T00:00:00Z"}
    id_ = caller.charge(metadata=said).json()["charge_id"]
    shown = ann.get(f"/charges/{id_}")
    assert shown.status_code == 200
    for value in said.values():
        assert f"</span> {value}</div>" in shown.text


def test_a_fee_is_shown_in_the_currency_in_which_it_was_settled(
    ann: Visitor, caller: Caller, door: Web
) -> None:
    id_ = caller.charge(amount=1999, currency="USD").json()["charge_id"]
    with door.engine.begin() as connection:
        connection.exec_driver_sql(
            "UPDATE charges SET fee = 50, net = 300, settlement_currency = 'JPY' WHERE id = %s",
            (id_,),
        )
    shown = ann.get(f"/charges/{id_}").text
    assert "50 JPY" in shown
    assert "300 JPY" in shown


@pytest.mark.parametrize("hours", ["0", "-1", "8761", "00000199999999", TOO_LONG])
def test_hours_that_are_too_many_are_refused_on_the_form(ann: Visitor, hours: str) -> None:
    refused = ann.act(f"{_added(ann)}/replay", hours=hours, only="all")
    assert refused.status_code == 400
    assert "how many hours" in refused.text


def test_a_secret_is_rotated_once_however_often_the_form_is_sent(ann: Visitor) -> None:
    """A second rotation would end the secret that the receiver still has."""
    path = f"{_added(ann)}/rotate"
    sent = {**ann.form(path), "why": "as agreed"}
    first, second = (re.findall("whsec_[^<]+", ann.post(path, data=sent).text) for _ in range(2))
    assert len(first) == 1
    assert first == second


def test_an_endpoint_is_added_once_however_often_the_form_is_sent(ann: Visitor) -> None:
    path = "/new/endpoints/add"
    sent = {**ann.form(path), "why": "as agreed", "url": "http://127.0.0.1:9/once"}
    first, second = (re.findall(r"we_\w{32}", ann.post(path, data=sent).text) for _ in range(2))
    assert first
    assert first == second


def test_a_key_is_made_once_and_its_secret_is_not_shown_again(ann: Visitor) -> None:
    path = "/new/keys/create"
    sent = {**ann.form(path), "why": "as agreed", "producer": "shop-once", "scopes": "read"}
    first, second = ann.post(path, data=sent), ann.post(path, data=sent)
    (key,) = re.findall(r"(key_[a-z2-7]{16})_[a-z2-7]{52}", first.text)
    assert (second.status_code, second.headers["location"].partition("?")[0]) == (
        303,
        f"/console/keys/{key}",
    )


def test_a_form_that_was_sent_says_so_and_may_be_sent_as_another_one(ann: Visitor) -> None:
    path = "/new/keys/create"
    sent = {**ann.form(path), "why": "as agreed", "producer": "shop-once", "scopes": "read"}
    assert "key_" in ann.post(path, data=sent).text
    other = {**sent, "scopes": "operator"}
    refused = ann.post(path, data=other)
    assert refused.status_code == 422
    assert "This form was sent before" in refused.text
    (key,) = re.findall(r'name="key" value="(\w+)"', refused.text)
    assert key != sent["key"]
    assert re.search(r"key_[a-z2-7]{16}_", ann.post(path, data={**other, "key": key}).text)


@pytest.mark.parametrize("name", ["ping", "replay"])
def test_webhooks_are_sent_once_however_often_the_form_is_sent(ann: Visitor, name: str) -> None:
    endpoint = _added(ann)
    if name == "replay":
        assert ann.act(f"{endpoint}/ping").status_code == 303
    path = f"{endpoint}/{name}"
    fields = {} if name == "ping" else {"hours": "1", "only": "all"}
    sent = {**ann.form(path), "why": "as agreed", **fields}
    for _ in range(2):
        assert ann.post(path, data=sent).status_code == 303
    assert _times_done(ann, endpoint, f"endpoint.{name}") == 1


def test_a_webhook_is_sent_again_once_however_often_the_form_is_sent(ann: Visitor) -> None:
    endpoint = _added(ann)
    assert ann.act(f"{endpoint}/ping").status_code == 303
    found = re.search(r'href="/console(/deliveries/del_\w+)"', ann.get(endpoint).text)
    assert found
    sent = {**ann.form(f"{found[1]}/retry"), "why": "twice"}
    for _ in range(2):
        assert ann.post(f"{found[1]}/retry", data=sent).status_code == 303
    assert _times_done(ann, found[1], "delivery.retry") == 1
