"""Readiness: the database, the broker, and a worker that consumes, looked at now and then."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection

from worker import revisions
from worker.http.database import Database
from worker.http.problems import DatabaseUnavailable

# Probes come every few seconds, from several places; the workers are asked once for all of them.
FRESH_S = 2.0
# A worker that is busy takes its time to say so; a probe gives up after some seconds.
TIMEOUT_S = 2.5
# Without these, accepted requests wait.
NEEDED = ("payments",)


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that is needed, and how it is."""

    name: str
    is_ok: bool
    detail: str

    def view(self) -> dict[str, Any]:
        return {"ok": self.is_ok, "detail": self.detail}


Consumers = Callable[[], Sequence[Check]]


class Readiness:
    """Looks at most every FRESH_S seconds, however many ask. `ask_workers` may block: it runs in a
    thread, one at a time."""

    def __init__(self, database: Database, ask_workers: Consumers) -> None:
        self._database = database
        self._ask_workers = ask_workers
        self._seen: asyncio.Task[list[Check]] | None = None
        self._seen_at = 0.0

    async def look(self) -> list[Check]:
        """How everything was a moment ago."""
        loop = asyncio.get_running_loop()
        is_old = loop.time() - self._seen_at > FRESH_S
        if self._seen is None or (self._seen.done() and is_old):
            self._seen, self._seen_at = loop.create_task(self._look()), loop.time()
        return await asyncio.shield(self._seen)

    async def _look(self) -> list[Check]:
        database, workers = await asyncio.gather(self._look_at_database(), self._look_at_workers())
        return [database, *workers]

    async def _look_at_database(self) -> Check:
        try:
            missing = await self._database.read(revisions.missing_on)
        except DatabaseUnavailable as away:
            return Check("database", False, str(away))
        if missing:
            return Check("database", False, f"lacks {', '.join(missing)}: run `billing migrate`")
        return Check("database", True, "answers, and has every table")

    async def _look_at_workers(self) -> Sequence[Check]:
        return await asyncio.to_thread(self._ask_workers)


Look = Awaitable[list[Check]]
del Connection
