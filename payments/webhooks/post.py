"""One POST and its answer, on an event loop: where our network meets a stranger's server."""

import asyncio
import socket
import ssl
import time
from collections.abc import Mapping
from contextvars import ContextVar
from dataclasses import dataclass, replace
from typing import Any

import aiohttp
import structlog
from yarl import URL

from payments.webhooks.bodies import in_words
from payments.webhooks.connection import (
    BODY_BYTES_MAX,
    HEAD_BYTES_MAX,
    HEADERS_MAX,
    CheckedResolver,
    Connection,
    Connector,
    answer_in,
)
from payments.webhooks.target import TargetCheck, TargetRefused

log = structlog.get_logger(__name__)

# Node's servers close idle connections after 5 s; a POST on a connection that just closed fails.
KEEP_ALIVE_S = 4.0

USER_AGENT = "billing-webhooks/1"


@dataclass(frozen=True, slots=True)
class Limits:
    """How long the parts of a POST may take, in seconds."""

    connect_s: float = 5.0  # TCP and TLS together.
    # Everything: DNS, connection, TLS, sending, the answer's head and body. Standard Webhooks
    # asks for 15 to 30 s.
    total_s: float = 15.0
    # The status decides; the body is kept for people to read. A slow one is cut, not waited for.
    body_s: float = 2.0


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of a POST: a status code, or a word that says why there is none.

    The words: `timeout`, `connect_timeout`, `dns_failed`, `connection_refused`, `unreachable`,
    `connection_closed`, `tls_error`, `bad_response`, `target_not_allowed`, `invalid_url`,
    `internal_error`.
    """

    duration_ms: int
    status_code: int | None = None
    error: str | None = None
    remote_ip: str | None = None
    body: str | None = None
    retry_after: str | None = None

    @property
    def is_ok(self) -> bool:
        return self.status_code is not None and 200 <= self.status_code < 300


class Client:
    """A pooled HTTP client that checks every address it connects to.

    Made and closed on the event loop that uses it. Not followed: redirects, proxies from the
    environment, cookies, content encodings.
    """

    def __init__(
        self,
        target_check: TargetCheck,
        *,
        limits: Limits,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._limits = limits
        self._tls = tls or ssl.create_default_context()
        # One session for each rule: without TLS only allow-listed addresses may be dialled. And one
        # whose connections are all new, for what met the end of one that was kept.
        self._sessions = {
            (scheme, is_fresh): self._session(
                target_check, encrypted=scheme == "https", is_fresh=is_fresh
            )
            for scheme in ("https", "http")
            for is_fresh in (False, True)
        }

    async def close(self) -> None:
        for session in self._sessions.values():
            await session.close()

    async def post(self, url: str, *, headers: Mapping[str, str], body: bytes) -> Answer:
        """POST `body` and wait for the answer, `total_s` at most. Never raises for what the
        network or the receiver does."""
        started = time.monotonic()
        try:
            target = URL(url, encoded=True)
        except ValueError:
            return Answer(0, error="invalid_url")
        if (target.scheme, False) not in self._sessions:
            return Answer(0, error="invalid_url")
        deadline = asyncio.get_running_loop().time() + self._limits.total_s
        for is_fresh in (False, True):
            session = self._sessions[target.scheme, is_fresh]
            try:
                said = await self._exchange(session, target, headers, body, deadline)
            except _Stale:
                continue
            return replace(said, duration_ms=_ms_since(started))
        raise AssertionError("a new connection is not stale")

    async def _exchange(
        self,
        session: aiohttp.ClientSession,
        target: URL,
        headers: Mapping[str, str],
        body: bytes,
        deadline: float,
    ) -> Answer:
        """One try on one connection. Raises _Stale when that was closed while it was kept, and no
        byte of an answer came: nobody knows whether the post arrived, and it may arrive twice."""
        wire = _Wire()
        token = _WIRE.set(wire)
        try:
            async with asyncio.timeout_at(deadline):
                response = await session.post(
                    target, data=body, headers=headers, allow_redirects=False
                )
        except Exception as error:  # noqa: BLE001  # Whatever it was, it is this attempt's answer
            return _answer_of(error, wire.connection)
        finally:
            _WIRE.reset(token)
        try:
            read = await self._body_of(response, deadline)
        finally:
            # Back into the pool when it was read to its end; closed when it was cut.
            response.release() if response.content.at_eof() else response.close()
        return Answer(
            0,
            status_code=response.status,
            remote_ip=None if wire.connection is None else wire.connection.remote_ip,
            body=in_words(read, encoding=response.headers.get("Content-Encoding")),
            retry_after=response.headers.get("Retry-After"),
        )

    async def _body_of(self, response: aiohttp.ClientResponse, deadline: float) -> bytes:
        """What can be had of the body within `body_s` and 16 KiB."""
        read = bytearray()
        ends_at = min(deadline, asyncio.get_running_loop().time() + self._limits.body_s)
        try:
            async with asyncio.timeout_at(ends_at):
                while len(read) < BODY_BYTES_MAX and (chunk := await response.content.readany()):
                    read += chunk
        except Exception as error:  # The status has been said; whatever came is kept
            if not isinstance(error, (TimeoutError, aiohttp.ClientError, OSError)):
                log.warning("the body of an answer could not be read", exc_info=error)
        return bytes(read[:BODY_BYTES_MAX])

    def _session(
        self, target_check: TargetCheck, *, encrypted: bool, is_fresh: bool
    ) -> aiohttp.ClientSession:
        def checked_socket(info: Any) -> socket.socket:
            """The last gate: the concrete address of every connection, literal or resolved."""
            family, kind, protocol, _, address = info
            target_check.refuse(str(address[0]), encrypted=encrypted)
            return socket.socket(family, kind, protocol)

        keeping: dict[str, Any] = (
            {"force_close": True} if is_fresh else {"keepalive_timeout": KEEP_ALIVE_S}
        )
        connector = Connector(
            resolver=CheckedResolver(target_check, encrypted=encrypted),
            socket_factory=checked_socket,
            ssl=self._tls,
            limit=0,  # Each drain keeps to its endpoint's max_in_flight.
            **keeping,
        )
        return aiohttp.ClientSession(
            connector=connector,
            cookie_jar=aiohttp.DummyCookieJar(),
            response_class=_Response,
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=self._limits.connect_s),
            trust_env=False,
            auto_decompress=False,
            max_line_size=HEAD_BYTES_MAX,
            max_field_size=HEAD_BYTES_MAX,
            max_headers=HEADERS_MAX,
            headers={
                "content-type": "application/json",
                "user-agent": USER_AGENT,
                "accept": "*/*",
                "accept-encoding": "identity",
            },
        )


class _Stale(Exception):
    """The connection was closed by the receiver while it was kept, before it answered."""


class _Wire:
    """What the present post goes over, once there is a connection."""

    connection: Connection | None = None


_WIRE: ContextVar[_Wire] = ContextVar("wire")


class _Response(aiohttp.ClientResponse):
    """A response that tells what it comes over: the connection is gone once the body is read."""

    async def start(self, connection: Any) -> aiohttp.ClientResponse:
        _WIRE.get().connection = connection.protocol
        return await super().start(connection)


def _answer_of(error: Exception, connection: Connection | None) -> Answer:
    """What a failed exchange comes to: the status that was said all the same, or why there is none.

    Raises _Stale."""
    if connection is None:
        return Answer(0, error=_word_for(error))
    if connection.is_too_long:
        return Answer(0, error="bad_response", remote_ip=connection.remote_ip)
    # The peer's own end, and not our deadline: a silent receiver may be at work on it.
    is_cut = isinstance(error, aiohttp.ClientConnectionError) and not isinstance(
        error, TimeoutError
    )
    if is_cut and connection.was_kept and not connection.received:
        raise _Stale
    if (said := answer_in(connection.received)) is not None:
        status, body = said
        return Answer(
            0,
            status_code=status,
            remote_ip=connection.remote_ip,
            body=in_words(body, encoding=None),
        )
    return Answer(0, error=_word_for(error), remote_ip=connection.remote_ip)


def _ms_since(started: float) -> int:
    return round((time.monotonic() - started) * 1000)


def _word_for(error: Exception) -> str:
    """Why there is no answer, in one word."""
    cause = error.os_error if isinstance(error, aiohttp.ClientConnectorError) else error
    for kind, word in _WORDS:
        if isinstance(cause, kind) or isinstance(error, kind):
            return word
    log.error("a webhook could not be posted", exc_info=error)
    return "internal_error"


# The first match counts, so the particular stands before the general.
_WORDS: tuple[tuple[type[Exception], str], ...] = (
    (TargetRefused, "target_not_allowed"),
    (aiohttp.ConnectionTimeoutError, "connect_timeout"),
    (TimeoutError, "timeout"),
    (aiohttp.ClientConnectorDNSError, "dns_failed"),
    (ssl.SSLError, "tls_error"),
    (ConnectionRefusedError, "connection_refused"),
    (ConnectionResetError, "connection_closed"),
    (aiohttp.ClientConnectorError, "unreachable"),
    (aiohttp.InvalidURL, "invalid_url"),
    (aiohttp.ClientConnectionError, "connection_closed"),
    (OSError, "connection_closed"),
    (aiohttp.ClientResponseError, "bad_response"),
    (aiohttp.ClientPayloadError, "bad_response"),
)
