"""The receiver of the webhooks: a process of its own, common to all contenders, that only notes.

It answers every POST with 204, at once or after as many ms as it was told, and keeps the time of
arrival and the bytes. Signatures are checked after the clock has stopped, by the process that
measures.

`GET /count` tells how many have arrived; `GET /arrivals` hands them over and forgets them; `GET
/delay/100` makes later answers take 100 ms.
"""

import asyncio
import base64
import json
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar

import httpx
from standardwebhooks import Webhook

from local.embedded import process as children


@dataclass(frozen=True)
class Arrival:
    """One POST: when it came (`time.monotonic`, one clock for all processes here) and what."""

    at_s: float
    headers: dict[str, str]
    body: bytes

    @property
    def key(self) -> str:
        """The idempotency key of the charge it is about."""
        return str(json.loads(self.body)["data"]["idempotency_key"])

    @property
    def settled_at_s(self) -> float:
        """When the charge was settled, by its own word and on the clock of `at_s`."""
        said = str(json.loads(self.body)["data"]["settled_at"])
        return datetime.fromisoformat(said).timestamp() - (time.time() - time.monotonic())

    def verify(self, secret: str) -> None:
        """Raises WebhookVerificationError unless it is signed per Standard Webhooks."""
        Webhook(secret).verify(self.body, self.headers)


class Receiver:
    """The process, started with `with`, and what it has received. It answers after `delay_ms`."""

    def __init__(self, *, delay_ms: int = 0) -> None:
        self._delay_ms = delay_ms

    def __enter__(self) -> "Receiver":
        command = [sys.executable, "-m", __name__, str(self._delay_ms)]
        command = children.tied(command, death_signal=signal.SIGKILL)
        self._process = children.start(command, stdout=subprocess.PIPE, text=True)
        assert self._process.stdout is not None
        self._http = httpx.Client(timeout=30)
        self.url = f"http://127.0.0.1:{int(self._process.stdout.readline())}/"
        return self

    def __exit__(self, *_: object) -> None:
        self._http.close()
        self._process.terminate()
        self._process.wait(10)

    @property
    def pid(self) -> int:
        return self._process.pid

    def answer_after(self, delay_ms: int) -> None:
        """From now on."""
        self._get(f"delay/{delay_ms}")

    def count(self) -> int:
        return int(self._get("count"))

    def take(self) -> list[Arrival]:
        """All that came since the last `take`."""
        return [
            Arrival(at_s, _headers(base64.b64decode(head)), base64.b64decode(body))
            for at_s, head, body in json.loads(self._get("arrivals"))
        ]

    def _get(self, path: str) -> bytes:
        return self._http.get(self.url + path).content


class _Connection(asyncio.Protocol):
    """Just enough of HTTP/1.1: kept-alive, pipelined, bodies with a content-length."""

    arrivals: ClassVar[list[tuple[float, bytes, bytes]]] = []
    delay_s: ClassVar[float] = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport
        self._buffer = b""

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        while (head_end := self._buffer.find(b"\r\n\r\n")) >= 0:
            head, body_start = self._buffer[:head_end], head_end + 4
            body_end = body_start + _content_length(head)
            if len(self._buffer) < body_end:
                return
            body, self._buffer = self._buffer[body_start:body_end], self._buffer[body_end:]
            answer = self._answer(head, body)
            if self.delay_s and head.startswith(b"POST "):
                loop = asyncio.get_running_loop()
                loop.call_later(self.delay_s, self._transport.write, answer)  # type: ignore[attr-defined]
            else:
                self._transport.write(answer)  # type: ignore[attr-defined]

    def _answer(self, head: bytes, body: bytes) -> bytes:
        if head.startswith(b"POST "):
            self.arrivals.append((time.monotonic(), head, body))
            return b"HTTP/1.1 204 No Content\r\n\r\n"
        if head.startswith(b"GET /delay/"):
            type(self).delay_s = int(head.split(b" ", 2)[1].rpartition(b"/")[2]) / 1000
            answer = b""
        elif head.startswith(b"GET /count "):
            answer = str(len(self.arrivals)).encode()
        else:
            answer = json.dumps(
                [
                    (at_s, base64.b64encode(head).decode(), base64.b64encode(body).decode())
                    for at_s, head, body in self.arrivals
                ]
            ).encode()
            self.arrivals.clear()
        return b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%s" % (len(answer), answer)


def _content_length(head: bytes) -> int:
    lowered = head.lower()
    at = lowered.find(b"\r\ncontent-length:")
    return int(lowered[at + 17 :].split(b"\r\n", 1)[0]) if at >= 0 else 0


def _headers(head: bytes) -> dict[str, str]:
    lines = head.decode("latin-1").split("\r\n")[1:]
    pairs = (line.split(":", 1) for line in lines)
    return {name.strip().lower(): value.strip() for name, value in pairs}


async def main() -> None:
    """Listens on a free port of the loopback, says which, and serves until it is ended."""
    _Connection.delay_s = int(sys.argv[1]) / 1000
    server = await asyncio.get_running_loop().create_server(
        _Connection, "127.0.0.1", 0, backlog=1024
    )
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())
