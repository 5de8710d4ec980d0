"""Many threads, one transaction: everything that waits is committed together.

If no thread is writing, a thread writes at once. What arrives in the meantime is the next batch
(`service.database.batching`), led by the first waiting thread: there is no separate thread.
"""

import contextlib
import threading
import time
from collections.abc import Callable, Hashable, Sequence
from typing import Any, Generic, TypeVar

from service.database.batching import Batching, Ticket

Item = TypeVar("Item")
Answer = TypeVar("Answer")

# A thread that takes over the lead knows that others wait, and lets more gather for this long: a
# third more charges per second, for a few milliseconds each. A thread that finds no other writing
# never waits.
GATHER_S = 0.003


class GroupCommitter(Generic[Item, Answer]):
    """Puts the items of many threads into batches for `run`, and wakes each thread with its own
    answer.

    `run` takes a list of items and returns the list of their answers; it opens and commits the
    transaction. `shared` says which row an item has in common with others; the other `rules` are
    those of `Batching`.
    """

    def __init__(
        self,
        run: Callable[[Sequence[Item]], Sequence[Answer]],
        *,
        shared: Callable[[Item], Hashable] = lambda _: None,
        **rules: Any,
    ) -> None:
        self._run = run
        self._shared = shared
        self._batching = Batching[Item, Answer](**rules)

    def submit(self, item: Item) -> Answer:
        """The answer for `item`, once its transaction is committed.

        Blocks the calling thread. Raises what `run` raised for this item.
        """
        ticket: _Ticket[Item, Answer] = _Ticket(item, self._shared(item))
        leads = self._batching.join(ticket)
        if not leads and (leads := self._is_called_to_lead(ticket)):
            time.sleep(GATHER_S)
        if leads:
            self._lead()
        while not ticket.is_done:  # another leader has written it
            ticket.wait()
        return ticket.answer()

    def _is_called_to_lead(self, ticket: "_Ticket[Item, Answer]") -> bool:
        """Wait until it is answered or leads: in its turn, or because the present leader is
        stuck."""
        while not (ticket.is_done or ticket.leads):
            if not ticket.wait(self._batching.stuck_s):
                self._batching.leads_beside(ticket)
        return ticket.leads

    def _lead(self) -> None:
        """Commit one batch, then pass the lead to the first thread that came in the meantime."""
        handing_over = _Once(self._hand_over)
        try:
            self._commit(self._batching.next_batch(), handing_over)
        finally:
            handing_over()

    def _hand_over(self) -> None:
        successor = self._batching.hand_over()
        if isinstance(successor, _Ticket):
            successor.wake()

    def _commit(
        self, batch: Sequence[Ticket[Item, Answer]], handing_over: Callable[[], None]
    ) -> None:
        try:
            failure = self._try(batch) if batch else None
            if failure is not None:
                handing_over()  # the next batch doesn't wait for those that run one by one
                for parts in self._batching.apart(batch, failure):
                    for part in parts:
                        self._commit(part, handing_over)
        except BaseException as end:  # The process is ending; no thread may wait for ever.
            for ticket in batch:
                ticket.fail(end)
            raise

    def _try(self, batch: Sequence[Ticket[Item, Answer]]) -> Exception | None:
        """Run a batch; returns its error if it is to be split up."""
        try:
            self._batching.answered(batch, self._run([ticket.item for ticket in batch]))
        except Exception as failure:  # noqa: BLE001  # any error: its thread gets it
            return failure if self._batching.may_be_apart(batch, failure) else None
        return None


class _Once:
    """Calls a function only on the first call."""

    __slots__ = ("_function",)

    def __init__(self, function: Callable[[], None]) -> None:
        self._function: Callable[[], None] | None = function

    def __call__(self) -> None:
        if self._function is not None:
            function, self._function = self._function, None
            function()


class _Ticket(Ticket[Item, Answer]):
    """One item, and the thread that waits for its answer (or to lead)."""

    def __init__(self, item: Item, shared: Hashable) -> None:
        super().__init__(item, shared)
        self._is_done = False
        self._answer: Answer | None = None
        # A bare lock is the cheapest thing a thread can sleep on.
        self._turn = threading.Lock()
        self._turn.acquire()

    def wait(self, timeout_s: float = -1) -> bool:
        """Sleep until woken; False if that did not happen in time."""
        return self._turn.acquire(timeout=timeout_s)

    def wake(self) -> None:
        with contextlib.suppress(RuntimeError):  # woken already: once is enough
            self._turn.release()

    @property
    def is_done(self) -> bool:
        return self._is_done

    def succeed(self, answer: Answer) -> None:
        if not self._is_done:
            self._answer, self._is_done = answer, True
            self.wake()

    def fail(self, failure: BaseException) -> None:
        if not self._is_done:
            self.failure, self._is_done = failure, True
            self.wake()

    def answer(self) -> Answer:
        if self.failure is not None:
            raise self.failure
        return self._answer  # type: ignore[return-value]  # done and not failed: it is there
