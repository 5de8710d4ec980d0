"""What every request passes: ids, problem documents, methods, and how a bug is answered."""

import re

import httpx
import pytest

from tests.support.web import Caller, Web


def test_an_answer_names_its_request(caller: Caller) -> None:
    assert re.fullmatch(r"req_[0-9a-f]{32}", caller.get("/charges").headers["x-request-id"])
    given = caller.get("/charges", headers={"x-request-id": "shop-42.a_b"})
    assert given.headers["x-request-id"] == "shop-42.a_b"
    refused = caller.get("/charges/x", headers={"x-request-id": "shop-43"})
    assert refused.json()["request_id"] == "shop-43"


@pytest.mark.parametrize("given", ["a b", "a@example.com", "x" * 65, "", "4242424242424242", "ä"])
def test_what_may_not_stand_in_a_log_is_no_request_id(caller: Caller, given: str) -> None:
    answer = caller.get("/charges", headers=[(b"x-request-id", given.encode())])
    assert answer.headers["x-request-id"].startswith("req_")


def test_a_path_that_is_none_is_a_problem(door: Web) -> None:
    for path in ("/", "/v1", "/v1/billing/charges/", "/docs", "/v1/billing/charge"):
        answer = httpx.get(door.url + path)
        assert answer.headers["content-type"] == "application/problem+json"
        assert (answer.status_code, answer.json()["code"]) == (404, "no_such_path")


def test_another_method_is_told_which_there_are(caller: Caller) -> None:
    answer = caller.put("/charges", json={})
    assert (answer.status_code, answer.json()["code"]) == (405, "method_not_allowed")
    assert answer.headers["allow"] == "GET, POST"
    answer = caller.delete("/charges/ch_1")
    assert answer.headers["allow"] == "GET"


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
