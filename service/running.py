"""Which tasks run in this process, since when, and whether they wait for the database."""

import threading
import time
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass


@dataclass(slots=True)
class Running:
    """A task, and the thread that runs it. Times are seconds of the register's clock."""

    task: str
    task_id: str
    thread_id: int
    started_at: float
    waited_before_s: float

    def age_s(self, now: float, waited_s: float) -> float:
        """How long it has run, without the time that the process waited for the database."""
        return (now - self.started_at) - (waited_s - self.waited_before_s)


class Register:
    """The tasks of one process. Cheap enough for every task: two dictionary writes."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._running: dict[Hashable, Running] = {}
        self._lock = threading.Lock()
        self._waiters = 0
        self._waiting_since = 0.0
        self._waited_s = 0.0

    def begin(self, task: str, task_id: str, *, key: Hashable = None) -> None:
        """A task begins in this thread, which runs no other; or, with `key`, one of many that it
        runs at once."""
        thread_id = threading.get_ident()
        self._running[thread_id if key is None else key] = Running(
            task, task_id, thread_id, self._clock(), self.waited_s()
        )

    def end(self, *, key: Hashable = None) -> None:
        self._running.pop(threading.get_ident() if key is None else key, None)

    def now(self) -> list[Running]:
        return list(self._running.values())

    @contextmanager
    def waiting_for_database(self) -> Iterator[None]:
        """Stop the clocks of all tasks within this context.

        For waits until PostgreSQL answers again: a task is not stuck because the database is away,
        and ending the process would not bring it back.
        """
        with self._lock:
            if self._waiters == 0:
                self._waiting_since = self._clock()
            self._waiters += 1
        try:
            yield
        finally:
            with self._lock:
                self._waiters -= 1
                if self._waiters == 0:
                    self._waited_s += self._clock() - self._waiting_since

    def waited_s(self) -> float:
        """Seconds spent in `waiting_for_database` since the process began."""
        with self._lock:
            if self._waiters:
                return self._waited_s + (self._clock() - self._waiting_since)
            return self._waited_s


register = Register()
waiting_for_database = register.waiting_for_database
