"""Clients that mean no good, without a key, and the real web process that bears them."""

import socket
from collections.abc import Iterator
from contextlib import ExitStack, suppress

import httpx
import psutil
import pytest

from tests.support.house import House
from tests.support.rude import link, rest_of
from tests.support.waiting import wait_for
from tests.support.web import ask

MB = 1_000_000


@pytest.fixture
def url(redis_house: House) -> Iterator[str]:
    with redis_house.caller() as caller:
        yield caller.url


def test_trailers_without_an_end_cost_no_memory(redis_house: House, url: str) -> None:
    process = psutil.Process(redis_house.running["web"].pid)
    before = process.memory_info().rss
    head = b"POST /v1/billing/charges HTTP/1.1\r\nhost: localhost\r\n"
    head += b"transfer-encoding: chunked\r\n\r\n"
    piece = b"x: " + b"y" * 60 + b"\r\n"
    for _ in range(3):
        with link(url) as connection, suppress(OSError):
            connection.sendall(head + b"2\r\n{}\r\n0\r\n")
            for _ in range(20 * MB // (1_000 * len(piece))):
                connection.sendall(piece * 1_000)
    assert process.memory_info().rss - before < 20 * MB
    assert ask(f"{url}/healthz").status_code == 200


def test_answered_connections_whose_body_never_ends_do_not_shut_the_door(
    redis_house: House, url: str
) -> None:
    head = b"POST /v1/billing/charges HTTP/1.1\r\nhost: localhost\r\ncontent-length: 60000\r\n\r\n"
    web = psutil.Process(redis_house.running["web"].pid)
    with ExitStack() as stack:
        links = [stack.enter_context(link(url)) for _ in range(400)]
        for connection in links:
            connection.sendall(head)
        assert all(connection.recv(12) == b"HTTP/1.1 401" for connection in links)
        assert ask(f"{url}/healthz").status_code == 200
        open_ = set(links)

        def all_are_hung_up_on() -> bool:
            for connection in [*open_]:
                if not _drips(connection):
                    open_.discard(connection)
            return not open_

        wait_for(all_are_hung_up_on, every_s=0.2, what="all to be hung up on")
    wait_for(lambda: len(web.net_connections("tcp")) < 100, what="all to be gone there")


def _drips(connection: socket.socket) -> bool:
    """Whether another byte of the body was taken."""
    try:
        connection.sendall(b"y")
    except OSError:
        return False
    return True


def test_a_page_that_points_its_name_at_us_reads_nothing(url: str) -> None:
    for host in ("evil.example", "evil.example:8000", "127.0.0.1.nip.io"):
        answer = ask(f"{url}/openapi.json", headers={"host": host})
        assert (answer.status_code, answer.json()["code"]) == (421, "host_not_allowed")
        assert "evil" not in answer.text
    for hosts in ("", "host: localhost\r\nhost: evil.example\r\n"):
        with link(url) as connection:
            connection.sendall(
                f"GET /healthz HTTP/1.1\r\n{hosts}connection: close\r\n\r\n".encode()
            )
            assert rest_of(connection).startswith(b"HTTP/1.1 400 ")
    port = httpx.URL(url).port
    # As Kubernetes asks for the health of a pod: by its address.
    probe = ask(f"{url}/healthz", headers={"host": f"10.244.1.17:{port}"})
    assert probe.status_code == 200


def test_numbers_that_nobody_can_mean_are_refused(redis_house: House) -> None:
    with redis_house.caller() as caller:
        for number in ("1e9999999999999999999", "1e999999999", "9" * 5_000):
            refused = caller.post("/charges", content=f'{{"amount": {number}, "currency": "USD"}}')
            assert refused.status_code == 400
            assert refused.json()["code"] == "invalid_request"
