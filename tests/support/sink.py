"""A webhook receiver that keeps what it was sent and answers as it is told."""

import json
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from tests.support.waiting import patience_s, wait_for


@dataclass(frozen=True)
class Received:
    """One request as it arrived; header names in lower case."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes
    at: float  # time.time()

    def json(self) -> Any:
        return json.loads(self.body)


@dataclass(frozen=True)
class Answer:
    """What the sink says to a request, after `delay_s` seconds."""

    status: int = 204
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    delay_s: float = 0.0
    hang_up: bool = False  # close the connection without a word


class Sink:
    """Requests in order of arrival, and `answer`, which a test may set to any other."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.requests: list[Received] = []
        self.answer: Answer | Callable[[Received], Answer] = Answer()
        self.closing = threading.Event()
        self._lock = threading.Lock()

    def receive(self, received: Received) -> Answer:
        with self._lock:
            self.requests.append(received)
            answer = self.answer
        return answer(received) if callable(answer) else answer

    def wait_for(self, count: int) -> list[Received]:
        """The requests, once there are at least so many."""
        wait_for(
            lambda: len(self.requests), until=lambda there: there >= count, what=f"{count} webhooks"
        )
        return list(self.requests)


@contextmanager
def webhook_sink(host: str = "127.0.0.1") -> Iterator[Sink]:
    """A sink on a free port of this machine that keeps connections alive, as real receivers do."""
    server = _Server((host, 0), _Handler)
    server.sink = Sink(f"http://{host}:{server.server_port}")
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), name="sink", daemon=True)
    thread.start()
    try:
        yield server.sink
    finally:
        server.sink.closing.set()
        server.shutdown()
        server.server_close()
        thread.join(patience_s())


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 128
    sink: Sink


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def do_POST(self) -> None:
        sink = self.server.sink
        length = int(self.headers.get("content-length") or 0)
        received = Received(
            method=self.command,
            path=self.path,
            headers={name.lower(): value for name, value in self.headers.items()},
            body=self.rfile.read(length),
            at=time.time(),
        )
        answer = sink.receive(received)
        if answer.delay_s:
            sink.closing.wait(answer.delay_s)
        if answer.hang_up:
            self.close_connection = True
            return
        self.send_response(answer.status)
        for name, value in answer.headers.items():
            self.send_header(name, value)
        self.send_header("content-length", str(len(answer.body)))
        self.end_headers()
        if answer.body:
            self.wfile.write(answer.body)

    do_GET = do_PUT = do_POST  # noqa: N815  # http.server's names

    def log_message(self, *_: object) -> None:
        """Say nothing: the test looks at what was received."""

    def handle(self) -> None:
        try:
            super().handle()
        except (ConnectionError, TimeoutError):
            pass  # a client that was killed, as many are here
