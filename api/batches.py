"""Many requests, one round trip: whatever waits is asked of the database together.

As the threads of a worker do (`service.database.group_commit`), on an event loop: a request that
finds nobody asking goes at once; what arrives while it asks is the next batch.
"""

import asyncio
import contextvars
from collections.abc import Awaitable, Callable, Coroutine, Hashable, Sequence
from typing import Any, Generic, TypeVar

from api.database import DEADLINE_S
from api.edge.problems import DatabaseUnavailable, Held, TooManyRequests
from service.database.batching import BATCH_MAX, STUCK_S, Batching, Ticket

Item = TypeVar("Item")
Answer = TypeVar("Answer")

# At 64 in a few milliseconds these are half a second of work: behind more a request would wait for
# longer than DEADLINE_S on a bad day, and each holds its body in memory.
WAITING_MAX = 4_000
# Of batches that were taken apart, so many parts at once: as few connections, and others need some,
# too.
APART_MAX = 4

# Where there is a crowd, the next batch lets it gather for so long: each caller waits a little, and
# all of them together cost far fewer trips. Who is alone never waits.
GATHER_S = 0.001
# Callers that were answered together come back within this time, or were no crowd.
CROWD_S = 0.005


class Batches(Generic[Item, Answer]):
    """Puts items into batches for `run`, and hands each its own answer.

    `run` takes up to `batch_max` items and returns as many answers. `shared` says which row an item
    has in common with others. When `run` raises for a batch, it is taken apart as `Batching` says;
    but not when the database is away, which it is for all of them.
    """

    def __init__(
        self,
        run: Callable[[Sequence[Item]], Awaitable[Sequence[Answer]]],
        *,
        shared: Callable[[Item], Hashable] = lambda _: None,
        batch_max: int = BATCH_MAX,
        waiting_max: int = WAITING_MAX,
        deadline_s: float = DEADLINE_S,
        stuck_s: float = STUCK_S,
    ) -> None:
        self._run = run
        self._shared = shared
        self._waiting_max = waiting_max
        self._deadline_s = deadline_s
        self._batching = Batching[Item, Answer](
            batch_max=batch_max,
            side_by_side=APART_MAX,
            stuck_s=stuck_s,
            hopeless=(DatabaseUnavailable,),
            is_held_up=lambda failure: isinstance(failure, Held),
        )
        self._crowd_until = 0.0
        self._places = asyncio.Semaphore(APART_MAX)
        self._tasks: set[asyncio.Task[None]] = set()
        self._watch: asyncio.TimerHandle | None = None

    async def submit(self, item: Item) -> Answer:
        """The answer for `item`. Raises what `run` raised for it; TooManyRequests when too many
        wait; DatabaseUnavailable when its turn doesn't come in time."""
        if len(self._batching.waiting) >= self._waiting_max:
            raise TooManyRequests
        loop = asyncio.get_running_loop()
        ticket: _Ticket[Item, Answer] = _Ticket(item, self._shared(item), loop.create_future())
        if self._batching.join(ticket) or self._batching.leads_beside(ticket):
            self._start(self._lead())
        elif self._watch is None:
            self._watch = loop.call_later(self._batching.stuck_s, self._look)
        giving_up = loop.call_later(self._deadline_s, ticket.give_up)
        try:
            return await ticket.future
        finally:
            giving_up.cancel()

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        # In a context of its own: it works for many requests, so it must not log as one.
        loop = asyncio.get_running_loop()
        task = loop.create_task(work, context=contextvars.Context())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _lead(self) -> None:
        loop, leads = asyncio.get_running_loop(), True
        while leads:
            if loop.time() < self._crowd_until and self._is_less_than_a_batch():
                await asyncio.sleep(GATHER_S)
            batch = self._batching.next_batch()
            failure = await self._try(batch) if batch else None
            if failure is not None:
                # Beside the batches that follow: who wants a row that somebody holds may wait for
                # it, and nobody else shall.
                self._start(self._take_apart(batch, failure))
            if len(batch) > 1 or self._batching.waiting:
                self._crowd_until = loop.time() + CROWD_S
            leads = self._batching.hand_over() is not None

    def _look(self) -> None:
        """While somebody waits: behind a batch that is stuck the next leads beside it."""
        waiting, self._watch = self._batching.waiting, None
        if not waiting:
            return
        if not waiting[0].leads and self._batching.leads_beside(waiting[0]):
            self._start(self._lead())
        loop = asyncio.get_running_loop()
        self._watch = loop.call_later(self._batching.stuck_s, self._look)

    def _is_less_than_a_batch(self) -> bool:
        return len(self._batching.waiting) < self._batching.batch_max

    async def _try(self, batch: Sequence[Ticket[Item, Answer]]) -> Exception | None:
        """Ask for a batch; what went wrong with it, if it is to be taken apart."""
        try:
            answers = await self._run([ticket.item for ticket in batch])
            self._batching.answered(batch, answers)
        except Exception as failure:  # noqa: BLE001  # whatever it is, its request gets it
            return failure if self._batching.may_be_apart(batch, failure) else None
        return None

    async def _take_apart(self, batch: Sequence[Ticket[Item, Answer]], failure: Exception) -> None:
        for parts in self._batching.apart(batch, failure):
            await asyncio.gather(*map(self._ask_part, parts))

    async def _ask_part(self, part: Sequence[Ticket[Item, Answer]]) -> None:
        async with self._places:
            left = [ticket for ticket in part if not ticket.is_done]
            failure = await self._try(left) if left else None
        if failure is not None:
            await self._take_apart(left, failure)


class _Ticket(Ticket[Item, Answer]):
    """One item, and the future that its request waits for."""

    def __init__(self, item: Item, shared: Hashable, future: "asyncio.Future[Answer]") -> None:
        super().__init__(item, shared)
        self.future = future

    def give_up(self) -> None:
        """Fail, as its turn didn't come in time."""
        self.fail(DatabaseUnavailable())

    @property
    def is_done(self) -> bool:
        return self.future.done()

    def succeed(self, answer: Answer) -> None:
        if not self.is_done:
            self.future.set_result(answer)

    def fail(self, failure: BaseException) -> None:
        if not self.is_done:
            self.failure = failure
            self.future.set_exception(failure)
