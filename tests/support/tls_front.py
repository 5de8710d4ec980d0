"""TLS in front of a server that speaks without it, as a load balancer does."""

import asyncio
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from tests.support.waiting import patience_s

PIECE = 65_536


@contextmanager
def tls_front(port: int, context: ssl.SSLContext) -> Iterator[int]:
    """A port of 127.0.0.1 that speaks TLS, and goes on to another without."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    tasks: set[asyncio.Task[None]] = set()

    async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError, asyncio.CancelledError):
            while some := await reader.read(PIECE):
                writer.write(some)
                await writer.drain()
        writer.close()

    async def welcome(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        theirs, to_them = await asyncio.open_connection("127.0.0.1", port)
        for way in (pump(reader, to_them), pump(theirs, writer)):
            task = asyncio.ensure_future(way)
            tasks.add(task)
            task.add_done_callback(tasks.discard)

    async def begin() -> asyncio.Server:
        return await asyncio.start_server(welcome, "127.0.0.1", 0, ssl=context)

    async def end(server: asyncio.Server) -> None:
        server.close()
        for task in [*tasks]:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    server = asyncio.run_coroutine_threadsafe(begin(), loop).result(patience_s())
    try:
        yield int(server.sockets[0].getsockname()[1])
    finally:
        asyncio.run_coroutine_threadsafe(end(server), loop).result(patience_s())
        loop.call_soon_threadsafe(loop.stop)
        thread.join(patience_s())
        loop.close()
