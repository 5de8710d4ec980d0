"""The protocol: uvicorn's, with limits on everything that a client may send, or omit.

uvicorn with httptools accepts heads and trailers of any size, for any time, from any client. Here
each has a maximum size, every state of a connection a time limit, and unreadable input is answered
with a problem document like everything else.
"""

import asyncio
import logging
from collections.abc import Callable
from http import HTTPStatus
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from api.edge import problems
from api.edge.edge import HEADER, new_request_id
from api.edge.problems import HeadersTooLarge, Unreadable
from api.request_input import BODY_TIMEOUT_S
from payments.payment_errors import BillingError
from service import log

logger = log.get("billing.http")

# Request line and headers. Normal ones are a kilobyte; proxies add some, and browsers cookies.
HEAD_MAX_BYTES = 32 * 1024
# For the framing of a chunked body: the lines between chunks, and trailers. Each chunk has six
# bytes of it, even if it is a single byte.
FRAMING_MAX_BYTES, FRAMING_PER_BYTE = 32 * 1024, 8
# From the first byte, or from the connection, to the end of the headers.
HEAD_TIMEOUT_S = 10.0
# From the headers to the end of the body: a little longer than a route waits for it, so that the
# route answers first.
MESSAGE_TIMEOUT_S = BODY_TIMEOUT_S + 2.0
# For the rest of a body after the answer: the client may still be sending, and must be able to read
# the answer first (RFC 9112, 9.6).
LINGER_S = 2.0
# For reading our answer: if a client doesn't, it stays in our memory.
WRITE_TIMEOUT_S = 30.0
# More than the number of waiting requests (api/pollers.py); an idle connection costs some ten
# kilobytes.
CONNECTIONS_MAX = 8_000

# Clients can make uvicorn log these; we log them ourselves, with an id.
_uvicorns = logging.getLogger("uvicorn.error.protocol")
_uvicorns.setLevel(logging.ERROR)


