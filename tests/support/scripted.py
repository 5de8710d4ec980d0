"""A service that answers by a script: one line of it per request, the last for ever."""

import json
import socket
import ssl
import struct
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, parse_qsl, urlsplit

from tests.support.waiting import patience_s

PENDING = {"charge_id": "ch_1", "object": "charge", "state": "pending", "amount": 1999}


@dataclass(frozen=True)
class Asked:
    """A request as it arrived; names of headers in lower case."""

    method: str
    path: str
    query: Mapping[str, list[str]]
    headers: Mapping[str, str]
    body: Any  # of JSON, or of a form
    port: int  # of the connection it came on


@dataclass(frozen=True)
class Says:
    """An answer: JSON, or `raw` bytes as they are."""

    status: int = 202
    document: Any = field(default_factory=lambda: PENDING)
    headers: Mapping[str, str] = field(default_factory=dict)
    raw: bytes | None = None
    after_s: float = 0.0

    def give(self, handler: "_Handler") -> None:
        if self.after_s:
            handler.server.ending.wait(self.after_s)
        body = json.dumps(self.document).encode() if self.raw is None else self.raw
        handler.send_response(self.status)
        headers = {"content-type": "application/json", "content-length": str(len(body))}
        for name, value in {**headers, **self.headers}.items():
            handler.send_header(name, value)
        handler.end_headers()
        handler.wfile.write(body)


def problem(
    status: int, code: str, *, headers: Mapping[str, str] | None = None, **more: Any
) -> Says:
    """A problem document."""
    document = {"type": f"about:{code}", "title": code, "status": status, "code": code, **more}
    return Says(status, document, {"content-type": "application/problem+json", **(headers or {})})


class Hangs:
    """Says nothing, and keeps the line open."""

    def give(self, handler: "_Handler") -> None:
        handler.server.ending.wait(patience_s())
        handler.close_connection = True


@dataclass(frozen=True)
class HangsUp:
    """Says this much, and closes the connection."""

    saying: bytes = b""

    def give(self, handler: "_Handler") -> None:
        handler.wfile.write(self.saying)
        handler.close_connection = True


@dataclass(frozen=True)
class Resets:
    """Says this much, and resets the connection (RST)."""

    saying: bytes = b""

    def give(self, handler: "_Handler") -> None:
        handler.wfile.write(self.saying)
        at_once = struct.pack("ii", 1, 0)
        handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, at_once)
        handler.connection.close()
        handler.close_connection = True


@dataclass(frozen=True)
class SaysAndLeaves:
    """A good answer; then the connection is closed, without a word about it before."""

    def give(self, handler: "_Handler") -> None:
        Says().give(handler)
        handler.close_connection = True


@dataclass(frozen=True)
class Drips:
    """Says `head`, then a byte now and then, without an end; `each` happens before each."""

    head: bytes = b"HTTP/1.1 200 OK\r\nx-drops: "
    each: Callable[[], None] = lambda: None

    def give(self, handler: "_Handler") -> None:
        handler.wfile.write(self.head)
        while not handler.server.ending.wait(0.02):
            self.each()
            handler.wfile.write(b".")


Line = Says | Hangs | HangsUp | Resets | SaysAndLeaves | Drips | Callable[[Asked], Says]


class Service:
    """`url`, the `script`, and what was `asked`."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.script: list[Line] = [Says()]
        self.asked: list[Asked] = []
        self.closed = threading.Event()  # a connection ended
        self._lock = threading.Lock()

    def will(self, *script: Line) -> None:
        """Answer so from now on."""
        self.script = list(script)

    @property
    def keys(self) -> list[str | None]:
        return [one.headers.get("idempotency-key") for one in self.asked]

    def line_for(self, asked: Asked) -> Line:
        with self._lock:
            self.asked.append(asked)
            return self.script.pop(0) if len(self.script) > 1 else self.script[0]


@contextmanager
def scripted_service(*, tls: ssl.SSLContext | None = None) -> Iterator[Service]:
    """A service on a free port of 127.0.0.1 that keeps connections alive, as real ones do."""
    server = _Server(("127.0.0.1", 0), _Handler)
    if tls:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
    scheme, host = ("https", "localhost") if tls else ("http", "127.0.0.1")
    server.service = Service(f"{scheme}://{host}:{server.server_port}")
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield server.service
    finally:
        server.ending.set()
        server.shutdown()
        server.server_close()
        thread.join(patience_s())


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 128
    service: Service

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.ending = threading.Event()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Clients that leave are what many tests are about."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: _Server

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length") or 0))
        parts = urlsplit(self.path)
        asked = Asked(
            method=self.command,
            path=parts.path,
            query=parse_qs(parts.query),
            headers={name.lower(): value for name, value in self.headers.items()},
            body=_read(body, self.headers.get("content-type") or ""),
            port=self.client_address[1],
        )
        line = self.server.service.line_for(asked)
        (line(asked) if callable(line) else line).give(self)

    do_GET = do_PUT = do_PATCH = do_DELETE = do_POST  # noqa: N815  # http.server's names

    def finish(self) -> None:
        if self.connection.fileno() >= 0:
            super().finish()
            self.connection.shutdown(socket.SHUT_WR)
        self.server.service.closed.set()

    def log_message(self, *_: object) -> None:
        """Say nothing: the test looks at what was asked."""


def _read(body: bytes, content_type: str) -> Any:
    if content_type == "application/x-www-form-urlencoded":
        return dict(parse_qsl(body.decode(), strict_parsing=bool(body)))
    return json.loads(body) if body else None


class Clock:
    """A clock that moves only when somebody sleeps, and remembers for how long."""

    def __init__(self) -> None:
        self.now_s = 1000.0
        self.slept: list[float] = []

    def __call__(self) -> float:
        return self.now_s

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now_s += seconds
