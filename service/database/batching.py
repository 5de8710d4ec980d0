"""Which items share a transaction, and what happens when it fails.

These are the rules that threads (`service.database.group_commit`) and an event loop (`api.batches`)
share; the two differ only in how they wait. If no batch is being written, an item goes at once,
alone: at low load it never waits for a batch. What arrives in the meantime is the next batch. So
batches grow exactly when the database is the bottleneck.

A locked row slows only the items that need it. If a batch waits for one, the next soon stops
waiting for that batch; when it fails it is split up in parallel with those that follow; and items
that share a row that was locked a moment ago are not batched with others.
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

# Beyond this, longer statements no longer make a commit cheaper per item, but a failed batch more
# expensive to split up.
BATCH_MAX = 64

# A batch takes milliseconds. One that takes this long probably waits for a row, and the next starts
# in parallel; up to this many at once, as each takes a connection.
STUCK_S = 0.25
LEADERS_MAX = 3
# For this long, items that share a row that was found locked are kept apart from others.
HELD_S = 2.0
# How long splitting up a batch may take before the rest of it fails as held up, too.
GIVE_UP_S = 10.0


def _is_stopping(failure: Exception) -> bool:
    return isinstance(failure, retrying.DatabaseUnavailable)


class Ticket(ABC, Generic[Item, Answer]):
    """An item that waits for its answer.

    `shared` says which row it has in common with others, such as a price; None for none. `leads`:
    its owner must write the next batch.
    """

    def __init__(self, item: Item, shared: Hashable) -> None:
        self.item = item
        self.shared = shared
        self.leads = False
        self.failure: BaseException | None = None

    @property
    @abstractmethod
    def is_done(self) -> bool:
        """Whether it has its answer or its failure, or its owner has stopped waiting."""

    @abstractmethod
    def succeed(self, answer: Answer) -> None:
        """Deliver the answer, unless it is done."""

    @abstractmethod
    def fail(self, failure: BaseException) -> None:
        """Deliver the failure, unless it is done."""


class Batching(Generic[Item, Answer]):
    """Which tickets wait, which leads, and how a failed batch is split up. For any thread.

    When writing a batch fails, its items are written again one by one, so that an item that can't
    be written fails alone; but not if the failure `is_hopeless`, as it would meet all of them. If a
    batch is held up by a lock, items that share a row are written together, apart from those that
    share none. If they are held up again, one of them is written alone: if that is held up, too,
    the shared row is the cause, and all of them fail, as each would wait for it equally long. When
    splitting it up has lasted `give_up_s` seconds, the rest of the batch fails, too. `side_by_side`
    is how many parts may be written at the same time.
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
        # The shared rows that were found locked, and until when to assume so.
        self._held: dict[Hashable, float] = {}

    # --- Choosing the leader ---

    def join(self, ticket: Ticket[Item, Answer]) -> bool:
        """Wait with the others; returns whether the ticket must lead, as no other does."""
        with self._lock:
            self.waiting.append(ticket)
            if self.leaders == 0:
                self.leaders, ticket.leads = 1, True
            return ticket.leads

    def leads_beside(self, ticket: Ticket[Item, Answer]) -> bool:
        """Whether the ticket leads, already or from now on: it is the next, and the present leader
        is stuck."""
        with self._lock:
            is_next = bool(self.waiting) and self.waiting[0] is ticket
            is_stuck = self._clock() - self._led_at >= self.stuck_s
            if is_next and is_stuck and not ticket.leads and self.leaders < LEADERS_MAX:
                self.leaders, ticket.leads = self.leaders + 1, True
            return ticket.leads

    def next_batch(self) -> list[Ticket[Item, Answer]]:
        """The tickets that a leader is to write now, without those whose owners no longer wait."""
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
        """End a lead: the first ticket that came in the meantime leads now, if there is one."""
        with self._lock:
            successor = next((ticket for ticket in self.waiting if not ticket.leads), None)
            if successor is None:
                self.leaders -= 1
            else:
                successor.leads = True
            return successor

    # --- The result of a batch ---

    def answered(self, batch: Sequence[Ticket[Item, Answer]], answers: Sequence[Answer]) -> None:
        """Deliver the answers. Raises RuntimeError if there are too many or too few."""
        if len(answers) != len(batch):
            raise RuntimeError(f"{len(answers)} answers for {len(batch)} items")
        for ticket, answer in zip(batch, answers, strict=True):
            ticket.succeed(answer)

    def may_be_apart(self, batch: Sequence[Ticket[Item, Answer]], failure: Exception) -> bool:
        """Whether to split up the batch with `apart`; if not, all of it has failed now."""
        if len(batch) > 1 and not self._is_hopeless(failure):
            return True
        for ticket in batch:
            ticket.fail(failure)
        return False

    def apart(
        self, batch: Sequence[Ticket[Item, Answer]], failure: Exception
    ) -> Iterator[Sequence[Sequence[Ticket[Item, Answer]]]]:
        """The parts in which a failed batch is written again: those that may go in parallel, and
        when these are done, the next."""
        held_up, ends_at = self._is_held_up(failure), self._clock() + self._give_up_s
        for parts in self._parts(batch, held_up=held_up):
            # The waits of all of them add up to more than the time after which the process counts
            # as hanging.
            if held_up and self._clock() >= ends_at:
                break
            yield parts
        for ticket in batch:
            ticket.fail(failure)  # the rest

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
