"""One POST and its answer, on an event loop: where our network meets an unknown server."""

import asyncio
import socket
import ssl
import time
from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import replace
from typing import Any

import aiohttp
import structlog
from aiohttp.abc import AbstractResolver
from yarl import URL

from infra.billing.contract.limits import HEAD_BYTES_MAX
from payments.webhooks.connection import (
    ANSWER_HEADERS_MAX,
    BODY_BYTES_MAX,
    Connection,
    Connector,
    answer_in,
)
from payments.webhooks.pacing.local_words import RESOLVER_AWAY
from payments.webhooks.reasons import word_for
from payments.webhooks.records import kept_headers
from payments.webhooks.records.phases import DIALLING, Dialling, Phases
from payments.webhooks.response_bodies import in_words
from payments.webhooks.target import TargetCheck
from payments.webhooks.targets.resolving import CheckedResolver, Watch
from payments.webhooks.targets.target_port import Answer, Limits, Message

log = structlog.get_logger(__name__)

# Node's servers close idle connections after 5 s; a POST on a connection that just closed fails.
KEEP_ALIVE_S = 4.0

USER_AGENT = "billing-webhooks/1"

OpenSocket = Callable[[int, int, int], socket.socket]


class Client:
    """A pooled HTTP client that checks every address it connects to.

    Made and closed on the event loop that uses it. It ignores redirects, proxies from the
    environment, cookies and content encodings.
    """

    def __init__(
        self,
        target_check: TargetCheck,
        *,
        limits: Limits,
        tls: ssl.SSLContext,
        resolver: Callable[[], AbstractResolver],
        watch: Watch,
        open_socket: OpenSocket = socket.socket,
    ) -> None:
        self._limits = limits
        self._resolver, self._watch = resolver, watch
        self._tls = tls
        self._open_socket = open_socket
        # One session for each rule: without TLS only allow-listed addresses may be dialled. And one
        # that never reuses connections, to retry after a kept one was closed.
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

    async def send(self, message: Message, target: URL) -> Answer:
        """POST it and wait for the answer, `total_s` at most. Never raises for errors of the
        network or the receiver."""
        started = time.monotonic()
        deadline = asyncio.get_running_loop().time() + self._limits.total_s
        for is_fresh in (False, True):
            session = self._sessions[target.scheme, is_fresh]
            try:
                said = await self._exchange(session, target, message, deadline)
            except _Stale:
                continue
            return replace(said, duration_ms=_ms_since(started))
        raise AssertionError("a new connection is not stale")

    async def _exchange(
        self,
        session: aiohttp.ClientSession,
        target: URL,
        message: Message,
        deadline: float,
    ) -> Answer:
        """One try on one connection. Raises _Stale if a kept connection was closed before any byte
        of an answer came: the post may or may not have arrived, so a retry may deliver it twice."""
        wire, dialling = _Wire(), Dialling()
        token, dialled = _WIRE.set(wire), DIALLING.set(dialling)
        try:
            async with asyncio.timeout_at(deadline):
                response = await session.post(
                    target, data=message.body, headers=message.headers, allow_redirects=False
                )
        except Exception as error:  # noqa: BLE001  # any error is this attempt's answer
            failed = _answer_of(error, wire.connection)
            is_nowhere = wire.connection is None and not dialling.has_dialled
            if failed.error == "timeout" and is_nowhere and await self._watch.is_away():
                failed = replace(failed, error=RESOLVER_AWAY)
            # If no connection was made, the address that was dialled.
            address = failed.remote_ip or dialling.address
            return replace(failed, remote_ip=address, phases=wire.phases(dialling))
        finally:
            _WIRE.reset(token)
            DIALLING.reset(dialled)
        phases = wire.phases(dialling)
        try:
            read = await self._body_of(response, deadline)
        finally:
            # Back into the pool if it was read to its end; closed if it was cut off.
            response.release() if response.content.at_eof() else response.close()
        return Answer(
            0,
            status_code=response.status,
            remote_ip=None if wire.connection is None else wire.connection.remote_ip,
            body=in_words(read, encoding=response.headers.get("Content-Encoding")),
            retry_after=response.headers.get("Retry-After"),
            headers=kept_headers.kept(response.raw_headers),
            phases=phases,
        )

    async def _body_of(self, response: aiohttp.ClientResponse, deadline: float) -> bytes:
        """What can be read of the body within `body_s` and 16 KiB."""
        if response.content.at_eof():  # there is none, as in most cases
            return b""
        read = bytearray()
        ends_at = min(deadline, asyncio.get_running_loop().time() + self._limits.body_s)
        try:
            async with asyncio.timeout_at(ends_at):
                while len(read) < BODY_BYTES_MAX and (chunk := await response.content.readany()):
                    read += chunk
        except Exception as error:  # The status counts; keep what came of the body
            if not isinstance(error, (TimeoutError, aiohttp.ClientError, OSError)):
                log.warning("the body of an answer could not be read", exc_info=error)
        return bytes(read[:BODY_BYTES_MAX])

    def _session(
        self, target_check: TargetCheck, *, encrypted: bool, is_fresh: bool
    ) -> aiohttp.ClientSession:
        def checked_socket(info: Any) -> socket.socket:
            """The last check: the concrete address of every connection, literal or resolved."""
            family, kind, protocol, _, address = info
            target_check.refuse(str(address[0]), encrypted=encrypted)
            if (dialling := DIALLING.get()) is not None:
                dialling.dials(str(address[0]))
            return self._open_socket(family, kind, protocol)

        keeping: dict[str, Any] = (
            {"force_close": True} if is_fresh else {"keepalive_timeout": KEEP_ALIVE_S}
        )
        checked = CheckedResolver(
            target_check, encrypted=encrypted, resolver=self._resolver(), watch=self._watch
        )
        connector = Connector(
            encrypted=encrypted,
            resolver=checked,
            socket_factory=checked_socket,
            ssl=self._tls,
            limit=0,  # Each drain limits itself to its endpoint's max_in_flight.
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
            max_headers=ANSWER_HEADERS_MAX,
            headers={
                "content-type": "application/json",
                "user-agent": USER_AGENT,
                "accept": "*/*",
                "accept-encoding": "identity",
            },
        )


