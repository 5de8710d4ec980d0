"""The deliverer: runs all drains of a process on one event loop."""

import asyncio
import random
import socket
import ssl
import threading
import time
from collections.abc import Callable, Coroutine, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from types import TracebackType
from typing import Any, Self, TypeVar

import structlog
from aiohttp import ThreadedResolver
from aiohttp.abc import AbstractResolver
from sqlalchemy import Engine

from payments.access.vault import Vault
from payments.transaction import Wakes, wakes_nothing
from payments.webhooks.draining import drains, leases
from payments.webhooks.draining.drainer import Drainer
from payments.webhooks.draining.drains import Drained, Record
from payments.webhooks.draining.listening import Listener
from payments.webhooks.draining.posting import Answered
from payments.webhooks.draining.together import Asking, Grouping
from payments.webhooks.draining.tools import Tools, uncounted
from payments.webhooks.pacing.windows import Windows
from payments.webhooks.post import OpenSocket
from payments.webhooks.target import Network, TargetCheck
from payments.webhooks.targets.dispatch import Targets
from payments.webhooks.targets.target_port import Limits

log = structlog.get_logger(__name__)

T = TypeVar("T")

# A drain ends after this time, so that its endpoint may move to a less busy process.
DRAIN_S = 20.0
# For recording the last answers, when everything ends.
CLOSE_S = 5.0
# Posts under way in all; each has a socket.
POSTS_MAX = 4_096
# How often to look for due deliveries that drainers with capacity were not notified of.
LOOK_EVERY_S = 1.0
# A drainer with nothing left keeps its lease for this long, so that the endpoint's next event needs
# neither a message nor a new lease. Only this many do so at a time, as each is checked once a
# second.
LINGER_S = 3.0
LINGERING_MAX = 100
# A name whose servers don't answer blocks a thread for many seconds; others must not wait for it.
RESOLVER_THREADS = 64


