"""How requests reach Stripe: one HTTP client on an event loop, with one deadline for a whole verb.

The library's own clients time out per read, so an answer that trickles in would never end, and they
report a refused connection like a lost answer. This one tells them apart: without a connection
nothing was sent (`NotSent`); with one, that is unknown (`AnswerLost`).
"""

import asyncio
import os
import ssl
import threading
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import wait
from contextvars import ContextVar
from types import SimpleNamespace
from typing import Any, TypeVar
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

import aiohttp
import stripe

T = TypeVar("T")

# A list of 100 PaymentIntents has half a megabyte.
ANSWER_BYTES_MAX = 16 * 1024 * 1024
# Less than any load balancer in front of Stripe allows: a request on a connection that was just
# closed is lost, and must be looked up.
KEEP_ALIVE_S = 15.0
# How long after the deadline a thread gives up on a loop that does not even cancel.
GRACE_S = 2.0

# On the loop's clock.
_ENDS_AT: ContextVar[float] = ContextVar("ends_at")


class NotSent(stripe.APIConnectionError):
    """The connection failed (DNS, refused, TLS), so Stripe certainly received nothing."""

    def __init__(self, why: str) -> None:
        super().__init__(why)  # type: ignore[no-untyped-call]  # the library's own


class AnswerLost(stripe.APIConnectionError):
    """There was a connection, but no complete answer."""

    def __init__(self, why: str) -> None:
        super().__init__(why)  # type: ignore[no-untyped-call]  # the library's own


class Transport(stripe.HTTPClient):
    """The library's HTTP client, for the asynchronous half of its methods."""

    name = "aiohttp"

    def __init__(self) -> None:
        super().__init__()
        self._session: aiohttp.ClientSession | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    async def request_async(
        self, method: str, url: str, headers: Mapping[str, str], post_data: Any = None
    ) -> tuple[bytes, int, Mapping[str, str]]:
        """One request and its answer, within what is left of the verb's deadline."""
        exchange = SimpleNamespace(is_connected=False)
        try:
            async with (
                asyncio.timeout_at(_ENDS_AT.get()),
                self._opened().request(
                    method,
                    url,
                    data=post_data,
                    headers=headers,
                    allow_redirects=False,
                    proxy=_proxy_of(url),
                    trace_request_ctx=exchange,
                ) as answer,
            ):
                return await _body_of(answer), answer.status, answer.headers
        except (aiohttp.ClientError, OSError, TimeoutError, ValueError) as error:
            # Its text is left out: it may quote what was sent. A ValueError is an unreadable
            # answer.
            kind = AnswerLost if exchange.is_connected else NotSent
            raise kind(_word_for(error)) from None

    async def close_async(self) -> None:
        """Close what is kept open."""
        if self._session is not None and self._loop is asyncio.get_running_loop():
            await self._session.close()
            self._session = None

    def _opened(self) -> aiohttp.ClientSession:
        """The connections of this loop; those inherited by a fork are not touched."""
        loop = asyncio.get_running_loop()
        if self._session is None or self._loop is not loop:
            self._loop = loop
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(
                    ssl=_tls(),
                    limit=0,  # The process's slots limit the calls under way.
                    keepalive_timeout=KEEP_ALIVE_S,
                ),
                cookie_jar=aiohttp.DummyCookieJar(),
                timeout=aiohttp.ClientTimeout(total=None),  # `request_async` sets the only deadline
                trace_configs=[_tracing()],
            )
        return self._session


class Line:
    """The thread with the event loop for all calls of a process to Stripe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._pid = 0

    def run(self, call: Callable[[], Awaitable[T]], *, deadline_s: float) -> T:
        """The result of `call`; every request that it makes ends within `deadline_s` from now."""

        async def within() -> T:
            _ENDS_AT.set(asyncio.get_running_loop().time() + deadline_s)
            return await call()

        future = asyncio.run_coroutine_threadsafe(within(), self._started())
        try:
            return future.result(deadline_s + GRACE_S)
        except TimeoutError:
            future.cancel()
            raise AnswerLost("timeout") from None

    def close(self, last: Callable[[], Awaitable[None]]) -> None:
        """Run `last`, and end the thread; calls that are under way are lost."""
        with self._lock:
            if self._loop is None or self._pid != os.getpid():
                return
            loop, self._loop = self._loop, None
        closing = asyncio.run_coroutine_threadsafe(_awaited(last), loop)
        closing.add_done_callback(lambda _: loop.call_soon_threadsafe(loop.stop))
        # Ending the process does not wait for a thread that hangs.
        wait((closing,), timeout=GRACE_S)

    def _started(self) -> asyncio.AbstractEventLoop:
        with self._lock:
            # A forked process has the loop, but not its thread.
            if self._loop is None or self._pid != os.getpid():
                self._loop, self._pid = asyncio.new_event_loop(), os.getpid()
                threading.Thread(target=self._loop.run_forever, name="stripe", daemon=True).start()
            return self._loop


async def _awaited(call: Callable[[], Awaitable[None]]) -> None:
    await call()


def _proxy_of(url: str) -> str | None:
    """The proxy by HTTPS_PROXY and NO_PROXY, as in the library's own clients. (aiohttp reads them
    only together with ~/.netrc, and refuses to send our key if that has an entry.)"""
    parts = urlsplit(url)
    return None if proxy_bypass(parts.hostname or "") else getproxies().get(parts.scheme)


def _tls() -> ssl.SSLContext:
    """The system's authorities, and those of the library for images without any."""
    context = ssl.create_default_context()
    context.load_verify_locations(stripe.ca_bundle_path)
    return context


def _tracing() -> aiohttp.TraceConfig:
    async def connected(_session: Any, context: Any, _params: Any) -> None:
        context.trace_request_ctx.is_connected = True

    tracing = aiohttp.TraceConfig()
    tracing.on_connection_create_end.append(connected)
    tracing.on_connection_reuseconn.append(connected)
    return tracing


async def _body_of(answer: aiohttp.ClientResponse) -> bytes:
    body = bytearray()
    async for chunk in answer.content.iter_any():
        body += chunk
        if len(body) > ANSWER_BYTES_MAX:
            raise ValueError("too long")
    return bytes(body)


def _word_for(error: Exception) -> str:
    """Why there is no answer, as one word."""
    cause = error.os_error if isinstance(error, aiohttp.ClientConnectorError) else error
    for kind, word in _WORDS:
        if isinstance(error, kind) or isinstance(cause, kind):
            return word
    return "bad_answer"


# The first match counts, so specific errors come before general ones.
_WORDS: tuple[tuple[type[Exception], str], ...] = (
    (TimeoutError, "timeout"),
    (aiohttp.ClientConnectorDNSError, "dns_failed"),
    (ssl.SSLError, "tls_error"),
    (ConnectionRefusedError, "connection_refused"),
    (aiohttp.ClientConnectorError, "unreachable"),
    (aiohttp.ClientConnectionError, "connection_closed"),
    (OSError, "connection_closed"),
)
