"""Many coroutines, one transaction: everything that waits is sent to the database together.

Like threads do (`service.database.group_commit`), on an event loop: if no other is asking, a
coroutine goes at once; what arrives in the meantime is the next batch
(`service.database.batching`).
"""

import asyncio
import contextvars
from collections.abc import Awaitable, Callable, Coroutine, Hashable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from service.database.batching import Batching, Ticket

Item = TypeVar("Item")
Answer = TypeVar("Answer")

# How many parts of split batches run at once: each takes a connection, and others need some, too.
APART_MAX = 4

# If many wait, the next batch lets more gather for this long: each caller waits a little, and all
# of them together need far fewer round trips. A lone caller never waits.
GATHER_S = 0.001
# Callers that were answered together ask again within this time if they are many.
CROWD_S = 0.005


@dataclass(frozen=True, slots=True)
class Patience:
    """How many may wait, and for how many seconds each; and what is raised beyond that."""

    waiting_max: int
    too_many: Callable[[], Exception]
    deadline_s: float
    too_late: Callable[[], Exception]


class LoopCommitter(Generic[Item, Answer]):
    """Puts items into batches for `run`, and delivers to each its own answer.

    `run` takes up to `batch_max` items and returns as many answers. `shared` says which row an item
    has in common with others; the other `rules` are those of `Batching`, by which a batch is split
    up if `run` raises. Without `patience` any number waits without limit.
    """

    def __init__(
        self,
        run: Callable[[Sequence[Item]], Awaitable[Sequence[Answer]]],
        *,
        shared: Callable[[Item], Hashable] = lambda _: None,
        patience: Patience | None = None,
        **rules: Any,
    ) -> None:
        self._run = run
        self._shared = shared
        self._patience = patience
        self._batching = Batching[Item, Answer](side_by_side=APART_MAX, **rules)
        self._crowd_until = 0.0
        self._places = asyncio.Semaphore(APART_MAX)
        self._tasks: set[asyncio.Task[None]] = set()
        self._watch: asyncio.TimerHandle | None = None

    async def submit(self, item: Item, ends_at: float | None = None) -> Answer:
        """The answer for `item`. Raises what `run` raised for it, and the exceptions of `patience`;
        `ends_at`, by the loop's clock, is its limit if it has waited elsewhere already."""
        patience = self._patience
        if patience is not None and len(self._batching.waiting) >= patience.waiting_max:
            raise patience.too_many()
        loop = asyncio.get_running_loop()
        ticket: _Ticket[Item, Answer] = _Ticket(item, self._shared(item), loop.create_future())
        if self._batching.join(ticket) or self._batching.leads_beside(ticket):
            self._start(self._lead())
        elif self._watch is None:
            self._watch = loop.call_later(self._batching.stuck_s, self._look)
        if patience is None:
            return await ticket.future
        ends_at = loop.time() + patience.deadline_s if ends_at is None else ends_at
        giving_up = loop.call_at(ends_at, ticket.give_up, patience.too_late)
        try:
            return await ticket.future
        finally:
            giving_up.cancel()

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        # In a separate context: it works for many requests, so it must not log as one.
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
                # In parallel with the batches that follow: only items that need a locked row may
                # wait for it.
                self._start(self._take_apart(batch, failure))
            if len(batch) > 1 or self._batching.waiting:
                self._crowd_until = loop.time() + CROWD_S
            leads = self._batching.hand_over() is not None

    def _look(self) -> None:
        """While any item waits: if a batch is stuck, the next starts in parallel."""
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
        """Run a batch; returns its error if it is to be split up."""
        try:
            answers = await self._run([ticket.item for ticket in batch])
            self._batching.answered(batch, answers)
        except Exception as failure:  # noqa: BLE001  # any error: its request gets it
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
    """One item, and the future that its owner awaits."""

    def __init__(self, item: Item, shared: Hashable, future: "asyncio.Future[Answer]") -> None:
        super().__init__(item, shared)
        self.future = future

    def give_up(self, why: Callable[[], Exception]) -> None:
        """Fail, as its turn didn't come in time."""
        self.fail(why())

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
