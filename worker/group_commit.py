"""Many threads, one transaction: whatever waits is committed together.

A thread that has something to write and finds nobody writing goes at once, alone: at low load
nobody waits for a batch. What arrives while it writes is the next batch, led by the first of
those who wait. So batches grow by themselves exactly when the database is the bottleneck, and
there is no thread of its own.
"""

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

Item = TypeVar("Item")
Answer = TypeVar("Answer")

# Who is handed the lead knows that there is a crowd, and lets it gather for so long: a third more
# charges per second, for a few milliseconds each. Who finds nobody writing never waits.
GATHER_S = 0.003

# Beyond this, longer statements no longer make a commit cheaper per item, but a failed batch
# dearer to take apart.
BATCH_MAX = 64


class GroupCommitter(Generic[Item, Answer]):
    """Puts the items of many threads into batches for `run`, and wakes each with its own answer.

    `run` takes a list of items and returns the list of their answers; it opens and commits the
    transaction. When it raises for a batch, the items are run again one by one, so that an item
    that can't be written fails alone.
    """

    def __init__(
        self,
        run: Callable[[Sequence[Item]], Sequence[Answer]],
        *,
        batch_max: int = BATCH_MAX,
    ) -> None:
        self._run = run
        self._batch_max = batch_max
        self._lock = threading.Lock()
        self._waiting: deque[_Ticket[Item, Answer]] = deque()
        self._led = False

    def submit(self, item: Item) -> Answer:
        """The answer for `item`, once the transaction it was part of is committed.

        Blocks the calling thread. Raises what `run` raised for this item.
        """
        ticket = _Ticket[Item, Answer](item)
        with self._lock:
            self._waiting.append(ticket)
            leads, self._led = not self._led, True
        if not leads:
            ticket.wait()
            if not ticket.done:
                time.sleep(GATHER_S)
        if not ticket.done:
            self._lead()
        return ticket.answer()

    def _lead(self) -> None:
        """Commit one batch, then hand the lead to the first of those who came meanwhile."""
        with self._lock:
            size = min(len(self._waiting), self._batch_max)
            batch = [self._waiting.popleft() for _ in range(size)]
        try:
            self._commit(batch)
        finally:
            with self._lock:
                successor = self._waiting[0] if self._waiting else None
                self._led = successor is not None
            if successor is not None:
                successor.wake()

    def _commit(self, batch: Sequence["_Ticket[Item, Answer]"]) -> None:
        try:
            answers = self._run([ticket.item for ticket in batch])
            if len(answers) != len(batch):
                raise RuntimeError(f"{len(answers)} answers for {len(batch)} items")
        except Exception as failure:  # noqa: BLE001  # whatever it is, its thread gets it
            if len(batch) == 1:
                batch[0].fail(failure)
            else:
                self._commit_singly(batch)
        except BaseException as end:  # The process is ending; nobody may wait for ever.
            for ticket in batch:
                ticket.fail(end)
            raise
        else:
            for ticket, answer in zip(batch, answers, strict=True):
                ticket.succeed(answer)

    def _commit_singly(self, batch: Sequence["_Ticket[Item, Answer]"]) -> None:
        for place, ticket in enumerate(batch):
            try:
                self._commit([ticket])
            except BaseException as end:
                for other in batch[place + 1 :]:
                    other.fail(end)
                raise


class _Ticket(Generic[Item, Answer]):
    """One item, and the thread that waits for its answer (or for its turn to lead)."""

    __slots__ = ("_answer", "_failure", "_turn", "done", "item")

    def __init__(self, item: Item) -> None:
        self.item = item
        self.done = False
        self._answer: Answer | None = None
        self._failure: BaseException | None = None
        # A bare lock is the cheapest thing a thread can sleep on.
        self._turn = threading.Lock()
        self._turn.acquire()

    def wait(self) -> None:
        self._turn.acquire()

    def wake(self) -> None:
        self._turn.release()

    def succeed(self, answer: Answer) -> None:
        self._answer, self.done = answer, True
        self.wake()

    def fail(self, failure: BaseException) -> None:
        self._failure, self.done = failure, True
        self.wake()

    def answer(self) -> Answer:
        if self._failure is not None:
            raise self._failure
        return self._answer  # type: ignore[return-value]  # done and not failed: it is there
