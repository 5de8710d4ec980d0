"""The road back: the bytes of an answer, and what happens to them."""

import asyncio
import json
import socket
import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from local.stripe_door.injected_faults import Fault

# For how long a caller that hears nothing is kept on the line; longer than any of them waits.
SILENCE_S = 120.0
_LOOK_S = 0.05
# Set when the server closes: waiting requests are released.
CLOSING = web.AppKey("closing", asyncio.Event)
_RESET = struct.pack("ii", 1, 0)  # SO_LINGER: close at once, with a RST
_HTML = b"<html><head><title>502 Bad Gateway</title></head><body>502 Bad Gateway</body></html>"


@dataclass(frozen=True, slots=True)
class Answer:
    """What is to be said."""

    status: int
    body: Any
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def text(self) -> bytes:
        return json.dumps(self.body, indent=2).encode() + b"\n"


async def say(request: web.Request, answer: Answer, fault: Fault) -> web.Response:
    """Answer as `fault` has it."""
    match fault.road:
        case "silence":
            await _keep_waiting(request)
            await _hang_up(request, b"", resets=False)
        case "reset":
            await _hang_up(request, _bytes(answer)[: fault.number], resets=True)
        case "drip":
            await _drip(request, _bytes(answer), fault.number / 1000)
        case "broken_json":
            return _response(answer, answer.text[: len(answer.text) // 2])
        case "empty":
            return _response(answer, b"")
        case "html":
            return web.Response(status=502, body=_HTML, content_type="text/html")
        case "told":
            return _response(answer, answer.text)
    return web.Response()  # the connection is closed: it is never sent


def _response(answer: Answer, body: bytes) -> web.Response:
    return web.Response(status=answer.status, body=body, headers={**answer.headers, **_CONTENT})


_CONTENT = {"Content-Type": "application/json"}


def _bytes(answer: Answer) -> bytes:
    """The whole answer, as it goes over the wire."""
    body = answer.text
    headers = {**answer.headers, **_CONTENT, "Content-Length": str(len(body))}
    lines = [f"HTTP/1.1 {answer.status} {_reason(answer.status)}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def _reason(status: int) -> str:
    return web.Response(status=status).reason


async def _keep_waiting(request: web.Request) -> None:
    waited_s = 0.0
    while waited_s < SILENCE_S and _open(request) and not request.app[CLOSING].is_set():
        await asyncio.sleep(_LOOK_S)
        waited_s += _LOOK_S


async def _drip(request: web.Request, raw: bytes, every_s: float) -> None:
    for byte in raw:
        if not _open(request) or request.app[CLOSING].is_set():
            break
        assert request.transport is not None
        request.transport.write(bytes((byte,)))
        await asyncio.sleep(every_s)
    await _hang_up(request, b"", resets=False)


async def _hang_up(request: web.Request, last: bytes, *, resets: bool) -> None:
    transport = request.transport
    if transport is None or transport.is_closing():
        return
    if last:
        transport.write(last)
        await asyncio.sleep(_LOOK_S)  # so that it leaves before the RST, which drops what waits
    if transport.is_closing():
        return  # the other side was faster
    if resets:
        socket_ = transport.get_extra_info("socket")
        socket_.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        transport.abort()
    else:
        transport.close()


def _open(request: web.Request) -> bool:
    return request.transport is not None and not request.transport.is_closing()
