"""Readiness: whether requests can be accepted, and what else is wrong.

Only the database is needed to accept: without a broker, a worker or sweeps a request is kept, and
carried out when they are back. If a probe failed because of those, it would turn callers away
exactly when that is not needed; they are reported as *degraded*.
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, text

from api.database import Database
from api.edge.problems import DatabaseUnavailable
from payments.audit import health
from service.broker.celery_config import PAYMENTS
from service.broker.consumers import Readers
from service.database import revisions

# Probes come every few seconds, from several places; the workers are asked once for all of them.
FRESH_S = 2.0
# How long the broker and the workers may take until a probe is answered without them. A silent
# broker, or one of its Sentinels, costs seconds, and a late probe would take a working server out
# of service. A later answer is used by the next check.
BROKER_S = 0.5
# For how long the last answer replaces one that is late.
HEARD_S = 30.0


@dataclass(frozen=True, slots=True)
class Check:
    """One condition, and whether no request can be accepted without it."""

    name: str
    is_ok: bool
    detail: str
    is_needed: bool = False

    def view(self) -> dict[str, Any]:
        return {"ok": self.is_ok, "detail": self.detail}


@dataclass(frozen=True, slots=True)
class State:
    """The state of all checks a moment ago."""

    checks: Sequence[Check]

    @property
    def can_accept(self) -> bool:
        return all(check.is_ok for check in self.checks if check.is_needed)

    def view(self) -> dict[str, Any]:
        """`status` is `ready`, `degraded` (accepts, but `reasons`) or `not_ready`."""
        reasons = [f"{check.name}: {check.detail}" for check in self.checks if not check.is_ok]
        status = "not_ready" if not self.can_accept else "degraded" if reasons else "ready"
        checks = {check.name: check.view() for check in self.checks}
        return {"status": status, "reasons": reasons, "checks": checks}


class Readiness:
    """Checks once in FRESH_S seconds at most, however many callers ask. `ask_workers` may block: it
    runs in a thread, one at a time."""

    def __init__(self, database: Database, ask_workers: Callable[[], Readers]) -> None:
        self._database = database
        self._ask_workers = ask_workers
        self._asking: asyncio.Task[Readers] | None = None
        self._heard, self._heard_at = _LATE, 0.0
        self._look: asyncio.Task[State] | None = None
        self._looked_at = 0.0

    async def look(self) -> State:
        """The state of all checks a moment ago."""
        loop = asyncio.get_running_loop()
        is_old = loop.time() - self._looked_at > FRESH_S
        if self._look is None or (self._look.done() and is_old):
            self._look, self._looked_at = loop.create_task(self._look_anew()), loop.time()
        return await asyncio.shield(self._look)

    async def _look_anew(self) -> State:
        (database, sweeps), readers = await asyncio.gather(
            self._look_at_database(), self._hear_workers()
        )
        return State([database, sweeps, *_of_broker(readers)])

    async def _hear_workers(self) -> Readers:
        """The workers' answer within BROKER_S; else their last one."""
        self._keep_answer()
        if self._asking is None:
            self._asking = asyncio.create_task(asyncio.to_thread(self._ask_workers))
        await asyncio.wait([self._asking], timeout=BROKER_S)
        self._keep_answer()
        is_old = asyncio.get_running_loop().time() - self._heard_at > HEARD_S
        return _LATE if is_old else self._heard

    def _keep_answer(self) -> None:
        if self._asking is not None and self._asking.done():
            self._heard, self._asking = self._asking.result(), None
            self._heard_at = asyncio.get_running_loop().time()

    async def _look_at_database(self) -> tuple[Check, Check]:
        try:
            return await self._database.read(_of_database)
        except DatabaseUnavailable:
            unknown = Check("sweeps", False, "can't be seen: the database does not answer")
            return _database("does not answer"), unknown


_LATE = Readers({}, trouble=f"has not answered within {BROKER_S:g} s")


def _of_database(connection: Connection) -> tuple[Check, Check]:
    if missing := revisions.missing_on(connection):
        lacking = _database(f"lacks {', '.join(missing)}: run `billing migrate`")
        return lacking, Check("sweeps", False, "can't be seen: the database lacks tables")
    is_read_only = connection.scalar(text("SHOW transaction_read_only")) == "on"
    database = (
        _database("can only be read: it is a standby")
        if is_read_only
        else Check("database", True, "answers, and has every table", is_needed=True)
    )
    ago_s = health.swept_ago_s(connection)
    if ago_s is None:
        return database, Check("sweeps", False, "nobody has ever looked for what is due")
    seen = f"what is due was last looked for {ago_s:.0f} s ago"
    return database, Check("sweeps", ago_s <= health.SWEEPS_STOPPED_S, seen)


def _database(trouble: str) -> Check:
    return Check("database", False, trouble, is_needed=True)


def _of_broker(readers: Readers) -> list[Check]:
    if readers.trouble:
        unknown = Check("worker", False, "can't be asked: the broker does not answer")
        return [Check("broker", False, readers.trouble), unknown]
    if readers.lacking([PAYMENTS]):
        nobody = "none that reads the queue payments has answered"
        return [Check("broker", True, "answers"), Check("worker", False, nobody)]
    names = ", ".join(readers.queues[PAYMENTS])
    return [Check("broker", True, "answers"), Check("worker", True, names)]
