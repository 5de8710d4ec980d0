"""Receivers with one fault each, and good ones: what `billing endpoint check` must tell apart."""

import json
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from infra import billing
from tests.support.waiting import patience_s

SECRET = "whsec_" + "QUFB" * 11
GATEWAY_KEY = "let me in"
Headers = Mapping[str, str]


class Receiver:
    """A good one: `answer` gives the status for a webhook. Subclasses do one thing wrong."""

    secret = SECRET
    read_s: float | None = None  # for so long it waits for a part of the body

    def __init__(self) -> None:
        self.handled: Counter[str] = Counter()
        self.newest: dict[str, int] = {}
        self.lock = threading.Lock()

    def answer(self, body: bytes, headers: Headers) -> int:
        try:
            event = self.verified(body, headers)
        except billing.InvalidSignature:
            return 400
        return self.handle(event)

    def verified(self, body: bytes, headers: Headers) -> billing.Event:
        return billing.webhook.verify(body, headers, self.secret)

    def handle(self, event: billing.Event) -> int:
        with self.lock:
            if event.id in self.handled:
                return self.repeated(event)
            if event.sequence < self.newest.get(event.data.id, 0):
                return self.overtaken(event)
            self.newest[event.data.id] = event.sequence
            return self.fresh(event)

    def fresh(self, event: billing.Event) -> int:
        self.handled[event.id] += 1
        return 204

    def repeated(self, event: billing.Event) -> int:
        return 200

    def overtaken(self, event: billing.Event) -> int:
        return 202


class BehindAGateway(Receiver):
    """A good one, which only those reach who have its key."""

    def answer(self, body: bytes, headers: Headers) -> int:
        return super().answer(body, headers) if headers.get("x-gateway") == GATEWAY_KEY else 403


class NoVerification(Receiver):
    def answer(self, body: bytes, headers: Headers) -> int:
        return 200 if json.loads(body)["type"] else 400


class NothingIsLookedAt(Receiver):
    def answer(self, body: bytes, headers: Headers) -> int:
        return 200


class AnySignature(Receiver):
    def answer(self, body: bytes, headers: Headers) -> int:
        return 200 if headers.get("webhook-signature", "").startswith("v1") else 401


class OnlyIfSigned(Receiver):
    def answer(self, body: bytes, headers: Headers) -> int:
        return 200 if "webhook-signature" not in headers else super().answer(body, headers)


class ComparesTheBeginning(Receiver):
    def verified(self, body: bytes, headers: Headers) -> billing.Event:
        given = headers.get("webhook-signature", "")
        expected = billing.webhook.sign(
            body,
            SECRET,
            webhook_id=headers["webhook-id"],
            timestamp=int(headers["webhook-timestamp"]),
        )["webhook-signature"]
        cut = [f"{expected if one[:9] == expected[:9] else one}" for one in given.split()]
        return super().verified(body, {**headers, "webhook-signature": " ".join(cut)})


class NoTolerance(Receiver):
    def verified(self, body: bytes, headers: Headers) -> billing.Event:
        return billing.webhook.verify(body, headers, SECRET, tolerance_s=10**9)


class OnlyTooOldIsRefused(Receiver):
    def verified(self, body: bytes, headers: Headers) -> billing.Event:
        sent = int(headers["webhook-timestamp"])
        return billing.webhook.verify(body, headers, SECRET, now=max(time.time(), sent))


class VerifiesAfterTheWork(Receiver):
    def answer(self, body: bytes, headers: Headers) -> int:
        self.handled[headers["webhook-id"]] = 1
        try:
            self.verified(body, headers)
        except billing.InvalidSignature:
            return 400
        return 204


class WritesJsonAgain(Receiver):
    def verified(self, body: bytes, headers: Headers) -> billing.Event:
        again = json.dumps(json.loads(body), separators=(",", ":"), ensure_ascii=False)
        return super().verified(again.encode(), headers)


class RefusesRepeats(Receiver):
    def repeated(self, event: billing.Event) -> int:
        return 409


class HandlesRepeats(Receiver):
    def repeated(self, event: billing.Event) -> int:
        return self.fresh(event)


class RefusesOlder(Receiver):
    def overtaken(self, event: billing.Event) -> int:
        return 409


class FailsOnTwins(Receiver):
    """The first of two at once works until the second has been refused."""

    def __init__(self) -> None:
        super().__init__()
        self.at_work: Counter[str] = Counter()
        self.second = threading.Event()

    def handle(self, event: billing.Event) -> int:
        with self.lock:
            self.at_work[event.id] += 1
            count = self.at_work[event.id]
        if event.sequence != 3:  # that is the twins
            return super().handle(event)
        if count == 2:
            self.second.set()
            return 500
        self.second.wait(patience_s())
        return super().handle(event)


class FirstSignatureOnly(Receiver):
    def verified(self, body: bytes, headers: Headers) -> billing.Event:
        given = [one for one in headers.get("webhook-signature", "").split() if one[:3] == "v1,"]
        return super().verified(body, {**headers, "webhook-signature": "".join(given[:1])})


class OurVersionOnly(Receiver):
    def verified(self, body: bytes, headers: Headers) -> billing.Event:
        if not all(one[:3] == "v1," for one in headers.get("webhook-signature", "").split()):
            raise billing.InvalidSignature("an unknown version")
        return super().verified(body, headers)


class RefusesUnknownTypes(Receiver):
    def fresh(self, event: billing.Event) -> int:
        return super().fresh(event) if event.type == "ping" else 422


class RefusesBigBodies(Receiver):
    def answer(self, body: bytes, headers: Headers) -> int:
        return 413 if len(body) > 100 * 1024 else super().answer(body, headers)


class Impatient(Receiver):
    read_s = 0.1


class ParsesFirst(Receiver):
    def answer(self, body: bytes, headers: Headers) -> int:
        try:
            json.loads(body)
        except ValueError:
            return 422
        return super().answer(body, headers)


class ParsesFirstAndFails(Receiver):
    def answer(self, body: bytes, headers: Headers) -> int:
        json.loads(body)
        return super().answer(body, headers)


class FailsOnForged(Receiver):
    def answer(self, body: bytes, headers: Headers) -> int:
        return self.handle(self.verified(body, headers))


class Silent(Receiver):
    def __init__(self) -> None:
        super().__init__()
        self.closing = threading.Event()

    def answer(self, body: bytes, headers: Headers) -> int:
        self.closing.wait(patience_s())
        return 204


def answering(status: int) -> Callable[[], Receiver]:
    """A receiver that answers everything so."""

    class Always(Receiver):
        def answer(self, body: bytes, headers: Headers) -> int:
            return status

    return Always


@contextmanager
def running(receiver: Receiver) -> Iterator[str]:
    """The receiver's URL, while it runs."""

    class Handler(BaseHTTPRequestHandler):
        timeout = receiver.read_s

        def do_POST(self) -> None:
            length = int(self.headers["content-length"])
            body = self.rfile.read(length)
            headers = {name.lower(): value for name, value in self.headers.items()}
            try:
                status = receiver.answer(body, headers)
            except Exception:  # noqa: BLE001  # as a framework does
                status = 500
            self.send_response(status)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Nothing to say."""

        def handle(self) -> None:
            try:
                super().handle()
            except (ConnectionError, TimeoutError):
                pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    server.block_on_close = False
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/hooks?shop=1"
    finally:
        closing: Any = getattr(receiver, "closing", threading.Event())
        closing.set()
        server.shutdown()
        server.server_close()
        thread.join(patience_s())
