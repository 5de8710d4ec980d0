"""The sweeps: they find what is due in the tables and wake it, whatever became of its messages."""

import random
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial

from sqlalchemy.exc import DBAPIError

from payments.audit import health
from payments.intake import quarantine
from payments.keeping import retention
from payments.kinds import KINDS
from payments.ledger import days, filling, sealing
from payments.lifecycle import cancels, reports, sweeps
from payments.lifecycle.capturing import captures
from payments.processors.port import EventRefused, Processor
from payments.transaction import Transaction
from payments.webhooks import leftovers, sealed
from payments.webhooks.draining.drains import due_endpoints
from payments.webhooks.pacing import disabling
from service import faults, log
from service.broker.publisher import Publisher
from service.database.retrying import is_transient
from service.metrics import metric_catalogue
from service.wiring import Services
from tasks.handlers import Sweep
from worker.sweeps.looking import Look
from worker.sweeps.steps import all_of

logger = log.get(__name__)

# Enough messages to keep a fleet busy for the second until the next sweep, few enough that a
# sweep's transaction stays short.
WAKE_MAX = 1000
# A quarter of a second's work, once a second.
GIVE_UP_MAX = 5_000
# Each is published to all other endpoints.
DISABLE_MAX = 100
# How often a sweep is noted: well below the time after which sweeps count as stopped
# (SWEEPS_STOPPED_S of payments.audit.health), as each note is a commit.
NOTE_EVERY_S = 3.0
# The share of each second for deleting while whole pages are old: more than two thousand events,
# which a thousand charges bring (docs/how-to/keep-and-erase.md). Beat sweeps nothing else in that
# time.
RETENTION_S = 0.3
# Events fetched from each processor per sweep.
EVENTS_MAX = 100


def _nobody() -> None:
    """Does nothing."""