class Deliverer:
    """Delivers webhooks. `drain` and `submit` may be called from any thread.

    `vault` opens the signing secrets; `together` batches the database queries that drains make at
    the same time; `allow_private` are the networks that webhooks may reach besides public
    addresses; `linger_s` is how long a drainer with nothing left waits for the next event; `clock`
    gives seconds since the epoch for the webhook's timestamp, `dice` floats in [0, 1) for the
    jitter of retries. `wake` gets the endpoints whose drain ended before everything was posted;
    `count` gets what was posted and recorded, with its traces if `traced`. Once the process
    `is_stopping` no drain begins another post, while those under way finish. `resolver` makes the
    resolver of host names.
    """

    def __init__(
        self,
        engine: Engine,
        vault: Vault,
        *,
        together: Grouping,
        allow_private: Sequence[Network] = (),
        drain_s: float = DRAIN_S,
        linger_s: float = 0.0,
        clock: Callable[[], float] = time.time,
        dice: Callable[[], float] = random.random,
        limits: Limits | None = None,
        tls: ssl.SSLContext | None = None,
        wake: Callable[[Wakes], None] = wakes_nothing,
        count: Callable[[Sequence[Answered], Sequence[Record]], None] = uncounted,
        traced: bool = False,
        is_stopping: Callable[[], bool] = bool,
        posts_max: int = POSTS_MAX,
        resolver: Callable[[], AbstractResolver] = ThreadedResolver,
        open_socket: OpenSocket = socket.socket,
    ) -> None:
        self._engine, self._together = engine, together
        self._vault = vault
        self._target_check = TargetCheck(allow_private)
        self._drain_s = drain_s
        self._linger_s = linger_s
        self._listener = Listener(engine, self._hear)
        self._clock = clock
        self._dice = dice
        self._limits = limits or Limits()
        self._tls = tls
        self._wake = wake
        self._count, self._traced = count, traced
        self._is_stopping = is_stopping
        self._posts_max = posts_max
        self._windows = Windows()
        self._resolver = resolver
        self._open_socket = open_socket
        self._drainers: dict[str, Drainer] = {}
        self._drains: set[asyncio.Task[Drained]] = set()
        self._handed: set[asyncio.Task[Drained]] = set()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._is_closing = False

    def start(self) -> Self:
        """Start the loop's thread. Call it in the process that delivers, after any fork."""
        started: Future[None] = Future()
        self._thread = threading.Thread(
            target=self._run, args=(started,), name="webhooks", daemon=True
        )
        self._thread.start()
        started.result()
        return self

    def close(self) -> None:
        """Begin no more posts, wait until those under way are recorded, and stop the loop.

        What isn't recorded `CLOSE_S` after the last post's deadline is abandoned, and posted again
        by the next drainer.
        """
        if self._loop is None or self._thread is None:
            return
        asyncio.run_coroutine_threadsafe(self._close(), self._loop)
        # The resolver's threads can't be interrupted; the process does not wait for a dead name.
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

        If this process or another one drains the endpoint already, this returns at once; a drain of
        this process is nudged.
        """
        return self.submit(endpoint_id).result()

    def submit(self, endpoint_id: str) -> Future[Drained]:
        """Like `drain`, but without waiting: a dead endpoint then blocks no thread."""
        return self._on_loop(self._drain(endpoint_id))

    def hand_over(self, endpoint_ids: Sequence[str]) -> Future[None]:
        """Have these endpoints drained. The future ends as soon as the loop has accepted them, so a
        caller notices a loop that hangs. Errors are logged, and the sweep finds what is left."""
        return self._on_loop(self._taken_on(endpoint_ids))

    def _on_loop(self, coroutine: Coroutine[Any, Any, T]) -> Future[T]:
        if self._loop is None:
            coroutine.close()
            raise RuntimeError("the deliverer is not started")
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop)

    def _run(self, started: Future[None]) -> None:
        try:
            asyncio.run(self._serve(started))
        except BaseException as error:
            if started.done():
                raise
            started.set_exception(error)  # Raised by `start`, which waits for it.

    # --- On the loop ---

    async def _serve(self, started: Future[None]) -> None:
        self._loop = asyncio.get_running_loop()
        self._closed = asyncio.Event()
        self._loop.set_default_executor(ThreadPoolExecutor(RESOLVER_THREADS, "webhooks-resolver"))
        self._asking = Asking(self._engine, self._together)
        targets = Targets(
            self._target_check,
            limits=self._limits,
            tls=self._tls,
            resolver=self._resolver,
            open_socket=self._open_socket,
        )
        self._tools = Tools(
            targets,
            self._vault,
            self._asking,
            self._clock,
            self._dice,
            posts_max=self._posts_max,
            counted=self._count,
            traced=self._traced,
            is_listening=lambda: self._listener.is_listening,
            linger_s=self._lingers_for,
        )
        going_on = [asyncio.create_task(self._keep())]
        if self._linger_s:
            going_on.append(asyncio.create_task(self._listener.run()))
        started.set_result(None)
        try:
            await self._closed.wait()
        finally:
            for task in going_on:
                task.cancel()
            await asyncio.gather(*going_on, return_exceptions=True)
            await targets.close()
            self._asking.close()

    def _hear(self, endpoint_id: str) -> None:
        """Something is due. Every listening process hears this; only one has the drainer."""
        if (drainer := self._drainers.get(endpoint_id)) is not None:
            drainer.nudge(heard=True)

    def _lingers_for(self) -> float:
        """How long a drainer of this process may wait for the next event."""
        may = self._listener.is_listening and len(self._drainers) <= LINGERING_MAX
        return self._linger_s if may else 0.0

    async def _taken_on(self, endpoint_ids: Sequence[str]) -> None:
        for endpoint_id in endpoint_ids:
            if (busy := self._drainers.get(endpoint_id)) is not None:
                busy.nudge()
                continue
            task = asyncio.create_task(self._drain(endpoint_id))
            self._handed.add(task)
            task.add_done_callback(partial(self._done, endpoint_id))

    def _done(self, endpoint_id: str, task: asyncio.Task[Drained]) -> None:
        self._handed.discard(task)
        if task.cancelled():
            return
        if (error := task.exception()) is not None:
            log.error("drain failed", endpoint_id=endpoint_id, exc_info=error)
        elif task.result().more:
            self._wake(Wakes(endpoints={endpoint_id}))

    async def _drain(self, endpoint_id: str) -> Drained:
        if (busy := self._drainers.get(endpoint_id)) is not None:
            busy.nudge()
            return Drained()
        if self._is_closing:
            return Drained(more=True)
        drainer = Drainer(
            self._tools, endpoint_id, drain_s=self._drain_s, window=self._windows.of(endpoint_id)
        )
        self._drainers[endpoint_id] = drainer
        task = asyncio.create_task(drainer.run())
        self._drains.add(task)
        try:
            return await task
        finally:
            self._drains.discard(task)
            del self._drainers[endpoint_id]

    async def _keep(self) -> None:
        """Renew all leases, and find what drainers were not notified of: one statement each."""
        loop = asyncio.get_running_loop()
        renewed_at = loop.time()
        while True:
            await asyncio.sleep(min(LOOK_EVERY_S, drains.LEASE_S / 4))
            if self._is_stopping():
                self._begin_no_more()
            alive = [drainer.alive for drainer in self._drainers.values()]
            try:
                if alive and loop.time() - renewed_at >= drains.LEASE_S / 4:
                    renewed_at = loop.time()
                    await self._asking.run(leases.renew, alive)
                if curious := [one for one in alive if not one.is_full]:
                    for id_ in await self._asking.run(leases.with_more_due, curious):
                        if (drainer := self._drainers.get(id_)) is not None:
                            drainer.nudge()
            # Drainers handle an absent database themselves. Whatever the error (too many open
            # files, say), continue: without renewal, a slow receiver would get its webhooks twice.
            except Exception as error:
                log.warning("leases of endpoints could not be renewed", exc_info=error)

    def _begin_no_more(self) -> None:
        self._is_closing = True
        for drainer in self._drainers.values():
            drainer.stop()

    async def _close(self) -> None:
        self._begin_no_more()
        tasks: set[asyncio.Task[Any]] = set(self._drains)
        if tasks:
            _, abandoned = await asyncio.wait(tasks, timeout=self._limits.total_s + CLOSE_S)
            for task in abandoned:
                task.cancel()
            await asyncio.gather(*abandoned, return_exceptions=True)
        self._closed.set()
