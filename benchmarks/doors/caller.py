"""The caller: a process of its own that posts charges over connections it keeps, and only notes.

On each connection one request at a time. Requests are made before the clock starts and answers are
read after it has stopped: what it takes of the machine is little, and the same for every door.
"""

import asyncio
import json
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypedDict

import uvloop

from benchmarks.publisher import request

PATH = "/v1/billing/charges"
CALLS_MAX_S = 300.0


@dataclass(frozen=True)
class Answer:
    """One answer: how long it took, and what it says."""

    ms: float
    status: int
    body: dict[str, Any]


@dataclass(frozen=True)
class Calls:
    """All answers, the seconds from the first request to the last answer, and when that was sent
    (`time.monotonic`)."""

    started_s: float
    seconds: float
    answers: list[Answer]


class Order(TypedDict):
    """What the process is to do."""

    port: int
    authorization: str
    connections: int
    keys: list[str]


def call(*, port: int, authorization: str, connections: int, keys: Sequence[str]) -> Calls:
    """Posts a charge under each key. Raises CalledProcessError when a connection broke."""
    order = Order(port=port, authorization=authorization, connections=connections, keys=list(keys))
    done = subprocess.run(
        [sys.executable, "-m", __name__],
        input=json.dumps(order).encode(),
        stdout=subprocess.PIPE,
        timeout=CALLS_MAX_S,
        check=True,
    )
    started_s, seconds, answers = json.loads(done.stdout)
    return Calls(
        started_s, seconds, [Answer(ms, status, json.loads(body)) for ms, status, body in answers]
    )


class _Connection(asyncio.Protocol):
    """Sends the next request when the answer to the one before is whole; ends with the last."""

    def __init__(self, requests: Iterator[bytes], answers: list[tuple[float, bytes]]) -> None:
        self._requests = requests
        self._answers = answers
        self._buffer = b""
        self.opened = asyncio.get_running_loop().create_future()
        self.done = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport
        self.opened.set_result(None)

    def send(self) -> None:
        if request_bytes := next(self._requests, None):
            self._sent_s = time.perf_counter()
            self._transport.write(request_bytes)  # type: ignore[attr-defined]
        else:
            self.done.set_result(None)

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        head_end = self._buffer.find(b"\r\n\r\n")
        if head_end < 0:
            return
        head = self._buffer[:head_end].lower()
        at = head.index(b"\r\ncontent-length:") + 17
        if len(self._buffer) < head_end + 4 + int(head[at:].split(b"\r\n", 1)[0]):
            return
        self._answers.append((time.perf_counter() - self._sent_s, self._buffer))
        self._buffer = b""
        self.send()

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.done.done():
            self.done.set_exception(exc or ConnectionError("the server hung up"))


async def _carry_out(order: Order) -> tuple[float, float, list[tuple[float, bytes]]]:
    requests = iter([_request(key, order) for key in order["keys"]])
    answers: list[tuple[float, bytes]] = []
    loop = asyncio.get_running_loop()
    connections = [_Connection(requests, answers) for _ in range(order["connections"])]
    for each in connections:
        await loop.create_connection(lambda each=each: each, "127.0.0.1", order["port"])
        await each.opened
    start_s = time.monotonic()
    for each in connections:
        each.send()
    await asyncio.gather(*(each.done for each in connections))
    return start_s, time.monotonic() - start_s, answers


def http_request(key: str) -> tuple[str, dict[str, object]]:
    """The key and the body. Over HTTP the key stands in a header, and who asks is who the API key
    belongs to."""
    unsaid = ("idempotency_key", "producer")
    return key, {name: value for name, value in request(key).items() if name not in unsaid}


def _request(key: str, order: Order) -> bytes:
    body = json.dumps(http_request(key)[1]).encode()
    head = (
        f"POST {PATH} HTTP/1.1\r\nhost: 127.0.0.1:{order['port']}\r\n"
        f"authorization: {order['authorization']}\r\nidempotency-key: {key}\r\n"
        f"content-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


def main() -> None:
    started_s, seconds, answers = uvloop.run(_carry_out(json.load(sys.stdin)))
    told = []
    for took_s, whole in answers:
        head, _, body = whole.partition(b"\r\n\r\n")
        told.append((1000 * took_s, int(head.split(b" ", 2)[1]), body.decode()))
    json.dump((started_s, seconds, told), sys.stdout)


if __name__ == "__main__":
    main()