class Sweeper:
    """Each sweep returns how much it found; sweeping twice has the effect of sweeping once.

    `on_made` is called after each sweep, even if it failed: only a single sweep that takes too long
    counts as hanging, and not all of them together.
    """

    def __init__(self, services: Services, publisher: Publisher) -> None:
        self._services, self._publisher = services, publisher
        self._look = Look(
            services.engine, keep=services.settings.keep, processors=list(services.processors)
        )
        self.on_made: Callable[[], None] = _nobody
        self._noted_at: dict[Sweep, float] = {}
        self._sweeps: Mapping[Sweep, Callable[[], int]] = {
            "payments": self._payments,
            "webhooks": self._webhooks,
            "processor": self._processors,
            "secrets": self._secrets,
            "retention": self._retention,
            "ledger": self._ledger,
        }

    def sweep(self, what: Sweep) -> int:
        """Make this sweep, and report it to the watch."""
        if what == "due":
            return self._due()
        found = self._make(what)
        self._note([what])
        return found

    def _due(self) -> int:
        """Make the sweeps that have something to do."""
        needed = self._needed()
        made = [name for name in self._look.sweeps if name not in needed]
        found, failures = 0, []
        # Only the processor knows what waits there.
        for name in (*needed, "processor"):
            try:
                found += self._make(name)
            except Exception as failure:  # raised once all were made
                failures.append(failure)
                if is_transient(failure):
                    # The database is away for all of them: waiting for it once is enough.
                    raise
            else:
                made.append(name)
        self._note(made)
        if failures:
            raise failures[0]
        return found

    def _make(self, what: Sweep) -> int:
        """Make one sweep, and count it."""
        began_at, result = time.perf_counter(), "failed"
        try:
            found = self._sweeps[what]()
            result = "made"
        finally:
            metric_catalogue.SWEEPS.labels(what, result).observe(time.perf_counter() - began_at)
            self.on_made()
        metric_catalogue.SWEPT.labels(what).inc(found)
        return found

    def _needed(self) -> Sequence[Sweep]:
        try:
            return self._look()
        except DBAPIError as error:
            if is_transient(error):
                raise
            # A table that is locked, or can't be read, stops its own sweeps only.
            logger.warning("could not look what is due", error=faults.describe(error).kind)
            return self._look.sweeps

    def _note(self, names: Sequence[Sweep]) -> None:
        now = time.monotonic()
        noted_at = {name: self._noted_at.get(name, -NOTE_EVERY_S) for name in names}
        due = [name for name, at in noted_at.items() if now - at >= NOTE_EVERY_S]
        if due:
            with self._services.database.transaction() as transaction:
                health.note_sweeps(transaction, *due)
            self._noted_at |= dict.fromkeys(due, now)

    def _payments(self) -> int:
        """Wake what is due, and take back the leases of workers that died."""
        room = self._publisher.room("payments", WAKE_MAX)
        steps: list[Callable[[Transaction], int]] = []
        for kind in KINDS.values():
            wake_due = partial(
                sweeps.wake_due, kind=kind, processors=self._services.processors, limit=room
            )
            steps += [partial(sweeps.expire_leases, kind=kind), wake_due]
        steps.append(quarantine.mask)
        # Last, as it touches the most rows, any of which may be locked.
        steps += [cancels.cancel_expired, captures.warn_of_expiry]
        return all_of(partial(self._in_transaction, step) for step in steps)

    def _in_transaction(self, step: Callable[[Transaction], int]) -> int:
        with self._services.database.transaction() as transaction:
            return step(transaction)

    def _webhooks(self) -> int:
        """Close what is left of deleted endpoints, disable those that have gone, and wake those
        that have something due."""
        steps = (
            partial(leftovers.give_up, limit=GIVE_UP_MAX),
            partial(disabling.disable_or_warn, limit=DISABLE_MAX),
            partial(_wake_due_endpoints, room=self._publisher.room("webhooks", WAKE_MAX)),
        )
        return all_of(partial(self._in_transaction, step) for step in steps)

    def _secrets(self) -> int:
        """Seal what is stored in clear, or under an older key, with the present key."""
        found, after = 0, ""
        while True:
            with self._services.database.transaction() as transaction:
                page = sealed.reseal(transaction, self._services.vault, after=after)
            found += page.resealed
            for reason in page.unreadable:
                logger.error("a secret can't be opened", reason=reason)
            if page.last is None:
                return found
            after = page.last

    def _retention(self) -> int:
        """Delete what is past its retention time: a page of each table, and more while whole pages
        are old and there is time."""
        steps = retention.steps(self._services.settings.keep)
        until, found = time.monotonic() + RETENTION_S, 0
        while True:
            left = all_of(partial(self._in_transaction, step) for step in steps)
            found += left
            if left < retention.PAGE or time.monotonic() >= until:
                return found

    def _ledger(self) -> int:
        """Seal a part of the ledger, and post a page of older objects. A log that is stored
        elsewhere is a witness of each seal."""
        fills = (partial(filling.step, name=name) for name in filling.TABLES)
        steps: list[Callable[[Transaction], int]] = [*fills, days.count]
        return all_of([self._seal, *(partial(self._in_transaction, step) for step in steps)])

    def _seal(self) -> int:
        with self._services.database.transaction() as transaction:
            made = sealing.seal(transaction)
        if made is None:
            return 0
        logger.info(
            "ledger sealed",
            until=made.until.isoformat(),
            postings=made.postings,
            hash=made.hash,
        )
        return 1

    def _processors(self) -> int:
        """Fetch and apply the events that wait at each processor; one that can't be reached does
        not stop the others. `api.routes.processor_routes` gets what processors post to us."""
        return all_of(partial(self._hear, one) for one in self._services.processors.values())

    def _hear(self, processor: Processor) -> int:
        pulled = processor.pull_events(EVENTS_MAX)
        if not pulled:
            return 0
        events = []
        for headers, body in pulled:
            try:
                events.append(processor.read_event(headers, body))
            except EventRefused as refused:  # The other events are still applied.
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


def _wake_due_endpoints(transaction: Transaction, room: int) -> int:
    if room == 0:
        return 0
    due = due_endpoints(transaction.connection, limit=room)
    transaction.wakes.endpoints.update(due)
    return len(due)
