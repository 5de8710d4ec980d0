"""Which items are written in one transaction, and what becomes of them when it fails.

The rules that threads (`service.database.group_commit`) and an event loop (`api.batches`) share;
those two differ only in how they wait. An item that finds nobody writing goes at once, alone: at
low load nobody waits for a batch. What arrives while it is written is the next batch. So batches
grow by themselves exactly when the database is the bottleneck.

A row that somebody holds slows those who want it. A batch that waits for one is soon not waited for
by the next; when it fails it is taken apart beside those that follow; and what shares a row that
was held a moment ago is not put together with others.
"""

import threading
import time
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from itertools import islice
from typing import Generic, TypeVar

from service.database import retrying

Item = TypeVar("Item")
Answer = TypeVar("Answer")

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


def _is_stopping(failure: Exception) -> bool:
    return isinstance(failure, retrying.DatabaseUnavailable)


class Ticket(ABC, Generic[Item, Answer]):
    """An item that waits for its answer.

    `shared` says which row it has in common with others, such as a price; None for none. `leads`:
    it is up to its owner to write the next batch.
    """

    def __init__(self, item: Item, shared: Hashable) -> None:
        self.item = item
        self.shared = shared
        self.leads = False
        self.failure: BaseException | None = None

    @property
    @abstractmethod
    def is_done(self) -> bool:
        """Whether it has its answer or its failure, or nobody waits for them any more."""

    @abstractmethod
    def succeed(self, answer: Answer) -> None:
        """Hand over the answer, unless it is done."""

    @abstractmethod
    def fail(self, failure: BaseException) -> None:
        """Hand over the failure, unless it is done."""


