"""Ends a worker that hangs, so that its supervisor starts a new one.

Threads can't be stopped from outside, and Celery has no time limit for them
(celery/concurrency/thread.py:45 drops it). And a worker may be alive, connected and deaf, which its
users have reported for years (celery#7276, #8030, #9054, #10205). Both end here: with a line in the
log that says why, and a specific exit code. Leases and the sweep do the rest.

Exit codes: 81 = a task outlived its limit; 82 = messages wait, there is room, and none comes in.
"""

import os
import sys
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from celery import Celery, bootsteps
from celery.worker import state

from service import faults, log
from service.broker.celery_config import WEBHOOKS
from service.broker.connections import Gauge
from service.database.database_limits import TASK_LIMIT_S
from service.process.life import Life
from service.running import Register, Running, register

logger = log.get(__name__)

EXIT_TASK = 81
EXIT_DEAF = 82

# A working consumer reconnects within seconds; one that has a reason not to (a broker that does not
# answer) is left alone. The rest is for an overloaded machine.
STALL_LIMIT_S = 60.0
LOOK_EVERY_S = 5.0
# How long writing the log may take before the process exits anyway: the thread that hangs may hold
# the very lock that logging needs.
LAST_WORDS_S = 5.0


@dataclass(frozen=True, slots=True)
class Glance:
    """The observable state of a worker at one moment; times in seconds of one monotonic clock."""

    now: float
    tasks: Sequence[Running]
    waited_s: float
    """Seconds spent so far waiting for the database."""
    received: int
    """Messages that came in since the process began."""
    looped_at: float
    """When the event loop last had its turn."""
    room: int
    """How many more messages it would take."""
    waiting: int | None
    """Messages in the queues that it reads; None if the broker does not answer."""
    stopping: bool


@dataclass(frozen=True, slots=True)
class Verdict:
    """Why the process must end."""

    exit_code: int
    reason: str
    task: Running | None = None


class Judge:
    """Decides from one glance after another. No clock, no threads: see the tests."""

    def __init__(self, *, task_limit_s: float, stall_limit_s: float) -> None:
        self._task_limit_s = task_limit_s
        self._stall_limit_s = stall_limit_s
        self._received = -1
        self._fine_at: float | None = None

    def judge(self, glance: Glance) -> Verdict | None:
        for task in glance.tasks:
            if task.age_s(glance.now, glance.waited_s) > self._task_limit_s:
                return Verdict(
                    EXIT_TASK, f"a task runs for more than {self._task_limit_s:g} s", task
                )
        if self._fine_at is None or self._is_fine(glance):
            self._fine_at = glance.now
            self._received = glance.received
        elif glance.now - self._fine_at > self._stall_limit_s:
            what = "the event loop stands still" if self._stands_still(glance) else "none comes in"
            return Verdict(
                EXIT_DEAF,
                f"{glance.waiting} messages wait, there is room for {glance.room}, the broker "
                f"answers, and for {self._stall_limit_s:g} s {what}",
            )
        return None

    def _is_fine(self, glance: Glance) -> bool:
        """Anything that explains why no message comes in, or shows that some do."""
        if glance.stopping or glance.received != self._received:
            return True
        if glance.waiting is None:  # the broker is away: a new process would not help
            return True
        return not self._stands_still(glance) and (glance.waiting == 0 or glance.room <= 0)

    def _stands_still(self, glance: Glance) -> bool:
        return glance.now - glance.looped_at > self._stall_limit_s


