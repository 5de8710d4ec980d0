"""Those who speak HTTP in bytes of the test's choosing, however rude: receivers, and clients."""

import socket
import socketserver
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from urllib.parse import urlsplit

from tests.support.waiting import patience_s

# Gets the connection after one request was read; the connection is closed when it returns.
Manners = Callable[[socket.socket, threading.Event], None]


@contextmanager
def rude_receiver(manners: Manners, *, tls: ssl.SSLContext | None = None) -> Iterator[str]:
    """A receiver on a free port of 127.0.0.1, with TLS if a context is given; yields its URL."""
    ending = threading.Event()

    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            with suppress(OSError):
                connection = (
                    tls.wrap_socket(self.request, server_side=True) if tls else self.request
                )
                with connection:
                    if read_request(connection):
                        manners(connection, ending)

    class Server(socketserver.ThreadingTCPServer):
        daemon_threads = True
        block_on_close = False
        allow_reuse_address = True

    with Server(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        try:
            yield f"{'https' if tls else 'http'}://localhost:{server.server_address[1]}/hook"
        finally:
            ending.set()
            server.shutdown()
            thread.join(patience_s())


def says(answer: bytes) -> Manners:
    """Says this, and hangs up."""

    def manners(connection: socket.socket, ending: threading.Event) -> None:
        connection.sendall(answer)

    return manners


def drips(head: bytes, drop: bytes, *, every_s: float = 0.02) -> Manners:
    """Says `head`, then `drop` again and again until the other side has had enough."""

    def manners(connection: socket.socket, ending: threading.Event) -> None:
        connection.sendall(head)
        while not ending.wait(every_s):
            connection.sendall(drop)

    return manners


def stays_silent(connection: socket.socket, ending: threading.Event) -> None:
    """Says nothing, and keeps the line open."""
    ending.wait(patience_s())


def read_request(connection: socket.socket) -> bool:
    """Read one request to its end; False when the other side hangs up instead."""
    head = b""
    while b"\r\n\r\n" not in head:
        piece = connection.recv(65536)
        if not piece:
            return False
        head += piece
    head, _, body = head.partition(b"\r\n\r\n")
    (length,) = (
        int(line.split(b":")[1])
        for line in head.lower().split(b"\r\n")
        if line.startswith(b"content-length:")
    )
    while len(body) < length:
        body += connection.recv(65536)
    return True


@contextmanager
def link(url: str) -> Iterator[socket.socket]:
    """A connection to a server, for a client that says just anything."""
    parts = urlsplit(url)
    with socket.create_connection((parts.hostname or "", parts.port or 0), 30) as connection:
        yield connection


def rest_of(connection: socket.socket) -> bytes:
    """What is said until the other side hangs up."""
    said = b""
    try:
        while chunk := connection.recv(65_536):
            said += chunk
    except ConnectionResetError:
        pass  # it hung up with bytes of ours unread
    return said
