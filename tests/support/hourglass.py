"""An event loop whose time passes only when nobody has anything to do, and then in no time."""

import asyncio
import selectors
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


class Hourglass(asyncio.SelectorEventLoop):
    """Begins at 0.0; half a minute of waiting is over at once, and the same each time."""

    def __init__(self) -> None:
        self._now = 0.0
        super().__init__(_Turning(self._pass))

    def time(self) -> float:
        return self._now

    def _pass(self, seconds: float) -> None:
        self._now += seconds


class _Turning(selectors.SelectSelector):
    def __init__(self, turn: Callable[[float], None]) -> None:
        super().__init__()
        self._turn = turn

    def select(self, timeout: float | None = None) -> Any:
        if timeout is None:
            raise RuntimeError("everybody waits for what will never happen")
        self._turn(timeout)
        return super().select(0)


def run(story: Coroutine[Any, Any, T]) -> T:
    """What `asyncio.run` does, in such a time."""
    with asyncio.Runner(loop_factory=Hourglass) as runner:
        return runner.run(story)
