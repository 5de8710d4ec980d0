"""Beat runs the sweeps itself.

A sweep sent as a message would wait behind the very backlog it is there to watch, and a stopped
worker would find an hour of ticks in its queue. Here no queue is between the clock and the
database; two beats, or none for a while, are harmless.
"""

from typing import Any

from celery.beat import Scheduler

from worker import faults, log

logger = log.get(__name__)


class Sweeper(Scheduler):  # type: ignore[misc]  # Celery has no types
    """Celery's scheduler, which calls a due task in place of sending it."""

    _ready = False

    def apply_async(
        self, entry: Any, producer: Any = None, advance: bool = True, **kwargs: Any
    ) -> None:
        entry = self.reserve(entry) if advance else entry
        if not self._ready:
            self._ready = True
            logger.info("sweeper ready")
        try:
            self.app.tasks[entry.task].run()
        except Exception as error:  # noqa: BLE001  # the next second tries again, whatever it was
            fault = faults.describe(error)
            logger.warning("sweep failed", sweep=entry.task, error=fault.kind, where=fault.where)

    def close(self) -> None:
        super().close()
        self.app.close_desk()
