"""One request over HTTP and its answer on aiohttp, within a deadline, on pooled connections.

It differs from `infra.billing.http_transport` only in how it waits: the same limits, the same error
words.
"""

import asyncio
import os
import socket
import ssl
from types import SimpleNamespace

import aiohttp
from yarl import URL

from infra.billing.base_url import Root
from infra.billing.calls.stepwise import (
    ANSWER_MAX_BYTES,
    CONNECTIONS_MAX,
    PIECE_BYTES,
    Answer,
    NoAnswer,
    Send,
)
from infra.billing.errors import NotConfigured

# No default headers: no compression, as with the other client.
_NOT_ADDED = ("accept-encoding", "user-agent", "content-type")


class AsyncWire:
    """Connections to one service, of one event loop."""

    def __init__(self, root: Root) -> None:
        self._root = root
        # Created once: loading all certificate authorities takes a while.
        self._tls = ssl.create_default_context() if root.scheme == "https" else None
        self._session: aiohttp.ClientSession | None = None
        self._of: tuple[int, asyncio.AbstractEventLoop] | None = None
        self._of_parents: list[aiohttp.ClientSession] = []

    async def exchange(self, send: Send) -> Answer:
        """Send a request, and read its answer to the end. Raises NoAnswer within its time.

        Follows no redirect, and tries once. A connection that was interrupted is closed.
        """
        road = _Road()
        try:
            async with asyncio.timeout(send.timeout_s):
                return await self._exchange(send, road)
        except TimeoutError as error:
            raise road.timed_out() from error
        except (aiohttp.ClientError, OSError) as error:
            raise road.no_answer(error) from error

    async def close(self) -> None:
        """Close all connections."""
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    async def _exchange(self, send: Send, road: "_Road") -> Answer:
        async with self._opened().request(
            send.method,
            URL(f"{self._root}{send.target}", encoded=True),
            headers={"accept-encoding": "identity", **send.headers},
            data=send.body,
            allow_redirects=False,
            middlewares=(road.travel,),
            trace_request_ctx=road,
        ) as answer:
            pieces, size = [], 0
            while piece := await answer.content.read(PIECE_BYTES):
                pieces.append(piece)
                size += len(piece)
                if size > ANSWER_MAX_BYTES:
                    answer.close()
                    raise NoAnswer("its answer has no end", is_sent=True, is_hopeless=True)
            return Answer(answer.status, answer.headers, b"".join(pieces))

    def _opened(self) -> aiohttp.ClientSession:
        here = (os.getpid(), asyncio.get_running_loop())
        if self._session is not None and self._of != here:
            self._leave(here)
        if self._session is None:
            self._of = here
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=CONNECTIONS_MAX, ssl=self._tls or True),
                cookie_jar=aiohttp.DummyCookieJar(),
                timeout=aiohttp.ClientTimeout(total=None),  # `exchange` sets the only deadline
                skip_auto_headers=_NOT_ADDED,
                trace_configs=[_tracing()],
            )
        return self._session

    def _leave(self, here: tuple[int, asyncio.AbstractEventLoop]) -> None:
        """Leave the connections of another loop, or of a parent process, alone."""
        assert self._of is not None
        assert self._session is not None
        process, loop = self._of
        if process != here[0]:
            # Kept: dropping a parent's session would close its connections.
            self._of_parents.append(self._session)
        elif not loop.is_closed():
            raise NotConfigured(
                "this client has connections on another event loop; make a Billing for each"
            )
        self._session = None


class _Road:
    """How far a request got, which determines what its failure means."""

    def __init__(self) -> None:
        self.is_queued = False
        self.is_connected = False
        self.was_kept = False

    async def travel(
        self, request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType
    ) -> aiohttp.ClientResponse:
        """aiohttp's send. It would repeat some requests by itself on a closed connection; our own
        exception type prevents that."""
        try:
            return await handler(request)
        except TimeoutError:
            raise
        except (aiohttp.ClientError, OSError) as error:
            is_closed = isinstance(error, aiohttp.ServerDisconnectedError | aiohttp.ClientOSError)
            raise self.no_answer(error, was_kept=self.was_kept and is_closed) from error

    def timed_out(self) -> NoAnswer:
        if self.is_queued:
            return NoAnswer(f"all {CONNECTIONS_MAX} connections are waiting for it")
        return NoAnswer("timed out", is_sent=self.is_connected)

    def no_answer(self, error: BaseException, *, was_kept: bool = False) -> NoAnswer:
        if isinstance(error, aiohttp.ClientConnectorCertificateError):
            why = getattr(error.certificate_error, "verify_message", "unknown")
            reason = f"its certificate is not trusted ({why})"
            return NoAnswer(reason, is_hopeless=True)
        return NoAnswer(_reason(error), is_sent=self.is_connected, was_kept=was_kept)


def _tracing() -> aiohttp.TraceConfig:
    async def queued(_: object, context: SimpleNamespace, __: object) -> None:
        context.trace_request_ctx.is_queued = True

    async def unqueued(_: object, context: SimpleNamespace, __: object) -> None:
        context.trace_request_ctx.is_queued = False

    async def connected(_: object, context: SimpleNamespace, __: object) -> None:
        context.trace_request_ctx.is_connected = True

    async def reused(_: object, context: SimpleNamespace, __: object) -> None:
        context.trace_request_ctx.is_connected = context.trace_request_ctx.was_kept = True

    tracing = aiohttp.TraceConfig()
    tracing.on_connection_queued_start.append(queued)
    tracing.on_connection_queued_end.append(unqueued)
    tracing.on_connection_create_end.append(connected)
    tracing.on_connection_reuseconn.append(reused)
    return tracing


def _reason(error: BaseException) -> str:
    """The system's error, without aiohttp's objects and addresses around it."""
    if isinstance(error, aiohttp.ServerDisconnectedError):
        return "Remote end closed connection without response"
    cause = error.os_error if isinstance(error, aiohttp.ClientConnectorError) else error
    if isinstance(cause, socket.gaierror) or not isinstance(cause, OSError) or not cause.errno:
        return getattr(cause, "strerror", None) or str(cause) or type(cause).__name__
    return os.strerror(cause.errno)
