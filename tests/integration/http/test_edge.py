"""What every request passes: ids, problem documents, methods, and how a bug is answered."""

import gzip
import re

import httpx

from tests.support.every import every
from tests.support.web import Caller, Web, ask


def test_an_answer_names_its_request(caller: Caller) -> None:
    assert re.fullmatch(r"req_[0-9a-f]{32}", caller.get("/charges").headers["x-request-id"])
    given = caller.get("/charges", headers={"x-request-id": "shop-42.a_b"})
    assert given.headers["x-request-id"] == "shop-42.a_b"
    refused = caller.get("/charges/x", headers={"x-request-id": "shop-43"})
    assert refused.json()["request_id"] == "shop-43"


@every(
    "given",
    ["a b", "a@example.com", "x" * 65, "", "4242424242424242", "pm_4242-4242-4242-4242", "ä"],
)
def test_what_may_not_stand_in_a_log_is_no_request_id(caller: Caller, given: str) -> None:
    answer = caller.get("/charges", headers=[(b"x-request-id", given.encode())])
    assert answer.headers["x-request-id"].startswith("req_")


def test_a_path_that_is_none_is_a_problem(door: Web) -> None:
    for path in ("/", "/v1", "/v1/billing/charges/", "/docs", "/v1/billing/charge"):
        answer = ask(door.url + path)
        assert answer.headers["content-type"] == "application/problem+json"
        assert (answer.status_code, answer.json()["code"]) == (404, "no_such_path")


def test_another_method_is_told_which_there_are(caller: Caller) -> None:
    answer = caller.put("/charges", json={})
    assert (answer.status_code, answer.json()["code"]) == (405, "method_not_allowed")
    assert answer.headers["allow"] == "GET, HEAD, POST"
    answer = caller.delete("/charges/ch_1")
    assert answer.headers["allow"] == "GET, HEAD"


def test_a_refusal_leaves_a_line_and_a_success_none(door: Web, caller: Caller) -> None:
    caller.charge(headers={"x-request-id": "went-well"})
    caller.charge(amount=0, headers={"x-request-id": "went-wrong"})
    door.program.wait_until("went-wrong")
    (line,) = (line for line in door.program.output.splitlines() if "went-wrong" in line)
    for fact in ("request refused", "code=invalid_request", "param=amount", "status=400"):
        assert fact in line
    assert "route=/v1/billing/charges" in line
    assert f"producer={caller.producer}" in line
    assert "went-well" not in door.program.output


def test_a_name_that_is_given_twice_in_a_query_is_refused(caller: Caller) -> None:
    refused = caller.get("/charges?state=failed&state=pending")
    assert (refused.status_code, refused.json()["code"]) == (400, "invalid_request")
    assert "twice" in refused.json()["detail"]


def test_head_is_get_without_its_body(door: Web, caller: Caller) -> None:
    charge = caller.charge("order-1").json()
    for path in ("/charges", f"/charges/{charge['charge_id']}", "/prices", "/events?after=0"):
        got, head = caller.get(path), caller.head(path)
        assert (head.status_code, head.content) == (got.status_code, b"") == (200, b"")
        for name in ("content-type", "content-length", "cache-control"):
            assert head.headers[name] == got.headers[name], path
    for path in ("/healthz", "/openapi.json"):
        assert httpx.head(door.url + path).status_code == 200
    assert caller.head("/charges/ch_x").status_code == 404
    assert httpx.head(f"{door.url}/v1/billing/charges").status_code == 401
    # What is only posted to has nothing to look at.
    refused = caller.head(f"/webhook-endpoints/{'x' * 3}/ping")
    assert (refused.status_code, refused.headers["allow"]) == (405, "POST")
    # And the connection goes on.
    assert caller.get("/charges").status_code == 200


def test_a_slash_too_many_is_told_with_the_path_that_there_is(caller: Caller) -> None:
    for path, right in (
        ("/charges/", "/v1/billing/charges"),
        ("/charges//", "/v1/billing/charges"),
        ("/prices/tea/", "/v1/billing/prices/{id}"),
    ):
        refused = caller.post(path, json={}).json()
        assert (refused["status"], refused["code"]) == (404, "no_such_path")
        assert refused["detail"].endswith(f"leave out the slash at its end: {right}")
    assert "slash" not in caller.get("/nothing/").json()["detail"]


@every("encoding", ["gzip", "br", "GZIP", "gzip, gzip", "deflate"])
def test_a_packed_body_is_refused_with_the_reason(caller: Caller, encoding: str) -> None:
    packed = gzip.compress(b'{"amount": 5, "currency": "USD"}')
    refused = caller.post("/charges", content=packed, headers={"content-encoding": encoding})
    assert (refused.status_code, refused.json()["code"]) == (415, "content_encoding_not_supported")
    assert refused.headers["accept-encoding"] == "identity"  # RFC 7694, 3


