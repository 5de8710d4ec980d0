"""Which of a queue's addresses is dialled, and when the next one is tried. Real sockets."""

import asyncio
import socket
import ssl
from collections.abc import Iterator
from contextlib import ExitStack
from urllib.parse import urlsplit

import pytest

from payments.webhooks.target import TargetCheck, TargetRefused
from payments.webhooks.targets.dialling import Dialler
from payments.webhooks.targets.resolving import Watch
from tests.support.name_server import NameServer, name_server
from tests.support.sink import Sink
from tests.support.webhooks import LOOPBACK, PATIENT

SILENT, GOOD = "127.0.0.2", "127.0.0.1"


def port_of(sink: Sink) -> int:
    port = urlsplit(sink.url).port
    assert port is not None
    return port


@pytest.fixture
def silent(sink: Sink) -> Iterator[None]:
    """At the sink's port of another address somebody whose queue of connections is full: what dials
    it hears neither yes nor no."""
    with ExitStack() as stack:
        listener = stack.enter_context(socket.socket())
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((SILENT, port_of(sink)))
        listener.listen(0)
        while True:
            line = stack.enter_context(socket.socket())
            line.settimeout(0.2)
            try:
                line.connect((SILENT, port_of(sink)))
            except TimeoutError:
                break
        yield


async def dial(server: NameServer, port: int) -> str:
    """The address that a name leads to."""
    check, watch = TargetCheck(LOOPBACK), Watch(server.resolver())
    dialler = Dialler(
        check,
        limits=PATIENT,
        tls=ssl.create_default_context(),
        resolver=server.resolver,
        watch=watch,
    )
    try:
        stream = await dialler.dial("queue.test", port, encrypted=False)
        stream.abort()
        return stream.remote_ip
    finally:
        await dialler.close()
        await watch.close()


@pytest.mark.usefixtures("silent")
def test_the_next_address_is_tried_beside_one_that_says_nothing(sink: Sink) -> None:
    with name_server(lambda _: [SILENT, GOOD]) as server:
        assert asyncio.run(dial(server, port_of(sink))) == GOOD


def test_an_address_that_refuses_is_passed_over(sink: Sink) -> None:
    with name_server(lambda _: ["127.0.0.3", GOOD]) as server:
        assert asyncio.run(dial(server, port_of(sink))) == GOOD


def test_no_address_is_dialled_where_one_of_them_is_forbidden(sink: Sink) -> None:
    with name_server(lambda _: [GOOD, "10.0.0.1"]) as server, pytest.raises(TargetRefused):
        asyncio.run(dial(server, port_of(sink)))
