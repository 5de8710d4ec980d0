"""The sweeps: what is due is found in the tables and woken, whatever became of its messages."""

import random
from collections.abc import Callable
from functools import partial

from payments.audit import health
from payments.intake import quarantine
from payments.kinds import KINDS
from payments.lifecycle import cancels, reports, sweeps
from payments.lifecycle.capturing import captures
from payments.processors.port import EventRefused, Processor
from payments.transaction import Transaction
from payments.webhooks import leftovers
from payments.webhooks.drains import due_endpoints
from service import log
from service.broker.publisher import Publisher
from service.wiring import Services
from worker.steps import all_of

logger = log.get(__name__)

# Enough messages to keep a fleet busy for the second until the next sweep, few enough that a
# sweep's transaction stays short.
WAKE_MAX = 1000
# A quarter of a second's work, once a second.
GIVE_UP_MAX = 5_000
# Events fetched from each processor per sweep.
EVENTS_MAX = 100


class Sweeper:
    """Each sweep returns how much it found; to sweep twice is to sweep once."""

    def __init__(self, services: Services, publisher: Publisher) -> None:
        self._services, self._publisher = services, publisher

    def payments(self) -> int:
        """Wake what is due, and take back what somebody was at work on when they died."""
        return self._swept("payments", self._payments)

    def webhooks(self) -> int:
        """Wake the endpoints that have something due."""
        return self._swept("webhooks", self._webhooks)

    def processors(self) -> int:
        """Fetch and apply the events that wait at each processor; one that can't be asked holds up
        none of the others. What processors post to us is `api.routes.processors`."""
        return all_of(partial(self._hear, one) for one in self._services.processors.values())

    def _swept(self, name: str, sweep: Callable[[], int]) -> int:
        """Sweep, and let those who watch know."""
        found = sweep()
        with self._services.database.transaction() as transaction:
            health.note_sweep(transaction, name)
        return found

    def _payments(self) -> int:
        room = self._publisher.room("payments", WAKE_MAX)
        steps: list[Callable[[Transaction], int]] = []
        for kind in KINDS.values():
            wake_due = partial(
                sweeps.wake_due, kind=kind, processors=self._services.processors, limit=room
            )
            steps += [partial(sweeps.expire_leases, kind=kind), wake_due]
        steps.append(quarantine.mask)
        # Last, as it touches the most rows, each of which somebody may hold.
        steps += [cancels.cancel_expired, captures.warn_of_expiry]
        return all_of(partial(self._in_transaction, step) for step in steps)

    def _in_transaction(self, step: Callable[[Transaction], int]) -> int:
        with self._services.database.transaction() as transaction:
            return step(transaction)

    def _webhooks(self) -> int:
        with self._services.database.transaction() as transaction:
            leftovers.give_up(transaction, limit=GIVE_UP_MAX)
        room = self._publisher.room("webhooks", WAKE_MAX)
        if room == 0:
            return 0
        with self._services.database.transaction() as transaction:
            due = due_endpoints(transaction.connection, limit=room)
            transaction.wakes.endpoints.update(due)
        return len(due)

    def _hear(self, processor: Processor) -> int:
        pulled = processor.pull_events(EVENTS_MAX)
        if not pulled:
            return 0
        events = []
        for headers, body in pulled:
            try:
                events.append(processor.read_event(headers, body))
            except EventRefused as refused:  # The others are none the worse for it.
                logger.warning(
                    "processor's event refused", processor=processor.name, reason=str(refused)
                )
        with self._services.database.transaction() as transaction:
            return reports.apply(
                transaction,
                events,
                processor=processor.name,
                policy=self._services.policies[processor.name],
                dice=random.random,
            )