class Batching(Generic[Item, Answer]):
    """Who waits, who leads, and how a batch that failed is taken apart. For any thread.

    When writing a batch fails, its items are written again one by one, so that an item that can't
    be written fails alone; but not when the failure `is_hopeless`: it would meet all of them. When
    somebody holds up a batch, those that share a row are written together, apart from those that
    share none. When they are held up again, one of them is written alone: if it is held up, too, it
    is by what they share, and all of them fail, as one by one each would wait for it as long. When
    taking it apart has lasted `give_up_s` seconds, what is left of the batch fails, too.
    `side_by_side` is how many parts may be written at the same time.
    """

    def __init__(
        self,
        *,
        batch_max: int = BATCH_MAX,
        side_by_side: int = 1,
        give_up_s: float = GIVE_UP_S,
        stuck_s: float = STUCK_S,
        is_hopeless: Callable[[Exception], bool] = _is_stopping,
        is_held_up: Callable[[Exception], bool] = retrying.is_held_up,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.batch_max = batch_max
        self.stuck_s = stuck_s
        self.waiting: deque[Ticket[Item, Answer]] = deque()
        self.leaders = 0
        self._side_by_side = side_by_side
        self._give_up_s = give_up_s
        self._is_hopeless = is_hopeless
        self._is_held_up = is_held_up
        self._clock = clock
        self._lock = threading.Lock()
        self._led_at = 0.0
        # What was found held, and until when to believe it.
        self._held: dict[Hashable, float] = {}

    # --- Who leads ---

    def join(self, ticket: Ticket[Item, Answer]) -> bool:
        """Wait with the others; whether the ticket is to lead, as nobody does."""
        with self._lock:
            self.waiting.append(ticket)
            if self.leaders == 0:
                self.leaders, ticket.leads = 1, True
            return ticket.leads

    def leads_beside(self, ticket: Ticket[Item, Answer]) -> bool:
        """Whether the ticket leads, by now or from now on: it is the next, and whoever leads is
        stuck."""
        with self._lock:
            is_next = bool(self.waiting) and self.waiting[0] is ticket
            is_stuck = self._clock() - self._led_at >= self.stuck_s
            if is_next and is_stuck and not ticket.leads and self.leaders < LEADERS_MAX:
                self.leaders, ticket.leads = self.leaders + 1, True
            return ticket.leads

    def next_batch(self) -> list[Ticket[Item, Answer]]:
        """What a leader is to write now; those who no longer wait are left out."""
        with self._lock:
            now = self._led_at = self._clock()
            if not self._held:
                size = min(len(self.waiting), self.batch_max)
                batch = [self.waiting.popleft() for _ in range(size)]
            else:
                batch = self._batch_apart(now)
            return [ticket for ticket in batch if not ticket.is_done]

    def _batch_apart(self, now: float) -> list[Ticket[Item, Answer]]:
        self._held = {key: until for key, until in self._held.items() if until > now}
        batch: list[Ticket[Item, Answer]] = []
        left: deque[Ticket[Item, Answer]] = deque()
        apart = self.waiting[0].shared if self.waiting else None
        for ticket in self.waiting:
            fits = (
                ticket.shared == apart if apart in self._held else ticket.shared not in self._held
            )
            (batch if fits and len(batch) < self.batch_max else left).append(ticket)
        self.waiting = left
        return batch

    def hand_over(self) -> Ticket[Item, Answer] | None:
        """End a lead: the first of those who came meanwhile leads now, if there are any."""
        with self._lock:
            successor = next((ticket for ticket in self.waiting if not ticket.leads), None)
            if successor is None:
                self.leaders -= 1
            else:
                successor.leads = True
            return successor

    # --- What came of a batch ---

    def answered(self, batch: Sequence[Ticket[Item, Answer]], answers: Sequence[Answer]) -> None:
        """Hand over the answers. Raises RuntimeError when they are too many or too few."""
        if len(answers) != len(batch):
            raise RuntimeError(f"{len(answers)} answers for {len(batch)} items")
        for ticket, answer in zip(batch, answers, strict=True):
            ticket.succeed(answer)

    def may_be_apart(self, batch: Sequence[Ticket[Item, Answer]], failure: Exception) -> bool:
        """Whether the batch is to be taken `apart`; if not, all of it has failed now."""
        if len(batch) > 1 and not self._is_hopeless(failure):
            return True
        for ticket in batch:
            ticket.fail(failure)
        return False

    def apart(
        self, batch: Sequence[Ticket[Item, Answer]], failure: Exception
    ) -> Iterator[Sequence[Sequence[Ticket[Item, Answer]]]]:
        """The parts in which a batch that failed is written again: those that may go side by side,
        and when these are done, the next."""
        held_up, ends_at = self._is_held_up(failure), self._clock() + self._give_up_s
        for parts in self._parts(batch, held_up=held_up):
            # What each would wait adds up to more than its process may take to be called hung.
            if held_up and self._clock() >= ends_at:
                break
            yield parts
        for ticket in batch:
            ticket.fail(failure)  # those that are left

    def _parts(
        self, batch: Sequence[Ticket[Item, Answer]], *, held_up: bool
    ) -> Iterator[Sequence[Sequence[Ticket[Item, Answer]]]]:
        groups: dict[Hashable, list[Ticket[Item, Answer]]] = {None: []}
        for ticket in batch:
            groups.setdefault(ticket.shared, []).append(ticket)
        if not held_up or len(groups[None]) == len(batch):
            yield from self._few_at_once([ticket] for ticket in batch)
        elif len(groups) > 2 or groups[None]:
            yield from self._few_at_once(group for group in groups.values() if group)
        else:
            *others, probe = batch
            yield [[probe]]
            failure = probe.failure
            if not isinstance(failure, Exception) or not self._is_held_up(failure):
                yield from self._few_at_once([ticket] for ticket in others)
                return
            with self._lock:
                self._held[probe.shared] = self._clock() + HELD_S

    def _few_at_once(
        self, parts: Iterable[Sequence[Ticket[Item, Answer]]]
    ) -> Iterator[Sequence[Sequence[Ticket[Item, Answer]]]]:
        left = iter(parts)
        while few := list(islice(left, self._side_by_side)):
            yield few
