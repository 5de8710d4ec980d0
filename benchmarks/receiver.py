"""The receiver of the webhooks: a process of its own, common to all contenders, that only notes.

It answers every POST at once with 204 and keeps the time of arrival and the bytes. Signatures are
checked after the clock has stopped, by the process that measures.

`GET /count` tells how many have arrived; `GET /arrivals` hands them over and forgets them.
"""

import asyncio
import base64
import json
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
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

    def verify(self, secret: str) -> None:
        """Raises WebhookVerificationError unless it is signed per Standard Webhooks."""
        Webhook(secret).verify(self.body, self.headers)


class Receiver:
    """The process, started with `with`, and what it has received."""

    def __enter__(self) -> "Receiver":
        command = children.tied([sys.executable, "-m", __name__], death_signal=signal.SIGKILL)
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
            self._transport.write(self._answer(head, body))  # type: ignore[attr-defined]

    def _answer(self, head: bytes, body: bytes) -> bytes:
        if head.startswith(b"POST "):
            self.arrivals.append((time.monotonic(), head, body))
            return b"HTTP/1.1 204 No Content\r\n\r\n"
        if head.startswith(b"GET /count "):
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
    server = await asyncio.get_running_loop().create_server(_Connection, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())
