"""An executor on an event loop, for tests that call it as they call one of threads."""

import asyncio
import threading
from collections.abc import Callable
from typing import Any

from payments.lifecycle.executor import Executor


class CalledFromThreads:
    """The verbs of an executor whose steps are awaited, for any thread; its loop is a thread."""

    def __init__(self, executor: Executor) -> None:
        self._executor = executor
        self._loop = asyncio.new_event_loop()
        threading.Thread(target=self._loop.run_forever, daemon=True).start()

    def __getattr__(self, verb: str) -> Callable[..., Any]:
        def call(*args: Any, **fields: Any) -> Any:
            coroutine = getattr(self._executor, verb)(*args, **fields)
            return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result()

        return call

    def close(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
