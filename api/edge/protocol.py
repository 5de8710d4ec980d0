"""The protocol: uvicorn's, with an end to everything that a client may send, or not send.

uvicorn with httptools takes heads and trailers of any size, for any time, from anybody. Here each
has a size, every state of a connection a time, and what can't be read is answered with a problem
document like everything else.
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
from payments.errors import BillingError
from service import log

logger = log.get("billing.http")

# Request line and headers. Ours are a kilobyte; proxies add some, and cookies that nobody wants.
HEAD_MAX_BYTES = 32 * 1024
# Of what is around the chunks of a body: the lines between them, and trailers. Six bytes are around
# each, also where it is of a single byte.
FRAMING_MAX_BYTES, FRAMING_PER_BYTE = 32 * 1024, 8
# From the first byte, or from the connection, to the end of the headers.
HEAD_TIMEOUT_S = 10.0
# From the headers to the end of the body: a little more than a route waits for it, so that it is
# the route who says so.
MESSAGE_TIMEOUT_S = BODY_TIMEOUT_S + 2.0
# For the rest of a body behind the answer: the client may still be sending, and must hear us first
# (RFC 9112, 9.6).
LINGER_S = 2.0
# For taking what we say: a client that doesn't read holds its answer in our memory.
WRITE_TIMEOUT_S = 30.0
# Above all who may wait (api/pollers.py); an idle one costs some ten kilobytes.
CONNECTIONS_MAX = 8_000

# What strangers can make uvicorn say of noise, we say ourselves, with an id.
_uvicorns = logging.getLogger("uvicorn.error.protocol")
_uvicorns.setLevel(logging.ERROR)


class Protocol(HttpToolsProtocol):
    """One connection.

    Its states, and the end of each: nothing said yet, or a head begun (HEAD_TIMEOUT_S); a body
    begun (MESSAGE_TIMEOUT_S); a body behind its answer (LINGER_S); an answer in the making (the
    deadlines of routes); an answer that is not taken (WRITE_TIMEOUT_S); idle (the keep-alive of
    uvicorn).
    """

    # Whether anything of a request has come, and its headers have not all come.
    _in_head = False
    _head_bytes = 0
    _unparsed = 0
    # Whether the piece that is being read holds nothing but a head.
    _is_all_head = False
    # Whether the headers of a request have come, and its end has not.
    _in_body = False
    _body_bytes = 0
    _framing_bytes = 0
    _is_refused = False

    def __init__(self, *args: Any, **named: Any) -> None:
        super().__init__(*args, **named)
        self._timers: dict[str, asyncio.TimerHandle] = {}

    # --- What the transport tells ---

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
        # What the parser has not handed on yet counts, too: one header may have no end. But not
        # what came with the rest of the request before.
        self._unparsed += len(data) if self._is_all_head and not was_in_body else 0
        if self._in_head and max(self._head_bytes, self._unparsed) > HEAD_MAX_BYTES:
            self._refuse(HeadersTooLarge())
        allowed = FRAMING_MAX_BYTES + FRAMING_PER_BYTE * self._body_bytes
        if self._in_body and self._framing_bytes > allowed:
            self._refuse(HeadersTooLarge())
        if self._is_idle and self.timeout_keep_alive_task is None and "head" not in self._timers:
            # Bytes that begin nothing, such as empty lines, have ended the wait for a request.
            self._expect_a_request()

    def pause_writing(self) -> None:
        super().pause_writing()
        self._within("write", WRITE_TIMEOUT_S, self._abort)

    def resume_writing(self) -> None:
        super().resume_writing()
        self._clear("write")

    # --- What the parser finds ---

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._in_head, self._head_bytes, self._unparsed = True, 0, 0
        self._expect_a_request()

    def on_url(self, url: bytes) -> None:
        self._head_bytes += len(url)
        self._unparsed = 0
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        # Behind the body they are trailers, where nothing of ours is told (RFC 9110, 6.5.1).
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
        # As it came: whom a proxy asks for stands in it (api/edge/hosts.py).
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
        """What uvicorn says of what its parser can't read."""
        self._refuse(Unreadable())

    def _unsupported_upgrade_warning(self) -> None:
        """Nothing: who asks for websockets is answered without, and it is no news to anybody."""

    # --- Sizes and times ---

    @property
    def _is_idle(self) -> bool:
        # The last request and its answer; none yet on a new connection.
        exchange: RequestResponseCycle | None = self.cycle
        is_answered = exchange is None or exchange.response_complete
        return is_answered and not (self._in_head or self._in_body or self._is_refused)

    @property
    def _is_answering(self) -> bool:
        """Whether nothing else can be said now: an answer has begun, or is there already for the
        request whose body is being read."""
        exchange: RequestResponseCycle | None = self.cycle
        if exchange is None or not exchange.response_started:
            return False
        return self._in_body or not exchange.response_complete

    def _expect_a_request(self) -> None:
        self._within("head", HEAD_TIMEOUT_S, self._give_up_the_head)

    def _within(self, name: str, seconds: float, then: Callable[[], None]) -> None:
        """Call `then` after so long, unless the timer is cleared or set anew."""
        self._clear(name)
        self._timers[name] = self.loop.call_later(seconds, then)

    def _clear(self, name: str) -> None:
        if (timer := self._timers.pop(name, None)) is not None:
            timer.cancel()

    def _give_up_the_head(self) -> None:
        if self._in_head:
            self._refuse(problems.RequestTimeout())
        else:
            self._hang_up()  # it never said a word

    def _give_up_the_body(self) -> None:
        exchange: RequestResponseCycle | None = self.cycle
        if exchange is not None and exchange.response_started:
            self._hang_up()
        elif self.flow.read_paused:  # we don't read: an answer before this one is in the making
            self._within("body", MESSAGE_TIMEOUT_S, self._give_up_the_body)
        else:
            self._abort()

    def _hang_up(self) -> None:
        """Close, once what was said has been taken; and if it isn't, all the same."""
        if not self.transport.is_closing():
            self.transport.close()
        self._within("write", WRITE_TIMEOUT_S, self._abort)

    def _abort(self) -> None:
        self.transport.abort()

    def _refuse(self, error: BillingError) -> None:
        """Answer and hang up: where the next request would begin nobody can know."""
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
