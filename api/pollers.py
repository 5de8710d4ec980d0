"""Waiting for a final state, without a database connection or a thread for each who waits.

One task asks for all of them, in one statement per kind. Who began to wait just now is looked
after often, who has waited for long seldom: a look comes when the wait is a third longer.
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
from models.states import State
from payments.kinds import KINDS
from service import faults, log

logger = log.get(__name__)

# Contracts: `Prefer: wait=N` with N up to 30. Proxies give up after 60 s.
WAIT_MAX_S = 30
LOOK_MIN_S = 0.015
LOOK_MAX_S = 1.0
LOOK_SHARE = 1 / 3
# Past this, who asks to wait is answered at once: a preference, not a promise (RFC 7240).
WAITERS_MAX = 5_000


@dataclass(slots=True, eq=False)
class Waiter:
    kind: KindName
    id: str
    since: float
    look_at: float
    done: asyncio.Future[None]


class Pollers:
    """All who wait. `finals(kind, ids)` tells which of them are final."""

    def __init__(self, finals: Callable[[KindName, Sequence[str]], Awaitable[set[str]]]) -> None:
        self._finals = finals
        self._waiters: set[Waiter] = set()
        self._looker: asyncio.Task[None] | None = None
        self._stopping = False

    async def until_final(self, kind: KindName, id_: str, *, wait_s: float) -> None:
        """Return when it is final, after `wait_s`, or when the process stops."""
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
        """Let everybody go: the process is ending. Safe in a signal handler of the loop."""
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
                    pass  # they wait on, and find out at the end how it stands
                except Exception as bug:  # noqa: BLE001  # whoever looks must go on looking
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
            final = await self._finals(kind, ids)
            for waiter in due:
                if waiter.kind == kind and waiter.id in final:
                    _let_go(waiter)


def finals(connection: Connection, kind: KindName, ids: Sequence[str]) -> set[str]:
    """Which of these are final."""
    return set(connection.execute(_FINALS[kind], {"ids": list(ids)}).scalars())


def _let_go(waiter: Waiter) -> None:
    if not waiter.done.done():
        waiter.done.set_result(None)


_FINALS = {
    name: select(kind.table.c.id).where(
        id_among(kind.table.c.id), kind.table.c.state != State.PENDING.value
    )
    for name, kind in KINDS.items()
}
