"""Receivers that mean harm, all at once: each frees its place, costs no memory, and is told apart.

`make hostile` does the same with the real limits (15 s) and many times over, and prints what each
cost: BILLING_TEST_HOSTILE is the number of rounds.
"""

import os
import socket
import ssl
import struct
import sys
import threading
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

import psutil
import pytest
import trustme
from sqlalchemy import Engine

from payments.webhooks.draining.drains import Drained
from payments.webhooks.targets.target_port import Limits
from tests.support.name_server import name_server
from tests.support.rude import Manners, drips, rude_receiver, says, stays_silent
from tests.support.sink import Sink
from tests.support.waiting import patience_s
from tests.support.webhooks import (
    PATIENT,
    a_deliverer,
    an_endpoint,
    attempts,
    events_happen,
    hasty,
    rows,
)

ROUNDS = int(os.environ.get("BILLING_TEST_HOSTILE", "0"))
EVENTS = 3  # at each, in each round
MB = 1024 * 1024
# From round to round: what an interpreter and its threads come to hold, and no receiver's answer.
GROWTH_MAX = 32 * MB
METADATA = ("169.254.169.254", "100.100.100.200", "fd00:ec2::254", "::ffff:169.254.169.254")


def resets(connection: socket.socket, ending: threading.Event) -> None:
    """RST: closes with a linger of no time."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def resets_in_the_head(connection: socket.socket, ending: threading.Event) -> None:
    connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-le")
    resets(connection, ending)


def explodes(connection: socket.socket, ending: threading.Event) -> None:
    """A gigabyte in a megabyte, as fast as it is taken."""
    bomb = zlib.compressobj(9, wbits=31)
    connection.sendall(b"HTTP/1.1 500 No\r\ncontent-encoding: gzip\r\n\r\n")
    while not ending.is_set():
        connection.sendall(bomb.compress(b"\0" * MB) + bomb.flush(zlib.Z_SYNC_FLUSH))


def redirects(connection: socket.socket, ending: threading.Event) -> None:
    for_metadata = "".join(f"location: http://{ip}/latest/meta-data/?t=1\r\n" for ip in METADATA)
    connection.sendall(f"HTTP/1.1 307 There\r\n{for_metadata}content-length: 0\r\n\r\n".encode())


HEAD = b"HTTP/1.1 200 OK\r\n"
# What each does, and what is to be recorded of it.
HOSTILE: dict[str, tuple[Manners, dict[str, Any]]] = {
    "silence": (stays_silent, {"error": "timeout", "first_byte_ms": None}),
    "a head in drips": (drips(HEAD + b"x: ", b"y"), {"error": "timeout"}),
    "a body in drips": (
        drips(HEAD + b"content-length: 99999\r\n\r\n", b"z"),
        {"status_code": 200, "error": None},
    ),
    "a body without end": (
        drips(b"HTTP/1.1 500 No\r\n\r\n", b"z" * 65_536, every_s=0.0),
        {"status_code": 500, "response_body": "z" * 16_384},
    ),
    "a bomb": (explodes, {"status_code": 500}),
    "headers of a megabyte": (
        says(HEAD + (b"x-%d: " % 7 + b"y" * 1_000 + b"\r\n") * 1_000 + b"\r\n"),
        {"error": "bad_response", "status_code": None},
    ),
    "one header of a megabyte": (
        says(HEAD + b"x: " + b"y" * MB + b"\r\n\r\n"),
        {"error": "bad_response", "status_code": None},
    ),
    "a reset": (resets, {"error": "connection_closed"}),
    "a reset in the head": (resets_in_the_head, {"error": "connection_closed"}),
    "a redirect to metadata": (redirects, {"status_code": 307, "error": None}),
}


@contextmanager
def that_never_shakes_hands() -> Iterator[str]:
    """Accepts connections, and says nothing, also not of TLS."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"https://127.0.0.1:{server.getsockname()[1]}/"


@contextmanager
def that_never_accepts() -> Iterator[str]:
    """A port whose queue of connections is full."""
    with ExitStack() as stack:
        server = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
        for _ in range(4):
            one = stack.enter_context(socket.socket())
            one.setblocking(False)
            one.connect_ex(server.getsockname())
        yield f"http://127.0.0.1:{server.getsockname()[1]}/"


@contextmanager
def with_a_certificate_for_another() -> Iterator[str]:
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert("elsewhere.example").configure_cert(tls)
    with rude_receiver(says(b""), tls=tls) as url:
        yield url


HERE = {"remote_ip": "127.0.0.1"}
BEFORE_HTTP: dict[str, tuple[Callable[[], Any], dict[str, Any]]] = {
    "no handshake": (that_never_shakes_hands, {"error": "connect_timeout", **HERE}),
    "no connection": (that_never_accepts, {"error": "connect_timeout", "tls_ms": None, **HERE}),
    "another's certificate": (with_a_certificate_for_another, {"error": "tls_error", **HERE}),
}


