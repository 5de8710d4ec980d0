"""What comes before a request is one: heads without an end, silence, and noise."""

import json
import socket

import httpx
import pytest

from api.edge.protocol import HEAD_MAX_BYTES
from api.request_input import BODY_MAX_BYTES
from tests.support.every import every
from tests.support.rude import link, rest_of
from tests.support.waiting import patience_s, wait_for
from tests.support.web import Caller, Web, ask


def problem_in(answer: bytes) -> dict:
    head, _, body = answer.partition(b"\r\n\r\n")
    assert b"content-type: application/problem+json" in head
    assert b"connection: close" in head
    problem: dict = json.loads(body)
    assert f"x-request-id: {problem['request_id']}".encode() in head
    return problem


def test_a_head_without_an_end_is_cut_off(door: Web) -> None:
    with link(door.url) as connection:
        connection.sendall(b"GET /healthz HTTP/1.1\r\nhost: localhost\r\n")
        try:
            for _ in range(300):
                connection.sendall(b"x-more: " + b"y" * 10_000 + b"\r\n")
        except OSError:
            pass  # as wished: nobody reads it any more
        else:
            pytest.fail("three megabytes of headers were taken")


@pytest.mark.parametrize("head", [b"x: " + b"y" * HEAD_MAX_BYTES, b"x: y\r\n" * 10_000])
def test_a_head_that_is_too_large_is_told(door: Web, head: bytes) -> None:
    with link(door.url) as connection:
        connection.sendall(b"GET /healthz HTTP/1.1\r\nhost: localhost\r\n" + head)
        problem = problem_in(rest_of(connection))
    assert (problem["status"], problem["code"]) == (431, "headers_too_large")


def test_a_large_body_behind_a_small_head_is_no_large_head(caller: Caller) -> None:
    body = b'{"amount": 1999, "currency": "USD"}'
    body += b" " * (BODY_MAX_BYTES - len(body))
    for _ in range(3):  # over one connection
        assert caller.post("/charges", content=body).status_code == 202


@every(
    "noise",
    [b"\x16\x03\x01\x02\x00\x01", b"GET\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n", b"\x00" * 100,
     b"GET / HTTP/1.1\r\nhost : x\r\n\r\n", b"POST / HTTP/1.1\r\ncontent-length: -1\r\n\r\n",
     b"POST / HTTP/1.1\r\ncontent-length: 1\r\ntransfer-encoding: chunked\r\n\r\n"],
)  # fmt: skip
def test_what_is_no_request_is_answered_with_a_problem_too(door: Web, noise: bytes) -> None:
    with link(door.url) as connection:
        connection.sendall(noise)
        problem = problem_in(rest_of(connection))
    assert problem["code"] == "unreadable_request"
    # One line of ours, that names it, and none of the server's.
    door.program.wait_until(problem["request_id"])
    assert "Invalid HTTP request" not in door.program.output


def test_after_a_body_that_is_too_large_the_connection_ends(door: Web, caller: Caller) -> None:
    head = (
        "POST /v1/billing/charges HTTP/1.1\r\nhost: localhost\r\ncontent-length: 10000000000\r\n"
        f"authorization: Bearer {caller.key}\r\n\r\n"
    )
    with link(door.url) as connection:
        connection.sendall(head.encode() + b" " * 1000)
        assert problem_in(rest_of(connection))["code"] == "body_too_large"


def test_a_wish_for_a_websocket_is_no_news(door: Web) -> None:
    asked = {"upgrade": "websocket", "connection": "upgrade", "sec-websocket-key": "eA=="}
    assert ask(f"{door.url}/healthz", headers=asked).status_code == 200
    assert "websockets" not in door.program.output


def test_a_head_of_health_is_answered(door: Web) -> None:
    answer = httpx.head(f"{door.url}/healthz", timeout=patience_s())
    assert (answer.status_code, answer.content) == (200, b"")


def test_a_head_that_begins_behind_a_large_body_is_no_large_head(door: Web, caller: Caller) -> None:
    head = (
        "POST /v1/billing/charges HTTP/1.1\r\nhost: localhost\r\n"
        f"authorization: Bearer {caller.key}\r\ncontent-length: {BODY_MAX_BYTES}\r\n"
    ).encode()
    body = b'{"amount": 1999, "currency": "USD"}'.ljust(BODY_MAX_BYTES)
    one, other = (head + last + b"\r\n" + body for last in (b"", b"connection: close\r\n"))
    with link(door.url) as connection:
        connection.sendall(one + other[:40])
        wait_for(lambda: connection.recv(1, socket.MSG_PEEK), what="the first answer")
        connection.sendall(other[40:])
        assert rest_of(connection).count(b"HTTP/1.1 202") == 2


def test_pipelined_requests_are_answered_in_their_order(door: Web) -> None:
    one = b"GET /healthz HTTP/1.1\r\nhost: localhost\r\nx-request-id: "
    last = b"connection: close\r\n"
    with link(door.url) as connection:
        connection.sendall(
            one + b"a1\r\n\r\n" + one + b"b2\r\n\r\n" + one + b"c3\r\n" + last + b"\r\n"
        )
        said = rest_of(connection)
    places = [said.index(b"x-request-id: " + name) for name in (b"a1", b"b2", b"c3")]
    assert places == sorted(places)
