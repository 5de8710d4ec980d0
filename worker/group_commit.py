"""Many threads, one transaction: whatever waits is committed together.

A thread that has something to write and finds nobody writing goes at once, alone: at low load
nobody waits for a batch. What arrives while it writes is the next batch, led by the first of
those who wait. So batches grow by themselves exactly when the database is the bottleneck, and
there is no thread of its own.
"""

import threading
import time
from collections import deque
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from typing import Generic, TypeVar

from worker.patience import is_held_up

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

    `shared` says which row an item has in common with others, such as a price; None for none. When
    somebody holds up a batch, those that share a row are run together, behind those that share
    none. When they are held up again, one of them is run alone: if it is held up, too, it is by
    what they share, and all of them fail, as one by one each would wait for it as long.
    """

    def __init__(
        self,
        run: Callable[[Sequence[Item]], Sequence[Answer]],
        *,
        batch_max: int = BATCH_MAX,
        shared: Callable[[Item], Hashable] = lambda _: None,
    ) -> None:
        self._run = run
        self._shared = shared
        self._batch_max = batch_max
        self._lock = threading.Lock()
        self._waiting: deque[_Ticket[Item, Answer]] = deque()
        self._led = False

    def submit(self, item: Item) -> Answer:
        """The answer for `item`, once the transaction it was part of is committed.

        Blocks the calling thread. Raises what `run` raised for this item.
        """
        ticket = _Ticket[Item, Answer](item, self._shared(item))
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
                self._commit_parts(batch, _apart(batch, failure))
        except BaseException as end:  # The process is ending; nobody may wait for ever.
            for ticket in batch:
                ticket.fail(end)
            raise
        else:
            for ticket, answer in zip(batch, answers, strict=True):
                ticket.succeed(answer)

    def _commit_parts(
        self,
        batch: Sequence["_Ticket[Item, Answer]"],
        parts: Iterable[Sequence["_Ticket[Item, Answer]"]],
    ) -> None:
        try:
            for part in parts:
                self._commit(part)
        except BaseException as end:
            for ticket in batch:
                if not ticket.done:
                    ticket.fail(end)
            raise


def _apart(
    batch: Sequence["_Ticket[Item, Answer]"], failure: Exception
) -> Iterator[Sequence["_Ticket[Item, Answer]"]]:
    """How a batch is run again that failed as a whole: one part after the other."""
    groups: dict[Hashable, list[_Ticket[Item, Answer]]] = {None: []}
    for ticket in batch:
        groups.setdefault(ticket.shared, []).append(ticket)
    if not is_held_up(failure) or len(groups[None]) == len(batch):
        yield from ([ticket] for ticket in batch)
    elif len(groups) > 2 or groups[None]:
        yield from (group for group in groups.values() if group)
    else:
        *others, probe = batch
        yield [probe]
        if probe.is_held_up:
            for ticket in others:
                ticket.fail(failure)
        else:
            yield from ([ticket] for ticket in others)


class _Ticket(Generic[Item, Answer]):
    """One item, and the thread that waits for its answer (or for its turn to lead)."""

    __slots__ = ("_answer", "_failure", "_turn", "done", "item", "shared")

    def __init__(self, item: Item, shared: Hashable) -> None:
        self.item = item
        self.shared = shared
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

    @property
    def is_held_up(self) -> bool:
        return isinstance(self._failure, Exception) and is_held_up(self._failure)

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
