"""Many threads at the same instant."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import TypeVar

from tests.support.waiting import patience_s

T = TypeVar("T")


def at_once(count: int, run: Callable[[int], T]) -> list[T]:
    """Run it in so many threads, all let go at the same instant; their answers, in order."""
    gate = Barrier(count)

    def go(place: int) -> T:
        gate.wait(patience_s())
        return run(place)

    with ThreadPoolExecutor(count) as threads:
        return list(threads.map(go, range(count)))
