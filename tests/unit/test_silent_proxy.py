"""The proxy of the tests: it forwards, falls silent, and speaks again."""

import contextlib
import socket
import threading
from collections.abc import Iterator

import pytest

from tests.support.silent_proxy import SilentProxy, silent_proxy
from tests.support.waiting import patience_s


@pytest.fixture
def proxy() -> Iterator[SilentProxy]:
    """Before a server that says everything back."""
    listener = socket.create_server(("127.0.0.1", 0))

    def echo(link: socket.socket) -> None:
        with link, contextlib.suppress(OSError):
            while piece := link.recv(1000):
                link.sendall(piece)

    def serve() -> None:
        while True:
            try:
                link, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=echo, args=(link,), daemon=True).start()

    threading.Thread(target=serve, daemon=True).start()
    with silent_proxy(*listener.getsockname()) as running:
        yield running
    listener.close()


def connected(proxy: SilentProxy) -> socket.socket:
    return socket.create_connection((proxy.host, proxy.port), patience_s())


def hears_nothing(link: socket.socket) -> bool:
    link.settimeout(0.1)
    with pytest.raises(TimeoutError):
        link.recv(10)
    link.settimeout(patience_s())
    return True


def test_it_forwards_and_falls_silent_and_old_connections_stay_silent(proxy: SilentProxy) -> None:
    old = connected(proxy)
    old.sendall(b"one")
    assert old.recv(10) == b"one"
    proxy.fall_silent()
    during = connected(proxy)
    for link in (old, during):
        link.sendall(b"two")  # taken, and acknowledged
        assert hears_nothing(link)
    proxy.speak()
    new = connected(proxy)
    new.sendall(b"three")
    assert new.recv(10) == b"three"
    assert hears_nothing(old)
    assert hears_nothing(during)
    for link in (old, during, new):
        link.close()


def test_what_was_held_back_comes_when_connections_resume(proxy: SilentProxy) -> None:
    link = connected(proxy)
    proxy.fall_silent()
    link.sendall(b"held")
    assert hears_nothing(link)
    proxy.speak(resume=True)
    assert link.recv(10) == b"held"
    link.close()


def test_it_leads_a_url_of_any_scheme_through_itself_and_breaks_connections(
    proxy: SilentProxy,
) -> None:
    assert proxy.url("redis://user:pw@redis.test:6379/1?a=b") == (
        f"redis://user:pw@127.0.0.1:{proxy.port}/1?a=b"
    )
    link = connected(proxy)
    link.sendall(b"one")
    assert link.recv(10) == b"one"
    proxy.cut()
    with pytest.raises(ConnectionResetError):
        link.recv(10)
    link.close()