class Protocol(HttpToolsProtocol):
    """One connection.

    Its states, and the limit of each: nothing received yet, or a head begun (HEAD_TIMEOUT_S); a
    body begun (MESSAGE_TIMEOUT_S); a body after its answer (LINGER_S); an answer being prepared
    (the deadlines of routes); an answer that is not read (WRITE_TIMEOUT_S); idle (the keep-alive of
    uvicorn).
    """

    # Whether a request has begun, and its headers are incomplete.
    _in_head = False
    _head_bytes = 0
    _unparsed = 0
    # Whether the data being read contains nothing but a head.
    _is_all_head = False
    # Whether the headers of a request are complete, and its body is not.
    _in_body = False
    _body_bytes = 0
    _framing_bytes = 0
    _is_refused = False

    def __init__(self, *args: Any, **named: Any) -> None:
        super().__init__(*args, **named)
        self._timers: dict[str, asyncio.TimerHandle] = {}

    # --- Callbacks of the transport ---

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        self.logger = _uvicorns
        super().connection_made(transport)
        if len(self.connections) > CONNECTIONS_MAX:
            logger.warning("too many connections", connections=len(self.connections))
            transport.abort()
            return
        self._expect_a_request()

    def connection_lost(self, exc: Exception | None) -> None:
        for timer in self._timers.values():
            timer.cancel()
        self._timers.clear()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._is_refused:
            return
        self._is_all_head = True
        was_in_body = self._in_body
        if was_in_body:
            self._framing_bytes += len(data)
        super().data_received(data)
        # What the parser has not passed on yet counts, too: one header may be endless. But not what
        # came earlier with the rest of the request.
        self._unparsed += len(data) if self._is_all_head and not was_in_body else 0
        if self._in_head and max(self._head_bytes, self._unparsed) > HEAD_MAX_BYTES:
            self._refuse(HeadersTooLarge())
        allowed = FRAMING_MAX_BYTES + FRAMING_PER_BYTE * self._body_bytes
        if self._in_body and self._framing_bytes > allowed:
            self._refuse(HeadersTooLarge())
        if self._is_idle and self.timeout_keep_alive_task is None and "head" not in self._timers:
            # Bytes that begin no request, such as empty lines, have ended the wait for one.
            self._expect_a_request()

    def pause_writing(self) -> None:
        super().pause_writing()
        self._within("write", WRITE_TIMEOUT_S, self._abort)

    def resume_writing(self) -> None:
        super().resume_writing()
        self._clear("write")

    # --- Callbacks of the parser ---

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._in_head, self._head_bytes, self._unparsed = True, 0, 0
        self._expect_a_request()

    def on_url(self, url: bytes) -> None:
        self._head_bytes += len(url)
        self._unparsed = 0
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        # After the body they are trailers, which are ignored (RFC 9110, 6.5.1).
        if self._in_head:
            self._head_bytes += len(name) + len(value)
            self._unparsed = 0
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        if self._head_bytes > HEAD_MAX_BYTES:
            self._refuse(HeadersTooLarge())
        if self._is_refused:
            return
        self._in_head = self._is_all_head = False
        self._in_body, self._body_bytes, self._framing_bytes = True, 0, 0
        self._clear("head")
        self._within("body", MESSAGE_TIMEOUT_S, self._give_up_the_body)
        # As received: it contains the host in a proxy's form (api/edge/hosts.py).
        self.scope["target"] = self.url  # type: ignore[typeddict-unknown-key]
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        self._is_all_head = False
        self._body_bytes += len(body)
        self._framing_bytes -= len(body)
        if not self._is_refused:
            super().on_body(body)

    def on_message_complete(self) -> None:
        self._in_body = False
        self._clear("body")
        if not self._is_refused:
            super().on_message_complete()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if self._in_body and self.cycle.response_complete:
            self._within("body", LINGER_S, self._give_up_the_body)

    def send_400_response(self, msg: str) -> None:
        """Replaces uvicorn's answer to unparsable input."""
        self._refuse(Unreadable())

    def _unsupported_upgrade_warning(self) -> None:
        """Nothing: a request for websockets is answered without them, and that is not worth a log
        line."""

    # --- Sizes and times ---

    @property
    def _is_idle(self) -> bool:
        # The last request and its answer; none yet on a new connection.
        exchange: RequestResponseCycle | None = self.cycle
        is_answered = exchange is None or exchange.response_complete
        return is_answered and not (self._in_head or self._in_body or self._is_refused)

    @property
    def _is_answering(self) -> bool:
        """Whether no other answer is possible now: one has begun, or is complete while the
        request's body is still being read."""
        exchange: RequestResponseCycle | None = self.cycle
        if exchange is None or not exchange.response_started:
            return False
        return self._in_body or not exchange.response_complete

    def _expect_a_request(self) -> None:
        self._within("head", HEAD_TIMEOUT_S, self._give_up_the_head)

    def _within(self, name: str, seconds: float, then: Callable[[], None]) -> None:
        """Call `then` after this long, unless the timer is cleared or set again."""
        self._clear(name)
        self._timers[name] = self.loop.call_later(seconds, then)

    def _clear(self, name: str) -> None:
        if (timer := self._timers.pop(name, None)) is not None:
            timer.cancel()

    def _give_up_the_head(self) -> None:
        if self._in_head:
            self._refuse(problems.RequestTimeout())
        else:
            self._hang_up()  # nothing was received

    def _give_up_the_body(self) -> None:
        exchange: RequestResponseCycle | None = self.cycle
        if exchange is not None and exchange.response_started:
            self._hang_up()
        elif self.flow.read_paused:  # reading is paused: an earlier answer is being prepared
            self._within("body", MESSAGE_TIMEOUT_S, self._give_up_the_body)
        else:
            self._abort()

    def _hang_up(self) -> None:
        """Close the connection once the answer was read, or after a time limit."""
        if not self.transport.is_closing():
            self.transport.close()
        self._within("write", WRITE_TIMEOUT_S, self._abort)

    def _abort(self) -> None:
        self.transport.abort()

    def _refuse(self, error: BillingError) -> None:
        """Answer and close: the beginning of the next request can't be found."""
        self._in_head, self._is_refused = False, True
        if self.transport.is_closing():
            return
        self._clear("head")
        request_id = new_request_id()
        logger.info("request refused", code=error.code, status=error.status, request_id=request_id)
        if self._is_answering:
            self._hang_up()
            return
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
        self._hang_up()
