"""A connection to a receiver that keeps the bytes of each answer, so that the status counts.

aiohttp rejects an answer with any defect: a body after 204, a repeated length. A webhook needs only
the status, which has arrived by then. So the bytes of each answer are kept until it is parsed, and
an answer with a complete head counts.
"""

import asyncio
import re
from functools import partial
from typing import Any, NamedTuple

from aiohttp import ServerDisconnectedError, TCPConnector
from aiohttp.client_proto import ResponseHandler

from infra.billing.contract.limits import HEAD_BYTES_MAX
from payments.webhooks.records.kept_headers import in_head
from payments.webhooks.records.phases import DIALLING, Line

ANSWER_HEADERS_MAX = 1_000
# How much of the body is kept for people to read.
BODY_BYTES_MAX = 16 * 1024
# How much is read in all: there may be trailers after the body, and chunks of one byte.
ANSWER_BYTES_MAX = 1024 * 1024

_HEAD = re.compile(rb"HTTP/1\.[01] +([0-9]{3})(?:[ \t][^\r\n]*)?\r?\n(?:[^\r\n]+\r?\n)*\r?\n")
_BLANK = re.compile(rb"\n\r?\n")


class Connection(ResponseHandler):
    """aiohttp's protocol for one connection; `received` holds the bytes of the present answer."""

    posts = 0  # sent over this connection, the present one included
    received = b""
    remote_ip: str | None = None
    is_too_long = False  # no complete head within HEAD_BYTES_MAX
    _is_asked = True  # the peer may speak
    _bytes = 0  # received of the present answer
    _status = 0  # of the last complete head
    _head_at = _looked_at = 0  # where the next head begins in `received`; how far it was searched

    def __init__(self, loop: asyncio.AbstractEventLoop, *, is_encrypted: bool = False) -> None:
        """Created by the post that needs it, after the TCP connection and before TLS."""
        super().__init__(loop)
        self.line = Line(is_encrypted)
        if (dialling := DIALLING.get()) is not None:
            dialling.line = self.line

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self.line.is_ready()
        peer = transport.get_extra_info("peername")
        self.remote_ip = str(peer[0]) if peer else None

    def set_response_params(self, **params: Any) -> None:
        """A post begins."""
        self.posts += 1
        self.line.is_asked()
        self.received, self._is_asked = b"", True
        self._bytes = self._status = self._head_at = self._looked_at = 0
        super().set_response_params(**params)
        if self.was_kept and self._buffer:
            # It followed the previous answer, and must not be taken for the answer to this post.
            self._buffer.clear()
            self._hang_up()
            self.set_exception(ServerDisconnectedError("it answered what was not asked"))

    def data_received(self, data: bytes) -> None:
        """Bytes from the peer; if no answer is expected, close the connection."""
        if data and not self._is_asked:
            self._hang_up()
            return
        self.line.is_answered()
        self._bytes += len(data)
        self.received += data[: HEAD_BYTES_MAX + BODY_BYTES_MAX - len(self.received)]
        self._look_for_heads()
        is_said = self._status >= 200 and self._head_at <= HEAD_BYTES_MAX
        if self._bytes > (ANSWER_BYTES_MAX if is_said else HEAD_BYTES_MAX):
            self.is_too_long, self._is_asked = not is_said, False
            self._hang_up()
            return
        super().data_received(data)
        if self._payload is not None and self._payload.is_eof() and is_said:
            self._is_asked = False

    def _look_for_heads(self) -> None:
        """Find the last complete head. No byte is searched twice, however the data is split."""
        while self._status < 200:
            blank = _BLANK.search(self.received, max(self._head_at, self._looked_at - 2))
            self._looked_at = len(self.received)
            if blank is None:
                return
            head = _HEAD.match(self.received, self._head_at)
            if head is None:  # not a head, so what follows isn't one either
                self._head_at = HEAD_BYTES_MAX + BODY_BYTES_MAX
                return
            self._status, self._head_at = int(head[1]), head.end()
            self._looked_at = self._head_at

    @property
    def was_kept(self) -> bool:
        """Whether it was open before the present post, so that the peer may just have closed it."""
        return self.posts > 1

    def _hang_up(self) -> None:
        if self.transport is not None:
            self.transport.abort()


class Connector(TCPConnector):
    """aiohttp's connector, with our connections."""

    def __init__(self, *, encrypted: bool, **options: Any) -> None:
        super().__init__(**options)
        loop = asyncio.get_running_loop()
        self._factory: Any = partial(Connection, loop=loop, is_encrypted=encrypted)


class Said(NamedTuple):
    """The parts of an answer that the parser rejects."""

    status: int
    headers: list[tuple[bytes, bytes]]
    body: bytes  # its beginning


def answer_in(received: bytes) -> Said | None:
    """The answer, if a complete head was received; else None.

    Interim answers (1xx) are skipped. Defects within the head, or after it, are ignored.
    """
    at = 0
    while (head := _HEAD.match(received, at)) is not None:
        status = int(head[1])
        if status >= 200:
            body = received[head.end() : head.end() + BODY_BYTES_MAX]
            return Said(status, in_head(head[0]), body)
        at = head.end()
    return None
