"""The receiver of the demo's webhooks: accepts only signed ones, and keeps the newest state."""

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from infra.billing import webhook
from infra.billing.contract.objects import Event
from infra.billing.errors import BillingError

HOST = "127.0.0.1"
# Every n-th event is answered with 500 at its first try, up to a maximum.
FAIL_EVERY = 25
FAIL_MAX = 12


@dataclass
class Heard:
    """What the receiver knows of one charge, refund or rejected request."""

    sequences: set[int] = field(default_factory=set)
    last: Event | None = None


@dataclass
class Inbox:
    """Everything that came. Several connections write at once."""

    secret: str = ""
    verified: int = 0
    forged: int = 0
    # Ids of events whose first try was answered with 500, and of those that came.
    failed: set[str] = field(default_factory=set)
    came: set[str] = field(default_factory=set)
    heard: dict[str, Heard] = field(default_factory=dict)
    _events: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def take(self, body: bytes, headers: Mapping[str, str]) -> int:
        """Take one POST; returns the status to answer with."""
        try:
            event = webhook.verify(body, headers, self.secret)
        except BillingError:
            with self._lock:
                self.forged += 1
            return 400
        with self._lock:
            return self._take(event)

    def _take(self, event: Event) -> int:
        new = event.id not in self.came and event.id not in self.failed
        self._events += new
        if new and len(self.failed) < FAIL_MAX and self._events % FAIL_EVERY == 0:
            self.failed.add(event.id)
            return 500
        self.verified += 1
        self.came.add(event.id)
        heard = self.heard.setdefault(_about(event), Heard())
        heard.sequences.add(event.sequence)
        # Webhooks overtake each other; the sequence tells which one is the last word.
        if heard.last is None or event.sequence > heard.last.sequence:
            heard.last = event
        return 204

    @property
    def repeated(self) -> int:
        """How often an event came that had come before: at least once is the promise."""
        return self.verified - len(self.came)


@contextmanager
def receiver() -> Iterator[tuple[str, Inbox]]:
    """A receiver on a free port of 127.0.0.1, until the end of the `with`: its URL, its inbox."""
    server = _Server((HOST, 0), _Handler)
    thread = threading.Thread(
        target=server.serve_forever, args=(0.05,), name="receiver", daemon=True
    )
    thread.start()
    try:
        yield f"http://{HOST}:{server.server_port}/billing", server.inbox
    finally:
        server.shutdown()
        server.server_close()
        thread.join(5)


def _about(event: Event) -> str:
    data = event.data
    # Refunds and disputes name their charge, too; a rejected request has an id and none of these.
    names = ("dispute_id", "refund_id", "charge_id", "id")
    return next((str(data[name]) for name in names if data.get(name)), "")


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 128

    def __init__(self, *args: object) -> None:
        super().__init__(*args)  # type: ignore[arg-type]
        self.inbox = Inbox()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def do_POST(self) -> None:  # the name that http.server calls
        body = self.rfile.read(int(self.headers.get("content-length") or 0))
        self.send_response(self.server.inbox.take(body, dict(self.headers.items())))
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing: the screen belongs to the demo."""

    def handle(self) -> None:
        try:
            super().handle()
        except (ConnectionError, TimeoutError):
            pass  # the sender may have been killed
