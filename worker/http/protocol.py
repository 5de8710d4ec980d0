"""The protocol: uvicorn's, with limits on what comes before a request is one.

uvicorn with httptools takes headers of any size, for any time, from anybody. Here a head has a
size and a time, and what can't be read is answered with a problem document like everything else.
"""

import asyncio
import logging
from http import HTTPStatus
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from payments.errors import BillingError
from worker import log
from worker.http import problems
from worker.http.edge import HEADER, new_request_id
from worker.http.problems import HeadersTooLarge, Unreadable

logger = log.get("billing.http")

# Request line and headers. Ours are a kilobyte; proxies add some, and cookies that nobody wants.
HEAD_MAX_BYTES = 32 * 1024
# From the first byte, or from the connection, to the end of the headers.
HEAD_TIMEOUT_S = 10.0
# Above all who may wait (worker/http/waiting.py); an idle one costs some ten kilobytes.
CONNECTIONS_MAX = 8_000

# What strangers can make uvicorn say of noise, we say ourselves, with an id.
_uvicorns = logging.getLogger("uvicorn.error.protocol")
_uvicorns.setLevel(logging.ERROR)


class Protocol(HttpToolsProtocol):
    """One connection."""

    _head_bytes = 0
    _head_timer: asyncio.TimerHandle | None = None
    # Whether anything of a request has come, and its headers have not all come.
    _in_head = False
    _unparsed = 0
    # Whether the piece that is being read holds nothing but a head.
    _is_all_head = False
    _is_refused = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        self.logger = _uvicorns
        super().connection_made(transport)
        if len(self.connections) > CONNECTIONS_MAX:
            logger.warning("too many connections", connections=len(self.connections))
            transport.abort()
            return
        self._arm()

    def connection_lost(self, exc: Exception | None) -> None:
        self._disarm()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._is_refused:
            return
        self._is_all_head = True
        super().data_received(data)
        # What the parser has not handed on yet counts, too: one header may have no end. But not
        # what came with the rest of the request before.
        self._unparsed += len(data) if self._is_all_head else 0
        if self._in_head and max(self._head_bytes, self._unparsed) > HEAD_MAX_BYTES:
            self._refuse(HeadersTooLarge())

    def on_url(self, url: bytes) -> None:
        self._count(len(url))
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        self._count(len(name) + len(value))
        super().on_header(name, value)

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._in_head, self._head_bytes, self._unparsed = True, 0, 0
        self._arm()

    def on_headers_complete(self) -> None:
        if self._head_bytes > HEAD_MAX_BYTES:
            self._refuse(HeadersTooLarge())
        if self._is_refused:
            return
        self._in_head = self._is_all_head = False
        self._disarm()
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        self._is_all_head = False
        if not self._is_refused:
            super().on_body(body)

    def on_message_complete(self) -> None:
        if not self._is_refused:
            super().on_message_complete()

    def send_400_response(self, msg: str) -> None:
        """What uvicorn says of what its parser can't read."""
        self._refuse(Unreadable())

    def _unsupported_upgrade_warning(self) -> None:
        """Nothing: who asks for websockets is answered without, and it is no news to anybody."""

    def _count(self, size: int) -> None:
        self._head_bytes += size
        self._unparsed = 0

    def _arm(self) -> None:
        self._disarm()
        self._head_timer = self.loop.call_later(HEAD_TIMEOUT_S, self._give_up)

    def _disarm(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _give_up(self) -> None:
        if self._in_head:
            self._refuse(problems.RequestTimeout())
        else:
            self.transport.close()  # it never said a word

    def _refuse(self, error: BillingError) -> None:
        """Answer and hang up: where the next request would begin nobody can know."""
        self._in_head, self._is_refused = False, True
        if self.transport.is_closing():
            return
        self._disarm()
        request_id = new_request_id()
        logger.info("request refused", code=error.code, status=error.status, request_id=request_id)
        answer = problems.response(error, request_id=request_id)
        headers: list[tuple[bytes, Any]] = [
            *self.server_state.default_headers,
            *answer.raw_headers,
            (HEADER, request_id.encode()),
            (b"connection", b"close"),
        ]
        phrase = HTTPStatus(error.status).phrase
        head = f"HTTP/1.1 {error.status} {phrase}\r\n".encode()
        lines = b"".join(name + b": " + value + b"\r\n" for name, value in headers)
        self.transport.write(head + lines + b"\r\n" + bytes(answer.body))
        self.transport.close()