def test_each_frees_its_place_and_is_told_apart_and_none_costs_memory(
    engine: Engine, sink: Sink
) -> None:
    # Short enough to see two rounds, and so long that the healthy one is never late.
    limits = Limits() if ROUNDS else hasty(times=2)
    process, held = psutil.Process(), []
    with ExitStack() as stack:
        wanted: dict[str, tuple[str, dict[str, Any]]] = {}
        for name, (manners, expected) in HOSTILE.items():
            url = stack.enter_context(rude_receiver(manners))
            wanted[name] = an_endpoint(engine, url).id, expected
        for name, (opened, expected) in BEFORE_HTTP.items():
            wanted[name] = an_endpoint(engine, stack.enter_context(opened())).id, expected
        healthy = an_endpoint(engine, sink.url).id
        deliverer = stack.enter_context(a_deliverer(engine, limits=limits))
        for _ in range(ROUNDS or 2):
            events_happen(engine, EVENTS)
            every = [deliverer.submit(id_) for id_, _ in wanted.values()]
            # A place is free when its drain has ended; the healthy one waits for none of them.
            assert deliverer.submit(healthy).result(patience_s()) == Drained(delivered=EVENTS)
            for drain in every:
                drain.result(patience_s())
            held.append(process.memory_info().rss)
            # What failed has been seen: the next round is no longer for it.
            rows(
                engine,
                "UPDATE deliveries SET state = 'exhausted', next_attempt_at = NULL,"
                " finished_at = now() WHERE state = 'pending'",
            )
        for name, (id_, expected) in wanted.items():
            told = rows(
                engine,
                "SELECT a.*, d.attempts FROM delivery_attempts a JOIN deliveries d"
                " ON d.id = a.delivery_id WHERE d.endpoint_id = :id",
                id=id_,
            )
            assert len(told) >= EVENTS, name
            for one in told:
                assert {field: one[field] for field in expected} == expected, name
                assert one["error"] or one["status_code"], name
            if ROUNDS:
                _print(name, told)
    assert max(held) - held[0] < GROWTH_MAX
    if ROUNDS:
        sys.stderr.write("memory: " + ", ".join(f"{rss // MB} MB" for rss in held) + "\n")


def _print(name: str, told: Sequence[Any]) -> None:
    slowest = max(one["duration_ms"] for one in told)
    causes = ", ".join(sorted({str(one["error"] or one["status_code"]) for one in told}))
    sys.stderr.write(f"{name:28} {len(told):5} attempts  at most {slowest:6} ms  {causes}\n")


# --- What does not answer is not followed, whatever it says


def test_a_redirect_is_told_without_its_ticket_and_not_followed(engine: Engine) -> None:
    with rude_receiver(redirects) as url:
        endpoint = an_endpoint(engine, url)
        events_happen(engine)
        with a_deliverer(engine, limits=PATIENT) as deliverer:
            assert deliverer.drain(endpoint.id) == Drained(retried=1)
    (attempt,) = attempts(engine)
    assert attempt["status_code"] == 307
    told = attempt["response_headers"]["location"]
    assert told.startswith("http://169.254.169.254/latest/meta-data/, http://100.100.100.200/")
    assert "t=1" not in told


# --- Names that resolve to another address each time


@pytest.mark.parametrize("inner", METADATA)
def test_a_name_that_was_good_may_turn_and_is_not_dialled(
    engine: Engine, sink: Sink, inner: str
) -> None:
    """The rebinding of DNS: the first answer is the receiver, the next one is not."""
    told: list[Sequence[str]] = [["127.0.0.1"], [inner]]
    with name_server(lambda _: told.pop(0)) as server:
        endpoint = an_endpoint(engine, sink.url.replace("127.0.0.1", "rebound.example"))
        for expected in ((204, None), (None, "target_not_allowed")):
            events_happen(engine)
            # Another process, or the same ten seconds later: nothing is remembered of the name.
            with a_deliverer(engine, limits=PATIENT, resolver=server.resolver) as deliverer:
                deliverer.drain(endpoint.id)
            last = attempts(engine)[-1]
            assert (last["status_code"], last["error"]) == expected
            assert last["dns_ms"] is not None
    assert last["connect_ms"] is None
    assert len(sink.requests) == 1
    assert server.asked == ["rebound.example"] * 2


@pytest.mark.parametrize("first", [True, False])
def test_a_name_with_one_inner_address_is_not_dialled_at_any(
    engine: Engine, sink: Sink, first: bool
) -> None:
    both = ["127.0.0.1", "169.254.169.254"]
    with name_server(lambda _: both if first else both[::-1]) as server:
        endpoint = an_endpoint(engine, sink.url.replace("127.0.0.1", "both.example"))
        events_happen(engine)
        with a_deliverer(engine, limits=PATIENT, resolver=server.resolver) as deliverer:
            deliverer.drain(endpoint.id)
    assert attempts(engine)[0]["error"] == "target_not_allowed"
    assert sink.requests == []


@pytest.mark.parametrize(
    ("answer", "error"), [([], "dns_failed"), (None, "timeout")], ids=["no such name", "silence"]
)
def test_a_name_server_that_does_not_help_is_told_apart(
    engine: Engine, answer: Sequence[str] | None, error: str
) -> None:
    with name_server(lambda name: answer if name == "nowhere.example" else []) as server:
        endpoint = an_endpoint(engine, "http://nowhere.example/")
        events_happen(engine)
        limits = hasty() if answer is None else PATIENT
        with a_deliverer(engine, limits=limits, resolver=server.resolver) as deliverer:
            deliverer.drain(endpoint.id)
    (attempt,) = attempts(engine)
    assert (attempt["error"], attempt["connect_ms"]) == (error, None)
    assert attempt["dns_ms"] is not None
