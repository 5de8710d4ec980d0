"""A TCP proxy that can fall silent: it still accepts and acknowledges, and forwards nothing.

What a hung pooler or load balancer looks like. No connection breaks, so neither keepalives nor
TCP's own timeouts ever fire: only a limit on the client's side ends the wait.

Start it with `with silent_proxy(host, port) as proxy`; a URL leads through it with
`proxy.url(url)`.
"""

import asyncio
import contextlib
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from urllib.parse import urlsplit, urlunsplit

from tests.support.waiting import patience_s

PIECE = 65_536


class SilentProxy:
    """Forwards to one server. All methods may be called from any thread, and have taken effect
    when they return."""

    def __init__(self, host: str, port: int) -> None:
        self._server_at = host, port
        self._links: set[_Link] = set()
        self._is_silent = False
        self._tasks: set[asyncio.Task[None]] = set()
        self._loop = asyncio.new_event_loop()
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=512)
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self._server: asyncio.Server = asyncio.run_coroutine_threadsafe(
            asyncio.start_server(self._welcome, sock=self._listener), self._loop
        ).result(patience_s())

    @property
    def host(self) -> str:
        return "127.0.0.1"

    @property
    def port(self) -> int:
        return int(self._listener.getsockname()[1])

    def url(self, url: str) -> str:
        """The same URL, of any scheme, by way of this proxy."""
        parts = urlsplit(url)
        user, at, _ = parts.netloc.rpartition("@")
        return urlunsplit(parts._replace(netloc=f"{user}{at}{self.host}:{self.port}"))

    def fall_silent(self) -> None:
        """From now on nothing is forwarded, neither way, on no connection, old or new. Not even
        that one side has hung up."""

        def silence() -> None:
            self._is_silent = True
            for link in self._links:
                link.is_silent = True

        self._do(silence)

    def speak(self, *, resume: bool = False) -> None:
        """New connections are forwarded again. Those that fell silent stay so, and open, unless
        they `resume`: then what was held back is forwarded first."""

        def wake() -> None:
            self._is_silent = False
            for link in [*self._links]:
                if resume:
                    link.resume()

        self._do(wake)

    def cut(self) -> None:
        """Break every connection (RST)."""

        def break_all() -> None:
            for link in [*self._links]:
                link.abort()

        self._do(break_all)

    def connections(self) -> int:
        """How many clients are connected."""
        count = 0

        def look() -> None:
            nonlocal count
            count = sum(not link.client_has_gone for link in self._links)

        self._do(look)
        return count

    def close(self) -> None:
        """Stop listening and break what is open."""

        async def end() -> None:
            self._server.close()
            for link in [*self._links]:
                link.abort()
            for task in [*self._tasks]:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)

        asyncio.run_coroutine_threadsafe(end(), self._loop).result(patience_s())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(patience_s())
        self._loop.close()

    def _do(self, what: Callable[[], None]) -> None:
        async def it() -> None:
            what()

        asyncio.run_coroutine_threadsafe(it(), self._loop).result(patience_s())

    async def _welcome(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        link = _Link(writer, is_silent=self._is_silent)
        self._links.add(link)
        try:
            # Asked to end in the middle, it ends; asyncio would log that as a fault.
            with contextlib.suppress(asyncio.CancelledError):
                await link.carry(reader, *self._server_at)
        finally:
            link.abort()
            self._links.discard(link)


class _Link:
    """One client's connection and the one to the server."""

    def __init__(self, client: asyncio.StreamWriter, *, is_silent: bool) -> None:
        self._client = client
        self._server: asyncio.StreamWriter | None = None
        self._held: list[tuple[asyncio.StreamWriter, bytes]] = []
        self._spoke = asyncio.Event()
        self._speak(not is_silent)
        self.client_has_gone = False

    @property
    def is_silent(self) -> bool:
        return not self._spoke.is_set()

    @is_silent.setter
    def is_silent(self, silent: bool) -> None:
        self._speak(not silent)

    def _speak(self, speaks: bool) -> None:
        self._spoke.set() if speaks else self._spoke.clear()

    def resume(self) -> None:
        held, self._held = self._held, []
        for writer, piece in held:
            writer.write(piece)
        self.is_silent = False

    def abort(self) -> None:
        for writer in (self._client, self._server):
            if writer is not None and not writer.transport.is_closing():
                # Without lingering the end is an RST, as when a machine is gone.
                link = writer.get_extra_info("socket")
                link.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                writer.transport.abort()

    async def carry(self, reader: asyncio.StreamReader, host: str, port: int) -> None:
        # Who connects to a silent proxy is let in, and hears nothing of whether the server is.
        with contextlib.suppress(OSError):
            answers, self._server = await asyncio.open_connection(host, port)
            await asyncio.gather(
                self._pump(reader, self._server, from_client=True),
                self._pump(answers, self._client, from_client=False),
            )

    async def _pump(
        self, source: asyncio.StreamReader, target: asyncio.StreamWriter, *, from_client: bool
    ) -> None:
        while piece := await self._read(source):
            if self.is_silent:
                self._held.append((target, piece))  # read, and so acknowledged
                continue
            target.write(piece)
            with contextlib.suppress(OSError):
                await target.drain()
        self.client_has_gone |= from_client
        await self._spoke.wait()
        with contextlib.suppress(OSError, RuntimeError):
            target.write_eof()

    @staticmethod
    async def _read(source: asyncio.StreamReader) -> bytes:
        try:
            return await source.read(PIECE)
        except OSError:
            return b""


@contextmanager
def silent_proxy(host: str, port: int) -> Iterator[SilentProxy]:
    """A proxy on a free port of 127.0.0.1 before this server; it speaks until told not to."""
    proxy = SilentProxy(host, port)
    try:
        yield proxy
    finally:
        proxy.close()


def before(url: str) -> AbstractContextManager[SilentProxy]:
    """A proxy before the server of a URL."""
    parts = urlsplit(url)
    assert parts.hostname, url
    assert parts.port, url
    return silent_proxy(parts.hostname, parts.port)
