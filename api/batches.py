"""Many requests, one round trip: whatever waits is asked of the database together.

The event loop's sibling of `service.database.group_commit`. A request that finds nobody asking goes
at once; what arrives while it asks is the next batch.
"""

import asyncio
import contextvars
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

from api.database import DEADLINE_S
from api.edge.problems import DatabaseUnavailable, TooManyRequests
from service.database.group_commit import BATCH_MAX

Item = TypeVar("Item")
Answer = TypeVar("Answer")

# At 64 in a few milliseconds these are half a second of work: behind more a request would wait for
# longer than DEADLINE_S on a bad day, and each holds its body in memory.
WAITING_MAX = 4_000
# Of a batch that was taken apart, so many at once: as few connections, and others need some, too.
ALONE_MAX = 4

# Where there is a crowd, the next batch lets it gather for so long: each caller waits a little, and
# all of them together cost far fewer trips. Who is alone never waits.
GATHER_S = 0.001
# Callers that were answered together come back within this time, or were no crowd.
CROWD_S = 0.005


class Batches(Generic[Item, Answer]):
    """Puts items into batches for `run`, and hands each its own answer.

    `run` takes up to `batch_max` items and returns as many answers. When it raises for a batch,
    the items are run again each by itself, so that one that can't be written fails alone; but not
    when the database is away, which it is for all of them.
    """

    def __init__(
        self,
        run: Callable[[Sequence[Item]], Awaitable[Sequence[Answer]]],
        *,
        batch_max: int = BATCH_MAX,
        waiting_max: int = WAITING_MAX,
        deadline_s: float = DEADLINE_S,
    ) -> None:
        self._run = run
        self._batch_max = batch_max
        self._waiting_max = waiting_max
        self._deadline_s = deadline_s
        self._waiting: deque[tuple[Item, asyncio.Future[Answer]]] = deque()
        self._leader: asyncio.Task[None] | None = None
        self._crowd_until = 0.0
        self._places = asyncio.Semaphore(ALONE_MAX)
        self._apart: set[asyncio.Task[None]] = set()

    async def submit(self, item: Item) -> Answer:
        """The answer for `item`. Raises what `run` raised for it; TooManyRequests when too many
        wait; DatabaseUnavailable when its turn doesn't come in time."""
        if len(self._waiting) >= self._waiting_max:
            raise TooManyRequests
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Answer] = loop.create_future()
        self._waiting.append((item, future))
        if self._leader is None:
            # In a context of its own: it works for many requests, so it must not log as one.
            self._leader = loop.create_task(self._lead(), context=contextvars.Context())
        giving_up = loop.call_later(self._deadline_s, _give_up, future)
        try:
            return await future
        finally:
            giving_up.cancel()

    async def _lead(self) -> None:
        clock = asyncio.get_running_loop().time
        try:
            while self._waiting:
                if clock() < self._crowd_until and len(self._waiting) < self._batch_max:
                    await asyncio.sleep(GATHER_S)
                size = min(len(self._waiting), self._batch_max)
                batch = [self._waiting.popleft() for _ in range(size)]
                # Who has given up is told elsewhere; nothing was asked for them yet.
                await self._ask([(item, future) for item, future in batch if not future.done()])
                if size > 1 or self._waiting:
                    self._crowd_until = clock() + CROWD_S
        finally:
            self._leader = None

    async def _ask(self, batch: Sequence[tuple[Item, asyncio.Future[Answer]]]) -> None:
        if not batch:
            return
        try:
            answers = await self._run([item for item, _ in batch])
            if len(answers) != len(batch):
                raise RuntimeError(f"{len(answers)} answers for {len(batch)} items")
        except DatabaseUnavailable as failure:
            _fail(batch, failure)
        except Exception as failure:  # noqa: BLE001  # whatever it is, its request gets it
            if len(batch) == 1:
                _fail(batch, failure)
            else:
                self._take_apart(batch)
        else:
            for (_, future), answer in zip(batch, answers, strict=True):
                if not future.done():
                    future.set_result(answer)

    def _take_apart(self, batch: Sequence[tuple[Item, asyncio.Future[Answer]]]) -> None:
        """Each by itself, beside the batches that follow: who wants a row that somebody holds may
        wait for it, and nobody else shall."""
        for one in batch:
            task = asyncio.get_running_loop().create_task(self._ask_alone(one))
            self._apart.add(task)
            task.add_done_callback(self._apart.discard)

    async def _ask_alone(self, one: tuple[Item, asyncio.Future[Answer]]) -> None:
        async with self._places:
            await self._ask([one] if not one[1].done() else [])


def _fail(batch: Sequence[tuple[Item, asyncio.Future[Answer]]], failure: Exception) -> None:
    for _, future in batch:
        if not future.done():
            future.set_exception(failure)


def _give_up(future: asyncio.Future[Answer]) -> None:
    if not future.done():
        future.set_exception(DatabaseUnavailable())
