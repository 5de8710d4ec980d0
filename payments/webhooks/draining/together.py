"""Batches the database calls of the drainers of a process, and keeps failing endpoints apart.

Calls at the same time become one list in one statement, so that neither the statements nor the wait
grow with the number of endpoints. Endpoints that fail, or are not known yet, use connections of
their own (`aside`): however many they are, no working endpoint waits behind them.

Nor does a call wait for the row of another's endpoint: a step skips locked rows. They are tried
again after a moment, as a sweep locks hundreds for some milliseconds; a row that is locked for
longer is asked for alone and aside, where it is waited for.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from enum import Enum
from functools import partial
from typing import Any, Protocol

from sqlalchemy import Connection, Engine

# How long to wait before each further try of a locked row.
LOCKED_PAUSES_S = (0.02, 0.04, 0.08, 0.16)

# Statements take milliseconds, so few connections serve all drains.
THREADS = 3
ASIDE_THREADS = 2


class Locked(Enum):
    """In place of an answer: the row of the endpoint is locked."""

    LOCKED = "locked"


LOCKED = Locked.LOCKED


class Step(Protocol):
    """A function of `drains` or `troubles`, with as many answers as items. With `waits` it waits
    for locked rows, else it answers LOCKED for them."""

    def __call__(
        self, connection: Connection, items: Sequence[Any], /, *, waits: bool
    ) -> Sequence[Any]: ...


class Ask(Protocol):
    """Asks a step for one item, off the event loop."""

    def __call__(self, step: Step, item: Any, /, *, aside: bool) -> Awaitable[Any]: ...


# Collects concurrent calls into lists for the function; one call of it per list.
Run = Callable[[Sequence[Any]], Awaitable[Sequence[Any]]]
Grouping = Callable[[Run], Callable[[Any], Awaitable[Any]]]


class Asking:
    """Asks for all drainers of a process. Made and closed on the event loop."""

    def __init__(self, engine: Engine, together: Grouping) -> None:
        # Each statement commits by itself: one round trip.
        self._engine = engine.execution_options(isolation_level="AUTOCOMMIT")
        self._together = together
        self._pools = {
            False: ThreadPoolExecutor(THREADS, "webhooks-database"),
            True: ThreadPoolExecutor(ASIDE_THREADS, "webhooks-aside"),
        }
        self._asked: dict[tuple[Step, bool], Callable[[Any], Awaitable[Any]]] = {}

    async def __call__(self, step: Step, item: Any, /, *, aside: bool) -> Any:
        """The step's answer for the item. Raises the database's error for it."""
        if (asked := self._asked.get((step, aside))) is None:
            asked = self._together(partial(self._run, step, aside, waits=False))
            self._asked[step, aside] = asked
        answer = await asked(item)
        for pause_s in LOCKED_PAUSES_S:
            if answer is not LOCKED:
                return answer
            await asyncio.sleep(pause_s)
            answer = await asked(item)
        if answer is LOCKED:
            (answer,) = await self._run(step, True, [item], waits=True)  # aside
        return answer

    async def _run(
        self, step: Step, aside: bool, items: Sequence[Any], *, waits: bool
    ) -> Sequence[Any]:
        answers: Sequence[Any] = await self.run(partial(step, waits=waits), items, aside=aside)
        return answers

    async def run(self, function: Callable[..., Any], *args: Any, aside: bool = False) -> Any:
        """The result of a function of a connection, run off the event loop."""

        def on_a_connection() -> Any:
            with self._engine.connect() as connection:
                return function(connection, *args)

        return await asyncio.get_running_loop().run_in_executor(self._pools[aside], on_a_connection)

    def close(self) -> None:
        """Wait for the statements that are under way."""
        for threads in self._pools.values():
            threads.shutdown()
