"""Hearing processors: what each brings is looked up there, in threads of its own.

Those of the event loop are few, and for what takes milliseconds; a look-up takes as long as the
processor likes.
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from functools import partial
from typing import TypeVar

from api.edge.problems import ProcessorSilent

T = TypeVar("T")

# Events that are looked up at once, and for how long another waits for a place. Who gets none is
# told 503, and brings its event again: sooner or later that is cheaper than a queue without end.
AT_ONCE = 16
WAIT_S = 1.0


class Hearing:
    """Runs look-ups, so many at once."""

    def __init__(self, at_once: int = AT_ONCE) -> None:
        self._threads = ThreadPoolExecutor(at_once, "hearing")
        self._places = asyncio.Semaphore(at_once)

    async def __call__(self, look_up: Callable[[], T]) -> T:
        """What `look_up` returns. Raises ProcessorSilent when there is no place for it."""
        try:
            async with asyncio.timeout(WAIT_S):
                await self._places.acquire()
        except TimeoutError:
            raise ProcessorSilent from None
        # With what its request is called in the log.
        in_context = partial(copy_context().run, look_up)
        looking = asyncio.get_running_loop().run_in_executor(self._threads, in_context)
        # Its thread is busy for as long as it looks, whoever has left meanwhile.
        looking.add_done_callback(lambda _: self._places.release())
        return await asyncio.shield(looking)

    def close(self) -> None:
        """Look nothing up any more."""
        self._threads.shutdown(wait=False, cancel_futures=True)
