"""Many threads, one transaction: whatever waits is committed together.

A thread that has something to write and finds nobody writing goes at once, alone: at low load
nobody waits for a batch. What arrives while it writes is the next batch, led by the first of
those who wait. So batches grow by themselves exactly when the database is the bottleneck, and
there is no thread of its own.

A row that somebody holds slows those who want it. A batch that waits for one is soon not waited for
by the next; when it fails it is taken apart beside those that follow; and what shares a row that
was held a moment ago is not put together with others.
"""

import contextlib
import threading
import time
from collections import deque
from collections.abc import Callable, Hashable, Iterator, Sequence
from typing import Generic, TypeVar

from service.database.retrying import is_held_up

Item = TypeVar("Item")
Answer = TypeVar("Answer")

# Who is handed the lead knows that there is a crowd, and lets it gather for so long: a third more
# charges per second, for a few milliseconds each. Who finds nobody writing never waits.
GATHER_S = 0.003

# Beyond this, longer statements no longer make a commit cheaper per item, but a failed batch
# dearer to take apart.
BATCH_MAX = 64

# A batch takes milliseconds. One that is under way for so long probably waits for a row, and the
# next goes beside it; so many at once, as each takes a connection.
STUCK_S = 0.25
LEADERS_MAX = 3
# For so long what shares a row that was found held goes apart from others.
HELD_S = 2.0
# What taking a batch apart may take before the rest of it is given up as held up, too.
GIVE_UP_S = 10.0


class GroupCommitter(Generic[Item, Answer]):
    """Puts the items of many threads into batches for `run`, and wakes each with its own answer.

    `run` takes a list of items and returns the list of their answers; it opens and commits the
    transaction. When it raises for a batch, the items are run again one by one, so that an item
    that can't be written fails alone.

    `shared` says which row an item has in common with others, such as a price; None for none. When
    somebody holds up a batch, those that share a row are run together, behind those that share
    none. When they are held up again, one of them is run alone: if it is held up, too, it is by
    what they share, and all of them fail, as one by one each would wait for it as long. When taking
    it apart has lasted `give_up_s` seconds, what is left of the batch fails, too.
    """

    def __init__(
        self,
        run: Callable[[Sequence[Item]], Sequence[Answer]],
        *,
        batch_max: int = BATCH_MAX,
        shared: Callable[[Item], Hashable] = lambda _: None,
        give_up_s: float = GIVE_UP_S,
        stuck_s: float = STUCK_S,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._run = run
        self._shared = shared
        self._batch_max = batch_max
        self._give_up_s = give_up_s
        self._stuck_s = stuck_s
        self._clock = clock
        self._lock = threading.Lock()
        self._waiting: deque[_Ticket[Item, Answer]] = deque()
        self._leaders = 0
        self._led_at = 0.0
        # What was found held, and until when to believe it.
        self._held: dict[Hashable, float] = {}

    def submit(self, item: Item) -> Answer:
        """The answer for `item`, once the transaction it was part of is committed.

        Blocks the calling thread. Raises what `run` raised for this item.
        """
        ticket = _Ticket[Item, Answer](item, self._shared(item))
        with self._lock:
            self._waiting.append(ticket)
            if self._leaders == 0:
                self._leaders, ticket.leads = 1, True
            leads = ticket.leads
        if not leads and (leads := self._is_called_to_lead(ticket)):
            time.sleep(GATHER_S)
        if leads:
            self._lead()
        while not ticket.done:  # another leader took it along
            ticket.wait()
        return ticket.answer()

    def _is_called_to_lead(self, ticket: "_Ticket[Item, Answer]") -> bool:
        """Wait until it is answered or leads: by its turn, or because whoever leads is stuck."""
        while not ticket.is_called:
            if not ticket.wait(self._stuck_s):
                with self._lock:
                    self._lead_beside(ticket)
        return ticket.leads

    def _lead_beside(self, ticket: "_Ticket[Item, Answer]") -> None:
        is_next = bool(self._waiting) and self._waiting[0] is ticket
        is_stuck = self._clock() - self._led_at >= self._stuck_s
        if is_next and is_stuck and not ticket.is_called and self._leaders < LEADERS_MAX:
            self._leaders, ticket.leads = self._leaders + 1, True

    def _lead(self) -> None:
        """Commit one batch, then hand the lead to the first of those who came meanwhile."""
        with self._lock:
            batch = self._next_batch()
            self._led_at = self._clock()
        handing_over = _Once(self._hand_over)
        try:
            if batch:
                self._commit(batch, handing_over)
        finally:
            handing_over()

    def _next_batch(self) -> "list[_Ticket[Item, Answer]]":
        if not self._held:
            size = min(len(self._waiting), self._batch_max)
            return [self._waiting.popleft() for _ in range(size)]
        now = self._clock()
        self._held = {key: until for key, until in self._held.items() if until > now}
        batch: list[_Ticket[Item, Answer]] = []
        left: deque[_Ticket[Item, Answer]] = deque()
        apart = self._waiting[0].shared if self._waiting else None
        for ticket in self._waiting:
            fits = (
                ticket.shared == apart if apart in self._held else ticket.shared not in self._held
            )
            (batch if fits and len(batch) < self._batch_max else left).append(ticket)
        self._waiting = left
        return batch

    def _hand_over(self) -> None:
        with self._lock:
            successor = next((ticket for ticket in self._waiting if not ticket.leads), None)
            if successor is None:
                self._leaders -= 1
            else:
                successor.leads = True
        if successor is not None:
            successor.wake()

    def _commit(
        self, batch: Sequence["_Ticket[Item, Answer]"], handing_over: Callable[[], None]
    ) -> None:
        try:
            answers = self._run([ticket.item for ticket in batch])
            if len(answers) != len(batch):
                raise RuntimeError(f"{len(answers)} answers for {len(batch)} items")
        except Exception as failure:  # noqa: BLE001  # whatever it is, its thread gets it
            if len(batch) == 1:
                batch[0].fail(failure)
            else:
                handing_over()  # nobody waits for those that are run one by one
                self._commit_parts(batch, failure, handing_over)
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
        failure: Exception,
        handing_over: Callable[[], None],
    ) -> None:
        gives_up_at = self._clock() + self._give_up_s
        try:
            for part in _apart(batch, failure, self._note_held):
                if is_held_up(failure) and self._clock() >= gives_up_at:
                    break
                self._commit(part, handing_over)
        except BaseException as end:
            for ticket in batch:
                if not ticket.done:
                    ticket.fail(end)
            raise
        # What each would wait adds up to more than its process may take to be called hung.
        for ticket in batch:
            if not ticket.done:
                ticket.fail(failure)

    def _note_held(self, shared: Hashable) -> None:
        with self._lock:
            self._held[shared] = self._clock() + HELD_S