def test_a_body_that_says_that_it_is_not_packed_is_taken(caller: Caller) -> None:
    assert caller.charge(headers={"content-encoding": "identity"}).status_code == 202


NUMBERS = [
    "1e9999999999999999999", "-1e9999999999999999999", "1e-9999999999999999999", "1e999999",
    "9" * 5_000, "-" + "9" * 5_000, "0." + "9" * 5_000, "9" * 99, "1e15", "0e0", "-0", "-0.0",
    "1E+2", "9007199254740993", "999999999999999999999",
]  # fmt: skip


@every("number", NUMBERS, ids=lambda number: number[:24])
def test_no_number_in_a_body_is_too_strange_to_be_refused(caller: Caller, number: str) -> None:
    price = caller.price(quantity_available=5)["id"]
    endpoint = caller.post("/webhook-endpoints", json={"url": "http://127.0.0.1:9/"}).json()["id"]
    for method, path, body in (
        ("POST", "/charges", '{"amount": %s, "currency": "USD"}'),
        ("POST", "/charges", '{"amount": 5, "currency": %s}'),
        ("POST", "/charges", '{"amount": 5, "currency": "USD", "metadata": {"a": %s}}'),
        ("POST", "/charges", '{"price_id": "x", "quantity": %s}'),
        ("POST", "/charges", "%s"),
        ("POST", "/refunds", '{"charge_id": "ch_x", "amount": %s}'),
        ("POST", "/prices", '{"product_id": "x", "currency_id": "cur_usd", "unit_amount": %s}'),
        ("PUT", f"/prices/{price}/inventory", '{"action": "increment", "quantity": %s}'),
        ("POST", f"/prices/{price}/quote", '{"quantity": %s}'),
        ("POST", f"/webhook-endpoints/{endpoint}/rotate-secret", '{"overlap_s": %s}'),
        ("POST", f"/webhook-endpoints/{endpoint}/replay", '{"since": %s}'),
        (
            "POST",
            f"/webhook-endpoints/{endpoint}/replay",
            '{"since": "2026-01-01T00:00:00Z", "after": %s}',
        ),
    ):
        answer = caller.request(method, path, content=body % number)
        assert answer.status_code < 500, (path, body, answer.text)
        assert number[:20] not in answer.text or len(number) < 21


@every("number", NUMBERS, ids=lambda number: number[:24])
def test_no_number_in_a_query_is_too_strange_to_be_refused(caller: Caller, number: str) -> None:
    for query in (
        f"/charges?limit={number}",
        f"/charges?created_after={number}",
        f"/charges?cursor={number}",
        f"/prices?page={number}",
        f"/prices?pageSize={number}",
        f"/currencies?page={number}&pageSize=3",
        f"/events?after={number}",
        f"/events?limit={number}",
        f"/webhook-endpoints?limit={number}",
        f"/charges/{number}",
    ):
        answer = caller.get(query.replace("+", "%2B"))
        assert answer.status_code < 500, (query, answer.text)


@every("noun", ["prices", "products", "charges", "refunds", "webhook-endpoints"])
def test_who_looks_for_a_search_is_shown_the_list(caller: Caller, noun: str) -> None:
    refused = caller.get(f"/{noun}/search?query=x")
    assert (refused.status_code, refused.json()["code"]) == (404, "not_found")
    assert refused.json()["detail"].endswith(f"use the filters of the list, GET /v1/billing/{noun}")


def test_a_price_may_all_the_same_be_called_search(caller: Caller) -> None:
    price = caller.price(lookup_key="search")
    found = caller.get("/prices/search").json()
    # All tests share the prices of this service.
    caller.put(f"/prices/{price['id']}", json={"lookup_key": None})
    assert found["id"] == price["id"]


def test_requests_are_counted_by_their_route_and_by_nothing_that_was_sent(
    door: Web, caller: Caller
) -> None:
    path = "/charges/ch_" + "a" * 32
    caller.get(path)
    caller.get(path + "/stranger-wrote-this")
    caller.request("BREW", "/charges")
    answer = ask(f"{door.url}/metrics", headers={"accept": "application/openmetrics-text"})
    assert answer.headers["content-type"].startswith("application/openmetrics-text")
    told = answer.text
    one = 'billing_http_requests_total{method="GET",route="/v1/billing/charges/{id}",status="404"}'
    assert one in told
    assert 'billing_http_requests_total{method="GET",route="",status="404"}' in told
    assert "a" * 32 not in told
    assert "stranger" not in told
    assert "BREW" not in told
