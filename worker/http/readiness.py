"""Readiness: the database, the broker, and a worker that takes payments, looked at now and then."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from worker import revisions
from worker.celery_config import PAYMENTS
from worker.consumers import Readers
from worker.http.database import Database
from worker.http.problems import DatabaseUnavailable

# Probes come every few seconds, from several places; the workers are asked once for all of them.
FRESH_S = 2.0


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that is needed, and how it is."""

    name: str
    is_ok: bool
    detail: str

    def view(self) -> dict[str, Any]:
        return {"ok": self.is_ok, "detail": self.detail}


class Readiness:
    """Looks once in FRESH_S seconds at most, however many ask. `ask_workers` may block: it runs in
    a thread, one at a time."""

    def __init__(self, database: Database, ask_workers: Callable[[], Readers]) -> None:
        self._database = database
        self._ask_workers = ask_workers
        self._look: asyncio.Task[list[Check]] | None = None
        self._looked_at = 0.0

    async def look(self) -> list[Check]:
        """How everything was a moment ago."""
        loop = asyncio.get_running_loop()
        is_old = loop.time() - self._looked_at > FRESH_S
        if self._look is None or (self._look.done() and is_old):
            self._look, self._looked_at = loop.create_task(self._look_anew()), loop.time()
        return await asyncio.shield(self._look)

    async def _look_anew(self) -> list[Check]:
        database, readers = await asyncio.gather(
            self._look_at_database(), asyncio.to_thread(self._ask_workers)
        )
        return [database, *_checks(readers)]

    async def _look_at_database(self) -> Check:
        try:
            missing = await self._database.read(revisions.missing_on)
        except DatabaseUnavailable:
            return Check("database", False, "does not answer")
        if missing:
            return Check("database", False, f"lacks {', '.join(missing)}: run `billing migrate`")
        return Check("database", True, "answers, and has every table")


def _checks(readers: Readers) -> list[Check]:
    if readers.trouble:
        unknown = Check("worker", False, "can't be asked: the broker does not answer")
        return [Check("broker", False, readers.trouble), unknown]
    if readers.lacking([PAYMENTS]):
        nobody = "none that reads the queue payments has answered"
        return [Check("broker", True, "answers"), Check("worker", False, nobody)]
    names = ", ".join(readers.queues[PAYMENTS])
    return [Check("broker", True, "answers"), Check("worker", True, names)]
