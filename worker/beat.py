"""Beat runs the sweeps itself.

A sweep sent as a message would wait behind the very backlog that it is meant to watch, and a
stopped worker would find an hour of ticks in its queue. Without a queue between the clock and the
database, two beats, or none for a while, are harmless.
"""

import math
import os
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

from celery.beat import Scheduler

from service import faults, log
from service.database.database_limits import BEAT_LIMIT_S
from service.process.life import Life

logger = log.get(__name__)

EXIT_BEAT = 83
LOOK_EVERY_S = 5.0
# How long writing the log may take before the process exits anyway.
LAST_WORDS_S = 5.0
NO_SIGN = Life(None, "beat")


class Sweeper(Scheduler):  # type: ignore[misc]  # Celery has no types
    """Celery's scheduler, which calls a due task in place of sending it."""

    # On a monotonic clock. Celery uses the time of day: when that was set back, beat waited until
    # it counted as hanging.
    clock = staticmethod(time.monotonic)

    _ready = False
    _closings = 0
    _watch: "Watch | None" = None
    # Celery's is a connection to the broker, made before the first sweep and waited for without
    # limit: with the broker away, or silent, nothing would be swept.
    producer = None

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        # When each is due, by its name.
        self._next_at: dict[str, float] = {}
        super().__init__(*args, **kwargs)

    def tick(self, *args: Any, **kwargs: Any) -> float:
        """Call what is due; returns the seconds until the next call.

        Celery's own version calculates with calendars and time zones, which takes ten times as long
        as finding that there is nothing to sweep.
        """
        if self._watch is None:
            run_dir = self.app.handlers.services.settings.run_dir
            self._watch = Watch(life=Life(run_dir, "beat"))
            self._watch.start()
            # One tick makes all sweeps that have something to do: each is a sign of life.
            self.app.handlers.sweeper.on_made = self._watch.is_alive_now
        self._watch.is_alive_now()
        for entry in self.schedule.values():
            self._call_if_due(entry)
        wait_s = min(self._next_at.values(), default=math.inf) - self.clock()
        return min(max(0.0, wait_s), float(self.max_interval))

    def _call_if_due(self, entry: Any) -> None:
        """Call a task if it is due, for the first time one interval after the start; one that took
        longer than its interval is due again at once."""
        now, every_s = self.clock(), entry.schedule.run_every.total_seconds()
        if now >= self._next_at.setdefault(entry.name, now + every_s):
            self._next_at[entry.name] = now + every_s
            self._call(entry.task)

    def _call(self, task: str) -> None:
        if not self._ready:
            self._ready = True
            logger.info("sweeper ready")
        try:
            self.app.tasks[task].run()
        except Exception as error:  # noqa: BLE001  # any error: the next second tries again
            fault = faults.describe(error)
            logger.warning("sweep failed", sweep=task, error=fault.kind, where=fault.where)
        finally:
            if self._watch is not None:
                self._watch.is_alive_now()

    def close(self) -> None:
        """Celery's handler of SIGTERM is the first to call this, interrupting the main thread,
        which may hold a lock: so the first call closes nothing. The second call comes when the loop
        has ended; a third, from a second signal, would interrupt that one."""
        self._closings += 1
        if self._closings == 1:
            self.app.stop_waiting()
        elif self._closings == 2:
            self._close()

    def _close(self) -> None:
        if self._watch is not None:
            self._watch.stop()
        super().close()
        self.app.close_handlers()


class Watch(threading.Thread):
    """Ends a beat that hangs, so that its supervisor starts a new one.

    Every wait of a sweep has its own limit; this is for waits that were overlooked. It counts its
    own checks instead of reading a clock: a process that was stopped for an hour has not hung for
    an hour.
    """

    def __init__(
        self,
        *,
        limit_s: float = BEAT_LIMIT_S,
        look_every_s: float = LOOK_EVERY_S,
        life: Life = NO_SIGN,
        end: Callable[[int], None] = os._exit,
    ) -> None:
        super().__init__(name="watch", daemon=True)
        self._looks_max = round(limit_s / look_every_s)
        self._look_every_s = look_every_s
        self._life = life
        self._end = end
        self._sign = threading.Event()
        self._stopped = threading.Event()

    def is_alive_now(self) -> None:
        """A sweep has begun or ended."""
        self._sign.set()

    def stop(self) -> None:
        """Stop watching: the process is ending."""
        self._stopped.set()

    def run(self) -> None:
        looks = 0
        while not self._stopped.wait(self._look_every_s):
            looks = 0 if self._sign.is_set() else looks + 1
            self._sign.clear()
            if not looks:
                self._life.show()
            if looks >= self._looks_max:
                self._give_up()
                return

    def _give_up(self) -> None:
        frame = sys._current_frames().get(threading.main_thread().ident or 0)  # noqa: SLF001
        last = threading.Timer(LAST_WORDS_S, self._end, (EXIT_BEAT,))
        last.daemon = True
        last.start()
        logger.critical(
            "beat hangs and ends itself",
            exit_code=EXIT_BEAT,
            frames=faults.stack_of(frame) if frame is not None else [],
        )
        self._end(EXIT_BEAT)