def install(
    app: Celery,
    *,
    task_limit_s: float = TASK_LIMIT_S,
    stall_limit_s: float = STALL_LIMIT_S,
    run_dir: Path | None = None,
) -> None:
    """Watch every worker of this app; its signs of life go to `run_dir`. Limits in seconds."""

    class WatchdogStep(bootsteps.StartStopStep):  # type: ignore[misc]  # Celery has no types
        name = "worker.watchdog"
        requires = ("celery.worker.components:Pool",)

        def __init__(self, worker: Any, **options: Any) -> None:
            self.watchdog: Watchdog | None = None
            super().__init__(worker, **options)

        def start(self, worker: Any) -> None:
            judge = Judge(task_limit_s=task_limit_s, stall_limit_s=stall_limit_s)
            look_every_s = min(LOOK_EVERY_S, task_limit_s / 4, stall_limit_s / 4)
            life = Life(run_dir, role(worker.app.amqp.queues.consume_from))
            self.watchdog = Watchdog(worker, judge, register, life, look_every_s=look_every_s)
            self.watchdog.start()

        def register_with_event_loop(self, worker: Any, hub: Any) -> None:
            if self.watchdog is not None:  # called again after each reconnect
                hub.call_repeatedly(1.0, self.watchdog.looped)

        # No stop: a task that hangs must not keep a worker from stopping either.

    app.steps["worker"].add(WatchdogStep)


class Watchdog(threading.Thread):
    """Checks every few seconds, and ends the process if the judge says so."""

    def __init__(
        self,
        worker: Any,
        judge: Judge,
        tasks: Register,
        life: Life,
        *,
        look_every_s: float,
        end: Callable[[int], None] = os._exit,
    ) -> None:
        super().__init__(name="watchdog", daemon=True)
        self._worker = worker
        self._judge = judge
        self._tasks = tasks
        self._life = life
        self._look_every_s = look_every_s
        self._end = end
        self._looped_at = time.monotonic()
        self._gauge = Gauge(worker.app)

    def looped(self) -> None:
        self._looped_at = time.monotonic()

    def run(self) -> None:
        while True:
            time.sleep(self._look_every_s)
            try:
                verdict = self._judge.judge(self._glance())
            except Exception as error:  # noqa: BLE001  # a look that fails says nothing about the worker
                fault = faults.describe(error)
                logger.warning("watchdog could not look", error=fault.kind, where=fault.where)
                continue
            if verdict is not None:
                self._execute(verdict)
            self._life.show()

    def _glance(self) -> Glance:
        waiting = self._waiting()
        consumer = getattr(self._worker, "consumer", None)
        slots = self._worker.concurrency or 0
        return Glance(
            now=time.monotonic(),
            tasks=self._tasks.now(),
            waited_s=self._tasks.waited_s(),
            received=getattr(consumer, "received", 0),
            looped_at=self._looped_at,
            room=slots - len(state.reserved_requests) - _held(consumer),
            waiting=waiting,
            stopping=state.should_stop is not None or state.should_terminate is not None,
        )

    def _waiting(self) -> int | None:
        """Messages in our queues, read over a separate connection; None = no answer."""
        try:
            return self._gauge.depth(*self._worker.app.amqp.queues.consume_from)
        except Exception:  # noqa: BLE001  # any error: no answer from the broker
            return None

    def _execute(self, verdict: Verdict) -> None:
        last = threading.Timer(LAST_WORDS_S, self._end, (verdict.exit_code,))
        last.daemon = True
        last.start()
        facts: dict[str, Any] = {"reason": verdict.reason, "exit_code": verdict.exit_code}
        if verdict.task is not None:
            frames = sys._current_frames()  # noqa: SLF001  # the documented way to see a thread
            frame = frames.get(verdict.task.thread_id)
            facts |= {
                "task": verdict.task.task,
                "task_id": verdict.task.task_id,
                "frames": faults.stack_of(frame) if frame is not None else [],
            }
        logger.critical("this worker hangs and ends itself", **facts)
        self._end(verdict.exit_code)


def role(queues: Iterable[str]) -> str:
    """The Procfile's name for a worker that reads these queues."""
    return "webhooks" if set(queues) == {WEBHOOKS} else "worker"


def _held(consumer: Any) -> int:
    quarantine = getattr(consumer, "quarantine", None)
    return quarantine.held() if quarantine is not None else 0
