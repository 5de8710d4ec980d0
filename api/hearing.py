"""Events from processors: each is looked up at the processor, in separate threads.

The event loop's own threads are few, and for work of milliseconds; a look-up takes as long as the
processor does.
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from functools import partial
from typing import TypeVar

from api.edge.problems import ProcessorSilent

T = TypeVar("T")

# Concurrent look-ups, and how long another waits for a place. After that the answer is 503, and the
# processor sends its event again: sooner or later that is cheaper than an unbounded queue.
AT_ONCE = 16
WAIT_S = 1.0


class Hearing:
    """Runs look-ups, `at_once` at a time."""

    def __init__(self, at_once: int = AT_ONCE) -> None:
        self._threads = ThreadPoolExecutor(at_once, "hearing")
        self._places = asyncio.Semaphore(at_once)

    async def __call__(self, look_up: Callable[[], T]) -> T:
        """The result of `look_up`. Raises ProcessorSilent if there is no place for it."""
        try:
            async with asyncio.timeout(WAIT_S):
                await self._places.acquire()
        except TimeoutError:
            raise ProcessorSilent from None
        # With the request's context for the log.
        in_context = partial(copy_context().run, look_up)
        looking = asyncio.get_running_loop().run_in_executor(self._threads, in_context)
        # Its thread is busy as long as the look-up runs, even if the caller has gone.
        looking.add_done_callback(lambda _: self._places.release())
        return await asyncio.shield(looking)

    def close(self) -> None:
        """Start no more look-ups."""
        self._threads.shutdown(wait=False, cancel_futures=True)