class _Once:
    """Calls a function the first time that it is called."""

    __slots__ = ("_function",)

    def __init__(self, function: Callable[[], None]) -> None:
        self._function: Callable[[], None] | None = function

    def __call__(self) -> None:
        if self._function is not None:
            function, self._function = self._function, None
            function()


def _apart(
    batch: Sequence["_Ticket[Item, Answer]"],
    failure: Exception,
    note_held: Callable[[Hashable], None],
) -> Iterator[Sequence["_Ticket[Item, Answer]"]]:
    """How a batch is run again that failed as a whole: one part after the other. What is found to
    be held is noted."""
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
            note_held(probe.shared)
            for ticket in others:
                ticket.fail(failure)
        else:
            yield from ([ticket] for ticket in others)


class _Ticket(Generic[Item, Answer]):
    """One item, and the thread that waits for its answer (or for its turn to lead)."""

    __slots__ = ("_answer", "_failure", "_turn", "done", "item", "leads", "shared")

    def __init__(self, item: Item, shared: Hashable) -> None:
        self.item = item
        self.shared = shared
        self.done = False
        # Whether its thread is to commit the next batch. Set under the committer's lock.
        self.leads = False
        self._answer: Answer | None = None
        self._failure: BaseException | None = None
        # A bare lock is the cheapest thing a thread can sleep on.
        self._turn = threading.Lock()
        self._turn.acquire()

    def wait(self, timeout_s: float = -1) -> bool:
        """Sleep until woken; False when nobody did so in time."""
        return self._turn.acquire(timeout=timeout_s)

    def wake(self) -> None:
        with contextlib.suppress(RuntimeError):  # woken already: once is enough
            self._turn.release()

    @property
    def is_called(self) -> bool:
        """Whether its thread need not sleep any more."""
        return self.done or self.leads

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
