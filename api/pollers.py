"""Waiting for a final state, without a database connection or a thread for each waiting request.

One task polls for all of them, with one statement per kind. New waiters are checked often, old ones
rarely: the next check comes when the wait has become a third longer.
"""

import asyncio
import contextlib
import contextvars
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, select

from api.edge.problems import DatabaseUnavailable
from infra.billing.contract.ids import Kind as KindName
from models.base import id_among
from payments.kinds import KINDS
from payments.lifecycle import payment_queries
from service import faults, log

logger = log.get(__name__)

# By contract, `Prefer: wait=N` has N up to 30. Proxies give up after 60 s.
WAIT_MAX_S = 30
LOOK_MIN_S = 0.015
LOOK_MAX_S = 1.0
LOOK_SHARE = 1 / 3
# Beyond this number, a request to wait is answered at once: it is a preference, not a promise (RFC
# 7240).
WAITERS_MAX = 5_000


@dataclass(slots=True, eq=False)
class Waiter:
    kind: KindName
    id: str
    since: float
    look_at: float
    done: asyncio.Future[None]


class Pollers:
    """All waiting requests. `at_rest(kind, ids)` returns those for which nothing more happens by
    itself."""

    def __init__(self, at_rest: Callable[[KindName, Sequence[str]], Awaitable[set[str]]]) -> None:
        self._at_rest = at_rest
        self._waiters: set[Waiter] = set()
        self._looker: asyncio.Task[None] | None = None
        self._stopping = False

    async def until_at_rest(self, kind: KindName, id_: str, *, wait_s: float) -> None:
        """Return when nothing more happens by itself, or after `wait_s`, or when the process
        stops."""
        if self._stopping or len(self._waiters) >= WAITERS_MAX or wait_s <= 0:
            return
        loop = asyncio.get_running_loop()
        waiter = Waiter(kind, id_, loop.time(), loop.time() + LOOK_MIN_S, loop.create_future())
        self._waiters.add(waiter)
        if self._looker is None:
            self._looker = loop.create_task(self._look(), context=contextvars.Context())
        try:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(min(wait_s, WAIT_MAX_S)):
                    await waiter.done
        finally:
            self._waiters.discard(waiter)

    def stop(self) -> None:
        """Release all waiters: the process is ending. Safe in a signal handler of the loop."""
        self._stopping = True
        for waiter in [*self._waiters]:
            _let_go(waiter)

    async def _look(self) -> None:
        loop = asyncio.get_running_loop()
        try:
            while self._waiters:
                await asyncio.sleep(LOOK_MIN_S)
                now = loop.time()
                due = [waiter for waiter in self._waiters if waiter.look_at <= now]
                try:
                    await self._look_at(due)
                except DatabaseUnavailable:
                    pass  # they go on waiting, and read the state at the end
                except Exception as bug:  # noqa: BLE001  # the polling must go on
                    fault = faults.describe(bug)
                    logger.error("nobody could be looked at", error=fault.kind, where=fault.where)
                for waiter in due:
                    waited_s = loop.time() - waiter.since
                    pause_s = min(LOOK_MAX_S, max(LOOK_MIN_S, waited_s * LOOK_SHARE))
                    waiter.look_at = loop.time() + pause_s
        finally:
            self._looker = None

    async def _look_at(self, due: Sequence[Waiter]) -> None:
        for kind in KINDS:
            ids = sorted({waiter.id for waiter in due if waiter.kind == kind})
            if not ids:
                continue
            rest = await self._at_rest(kind, ids)
            for waiter in due:
                if waiter.kind == kind and waiter.id in rest:
                    _let_go(waiter)


def at_rest(connection: Connection, kind: KindName, ids: Sequence[str]) -> set[str]:
    """Those of these for which nothing more happens by itself."""
    return set(connection.execute(_AT_REST[kind], {"ids": list(ids)}).scalars())


def _let_go(waiter: Waiter) -> None:
    if not waiter.done.done():
        waiter.done.set_result(None)


_AT_REST = {
    name: select(kind.table.c.id).where(id_among(kind.table.c.id), payment_queries.at_rest(kind))
    for name, kind in KINDS.items()
}