class _Stale(Exception):
    """The receiver closed a kept connection before it answered."""


class _Wire:
    """The connection of the present post, once there is one."""

    connection: Connection | None = None

    def phases(self, dialling: Dialling) -> Phases:
        """How long each part took so far."""
        return dialling.phases(None if self.connection is None else self.connection.line)


_WIRE: ContextVar[_Wire] = ContextVar("wire")


class _Response(aiohttp.ClientResponse):
    """A response that knows its connection, which aiohttp forgets once the body is read."""

    async def start(self, connection: Any) -> aiohttp.ClientResponse:
        _WIRE.get().connection = connection.protocol
        return await super().start(connection)


def _answer_of(error: Exception, connection: Connection | None) -> Answer:
    """The answer of a failed exchange: the status that was received all the same, or the reason why
    there is none.

    Raises _Stale.
    """
    if connection is None:
        return Answer(0, error=word_for(error))
    if connection.is_too_long:
        return Answer(0, error="bad_response", remote_ip=connection.remote_ip)
    # The peer closed it; it was not our deadline, when a silent receiver may still be working on
    # it.
    is_cut = isinstance(error, aiohttp.ClientConnectionError) and not isinstance(
        error, TimeoutError
    )
    if is_cut and connection.was_kept and not connection.received:
        raise _Stale
    if (said := answer_in(connection.received)) is not None:
        return Answer(
            0,
            status_code=said.status,
            remote_ip=connection.remote_ip,
            body=in_words(said.body, encoding=None),
            headers=kept_headers.kept(said.headers),
        )
    return Answer(0, error=word_for(error), remote_ip=connection.remote_ip)


def _ms_since(started: float) -> int:
    return round((time.monotonic() - started) * 1000)
