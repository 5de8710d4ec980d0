"""The deliverer: one event loop of a process, on which all its drains run."""

import asyncio
import random
import ssl
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from types import TracebackType
from typing import Any, Concatenate, ParamSpec, Self, TypeVar

import structlog
from sqlalchemy import Connection, Engine

from payments.webhooks.drainer import Drainer, Tools
from payments.webhooks.drains import Drained
from payments.webhooks.post import Client, Limits
from payments.webhooks.target import Network, TargetCheck

log = structlog.get_logger(__name__)

P = ParamSpec("P")
T = TypeVar("T")

# A drain that ends in time for the next to begin keeps one endpoint from holding a slot for ever.
DRAIN_S = 20.0
# For recording the last answers, when everything ends.
CLOSE_S = 5.0
# Statements of all drains: each takes about a millisecond, so few connections serve many drains.
DATABASE_THREADS = 4
# A name whose servers don't answer holds a thread for many seconds; others must not wait for it.
RESOLVER_THREADS = 64


class Deliverer:
    """Delivers webhooks. `drain` and `submit` may be called from any thread.

    `allow_private` are the networks that webhooks may reach besides public addresses; `clock`
    gives seconds since the epoch for the webhook's timestamp, `dice` floats in [0, 1) for the
    jitter of retries.
    """

    def __init__(
        self,
        engine: Engine,
        *,
        allow_private: Sequence[Network] = (),
        drain_s: float = DRAIN_S,
        clock: Callable[[], float] = time.time,
        dice: Callable[[], float] = random.random,
        limits: Limits | None = None,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        # Each turn is one statement, and commits by itself: one round trip.
        self._engine = engine.execution_options(isolation_level="AUTOCOMMIT")
        self._target_check = TargetCheck(allow_private)
        self._drain_s = drain_s
        self._clock = clock
        self._dice = dice
        self._limits = limits or Limits()
        self._tls = tls
        self._drainers: dict[str, Drainer] = {}
        self._drains: set[asyncio.Task[Drained]] = set()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._is_closing = False

    def start(self) -> Self:
        """Start the loop's thread. To be called in the process that delivers, after any fork."""
        started: Future[None] = Future()
        self._thread = threading.Thread(
            target=self._run, args=(started,), name="webhooks", daemon=True
        )
        self._thread.start()
        started.result()
        return self

    def close(self) -> None:
        """Begin no more posts, let those under way end and be recorded, and stop the loop.

        What isn't done `CLOSE_S` after the last post must have ended is abandoned, and posted
        again by the next drainer.
        """
        if self._loop is None or self._thread is None:
            return
        asyncio.run_coroutine_threadsafe(self._close(), self._loop)
        # The resolver's threads can't be interrupted; the process need not wait for a dead name.
        self._thread.join(self._limits.total_s + 2 * CLOSE_S)
        self._loop = self._thread = None

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def drain(self, endpoint_id: str) -> Drained:
        """Post what is due for the endpoint, for up to `drain_s`, and 15 s more for the last
        answers; returns when it is done. With `more`, wake the next drain.

        When this process drains the endpoint already, that drain is nudged, and this call returns
        at once; when another process does, it returns at once, too.
        """
        return self.submit(endpoint_id).result()

    def submit(self, endpoint_id: str) -> Future[Drained]:
        """Like `drain`, but doesn't wait: a dead endpoint then holds no thread at all."""
        if self._loop is None:
            raise RuntimeError("the deliverer is not started")
        return asyncio.run_coroutine_threadsafe(self._drain(endpoint_id), self._loop)

    def _run(self, started: Future[None]) -> None:
        try:
            asyncio.run(self._serve(started))
        except BaseException as error:
            if started.done():
                raise
            started.set_exception(error)  # For whoever waits in `start`.

    # --- On the loop ---

    async def _serve(self, started: Future[None]) -> None:
        self._loop = asyncio.get_running_loop()
        self._closed = asyncio.Event()
        self._loop.set_default_executor(ThreadPoolExecutor(RESOLVER_THREADS, "webhooks-resolver"))
        with ThreadPoolExecutor(DATABASE_THREADS, "webhooks-database") as executor:
            client = Client(self._target_check, limits=self._limits, tls=self._tls)
            self._tools = Tools(
                client, partial(self._in_database, executor), self._clock, self._dice
            )
            started.set_result(None)
            try:
                await self._closed.wait()
            finally:
                await client.close()

    async def _drain(self, endpoint_id: str) -> Drained:
        if (busy := self._drainers.get(endpoint_id)) is not None:
            busy.nudge()
            return Drained()
        if self._is_closing:
            return Drained(more=True)
        drainer = Drainer(self._tools, endpoint_id, drain_s=self._drain_s)
        self._drainers[endpoint_id] = drainer
        task = asyncio.create_task(drainer.run())
        self._drains.add(task)
        try:
            return await task
        finally:
            self._drains.discard(task)
            del self._drainers[endpoint_id]

    async def _in_database(
        self,
        executor: ThreadPoolExecutor,
        function: Callable[Concatenate[Connection, P], T],
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> T:
        def run() -> T:
            with self._engine.connect() as connection:
                return function(connection, *args, **kwargs)

        return await asyncio.get_running_loop().run_in_executor(executor, run)

    async def _close(self) -> None:
        self._is_closing = True
        for drainer in self._drainers.values():
            drainer.stop()
        tasks: set[asyncio.Task[Any]] = set(self._drains)
        if tasks:
            _, abandoned = await asyncio.wait(tasks, timeout=self._limits.total_s + CLOSE_S)
            for task in abandoned:
                task.cancel()
            await asyncio.gather(*abandoned, return_exceptions=True)
        self._closed.set()
