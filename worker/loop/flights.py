"""The messages under way on the loop, passed between two threads.

Celery's thread passes new messages in, and is woken for finished ones, many at a time in both
directions. Only that thread talks to the broker.
"""

import asyncio
import sys
import threading
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, Protocol

from celery.worker import state

from service import faults, log
from service.database.retrying import DatabaseUnavailable
from service.running import register
from worker.envelope import Call
from worker.loop.carrying import HeldUp
from worker.loop.flight import Flight

if sys.platform == "win32":
    from asyncio import new_event_loop
else:
    from uvloop import new_event_loop

logger = log.get(__name__)


class Carries(Protocol):
    """What the flights need of `worker.loop.carrying.Carrier`."""

    async def carry(self, call: Call, proof: object) -> dict[str, Any]: ...


class Flights:
    """Carries out messages on an event loop in its own thread.

    `begin` and `ended` are for Celery's thread; `wake` is called, in the loop's thread, when
    something has ended since `ended` was last called.
    """

    def __init__(self, carrier: Carries, wake: Callable[[], None]) -> None:
        self._carrier = carrier
        self._wake = wake
        self._arrived: deque[Flight] = deque()
        self._ended: deque[Flight] = deque()
        self._is_called = self._has_woken = False
        self._under_way: set[asyncio.Task[None]] = set()
        self._idle = threading.Event()
        self._idle.set()
        self._loop = new_event_loop()
        threading.Thread(target=self._loop.run_forever, name="payments-loop", daemon=True).start()

    def begin(self, flights: Sequence[Flight]) -> None:
        """Carry out messages. Returns at once."""
        for flight in flights:
            _enter(flight)
        self._arrived.extend(flights)
        if self._idle.is_set():
            self._idle.clear()
        if not self._is_called:
            self._is_called = True
            self._loop.call_soon_threadsafe(self._take)

    def ended(self) -> list[Flight]:
        """What has ended, in order."""
        self._has_woken = False
        ended = []
        while self._ended:
            ended.append(flight := self._ended.popleft())
            state.task_ready(flight)
            if flight.result is not None or flight.is_given_back:
                # Celery counts the others, as it carries them out again.
                state.total_count[flight.name] += 1
                state.all_total_count[0] += 1
        return ended

    def finish(self, limit_s: float | None = None) -> bool:
        """Wait until nothing is under way, for `limit_s` seconds at most; returns whether that is
        so."""
        return self._idle.wait(limit_s)

    def close(self) -> None:
        """Stop the loop, including what is under way on it."""
        self._loop.call_soon_threadsafe(self._loop.stop)

    # --- On the loop ---

    def _take(self) -> None:
        self._is_called = False  # before looking: later arrivals call again
        while self._arrived:
            task = self._loop.create_task(self._carry(self._arrived.popleft()))
            self._under_way.add(task)
            task.add_done_callback(self._on_done)
        # It may be done already, before `begin` has noted that something is under way.
        self._see_if_idle()

    def _on_done(self, task: asyncio.Task[None]) -> None:
        self._under_way.discard(task)
        self._see_if_idle()

    def _see_if_idle(self) -> None:
        if not self._under_way and not self._arrived:
            self._idle.set()
            if self._arrived:  # it has just arrived
                self._idle.clear()

    async def _carry(self, flight: Flight) -> None:
        register.begin(flight.name, flight.id, key=flight)
        try:
            flight.result = await self._carrier.carry(flight.call, flight.proof)
        except (HeldUp, DatabaseUnavailable):
            flight.is_given_back = True
        # Including what would not end a Celery thread: a canceled future, a `sys.exit`. If it were
        # lost here, the message would stay with this worker for as long as it lives.
        except (Exception, asyncio.CancelledError, SystemExit) as error:  # noqa: BLE001
            # Celery's way does it again, and reports the error.
            fault = faults.describe(error)
            logger.debug("goes Celery's way", task_id=flight.id, error=fault.kind)
        finally:
            register.end(key=flight)
        self._ended.append(flight)
        if not self._has_woken:
            self._has_woken = True
            self._wake()


def _enter(flight: Flight) -> None:
    """Like `state.task_reserved` and `task_accepted`, which cost as much as reading the message;
    messages are counted when they end."""
    state.requests[flight.id] = flight
    state.reserved_requests.add(flight)
    state.active_requests.add(flight)
