"""One address in front of several `web` processes, as a load balancer is."""

import asyncio
import contextlib
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from random import Random

from tests.support.ports import free_port

CHUNK = 1 << 16


class Balancer:
    """Each connection goes to any of those that listen, and ends with theirs."""

    def __init__(self, ports: Callable[[], Sequence[int]], seed: object) -> None:
        self.port = free_port()
        self._ports = ports
        self._dice = Random(f"balancer {seed}")

    async def serve(self, ends: asyncio.Event, listens: Callable[[], None]) -> None:
        """Until the event is set; `listens` is called as soon as anybody may connect."""
        async with await asyncio.start_server(self._connect, "127.0.0.1", self.port):
            listens()
            await ends.wait()

    async def _connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        ports = [*self._ports()]
        self._dice.shuffle(ports)
        try:
            for port in ports:
                with contextlib.suppress(OSError):
                    behind = await asyncio.open_connection("127.0.0.1", port)
                    await _join((reader, writer), behind)
                    return
        finally:
            writer.close()


Ends = tuple[asyncio.StreamReader, asyncio.StreamWriter]


async def _join(client: Ends, server: Ends) -> None:
    """Until either of them ends, and then both."""
    there = asyncio.create_task(_copy(client[0], server[1]))
    back = asyncio.create_task(_copy(server[0], client[1]))
    try:
        await asyncio.wait({there, back}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in (there, back):
            task.cancel()
        server[1].close()


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while chunk := await reader.read(CHUNK):
            writer.write(chunk)
            await writer.drain()


@contextmanager
def balanced(ports: Callable[[], Sequence[int]], seed: object) -> Iterator[int]:
    """The port of a balancer, until the end of the `with`."""
    balancer = Balancer(ports, seed)
    started: Future[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = Future()

    async def run() -> None:
        ends, loop = asyncio.Event(), asyncio.get_running_loop()
        try:
            await balancer.serve(ends, lambda: started.set_result((loop, ends)))
        except OSError as error:
            started.set_exception(error)  # for who waits; it has not listened

    # Its end cancels what is still connected.
    thread = threading.Thread(target=asyncio.run, args=(run(),), name="balancer", daemon=True)
    thread.start()
    loop, ends = started.result()
    try:
        yield balancer.port
    finally:
        loop.call_soon_threadsafe(ends.set)
        thread.join()
