"""The one place that decides what is real: engines, processor, committers, and who wakes whom."""

import os
import random
import socket
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import Any

from celery import Celery
from sqlalchemy import Engine, create_engine

from models.ids import Kind as KindName
from payments import cashier, rejections, reports, sweeps
from payments.cashier import Begin, Begun, Cashier, Settlement
from payments.claims import Row, lease
from payments.errors import Refused
from payments.kinds import KINDS
from payments.processors.port import Processor
from payments.processors.sandbox import Sandbox, open_engine
from payments.requests import ChargeRequest, RefundRequest, parse
from payments.settlement import Policy
from payments.transaction import Database, Transaction, Wakes
from payments.webhooks.delivery import Deliverer
from payments.webhooks.drains import due_endpoints
from worker import log
from worker.group_commit import GroupCommitter
from worker.patience import Patient
from worker.publisher import Publisher, Waker
from worker.settings import Settings

logger = log.get(__name__)

# Enough messages to keep a fleet busy for the second until the next sweep, few enough that a
# sweep's transaction stays short.
WAKE_MAX = 1000
# Events fetched from the processor per sweep.
EVENTS_MAX = 100
REQUESTS = {"charge": ChargeRequest, "refund": RefundRequest}


def open_database(url: str, *, pool_size: int = 8) -> Engine:
    """Our engine. Every connection has limits, so that no statement can hold up a worker for ever;
    parameters never appear in an error's text."""
    return create_engine(
        url,
        pool_size=pool_size,
        max_overflow=4,
        pool_timeout=10,
        # A connection that went stale with a restart is found before it is used.
        pool_pre_ping=False,
        hide_parameters=True,
        connect_args={
            "application_name": "billing",
            "connect_timeout": 5,
            "options": "-c timezone=UTC -c statement_timeout=30000 -c lock_timeout=10000"
            " -c idle_in_transaction_session_timeout=30000",
        },
    )


@dataclass(frozen=True, slots=True)
class Services:
    """Everything a process may need, made once."""

    settings: Settings
    engine: Engine
    database: Database
    processor: Processor
    policy: Policy
    stopping: threading.Event


def sandbox(settings: Settings) -> Sandbox:
    """The sandbox, on connections of its own: an honest outside witness."""

    def grouped(run: Callable[[Sequence[Any]], Sequence[Any]]) -> Callable[[Any], Any]:
        return GroupCommitter(run).submit

    return Sandbox(
        open_engine(settings.database_url),
        batch=grouped,
        latency_ms=settings.sandbox_latency_ms,
        timeout_ms=settings.sandbox_timeout_ms,
        key_window=timedelta(seconds=settings.sandbox_key_window_s),
    )


@dataclass(frozen=True, slots=True)
class Parts:
    """What a desk is put together from. Crash tests pass parts that die at a chosen line."""

    processor: Callable[[Settings], Processor] = sandbox
    begin: Callable[[Transaction, Sequence[Begin]], list[Begun]] = cashier.begin
    settle: Callable[..., list[Row]] = cashier.settle
    publisher: Callable[[Celery], Publisher] = Publisher
    deliverer: Callable[..., Deliverer] = Deliverer


REAL = Parts()


def services(settings: Settings, wake: Callable[[Wakes], None], parts: Parts = REAL) -> Services:
    """Open what every kind of process shares. Nothing connects before it is used."""
    stopping = threading.Event()
    engine = open_database(settings.database_url)
    processor = parts.processor(settings)
    return Services(
        settings=settings,
        engine=engine,
        database=Database(engine, wake),
        processor=processor,
        policy=Policy(key_window=processor.key_window),
        stopping=stopping,
    )


def make_cashier(services: Services, parts: Parts = REAL) -> Cashier:
    """The cashier of a worker process: all its threads share two group committers."""
    patient = Patient(services.stopping)
    settings, database, policy = services.settings, services.database, services.policy

    def begin(items: Sequence[Begin]) -> list[Begun]:
        with database.transaction() as transaction:
            return parts.begin(transaction, items)

    def settle(items: Sequence[Settlement]) -> list[Row]:
        with database.transaction() as transaction:
            return parts.settle(transaction, items, policy=policy, dice=random.random)

    return Cashier(
        begin=GroupCommitter(patient(begin)).submit,
        settle=GroupCommitter(patient(settle)).submit,
        processor=services.processor,
        policy=policy,
        new_lease=partial(lease, worker_name(), settings.lease_s),
        call_deadline_s=settings.call_deadline_s,
    )


def worker_name() -> str:
    """Host and process: what the history shows as who did it."""
    return f"{socket.gethostname()}:{os.getpid()}"


class Desk:
    """What the tasks of a process stand on; see `tasks.desk`."""

    def __init__(self, app: Celery, settings: Settings, parts: Parts = REAL) -> None:
        self._parts = parts
        self._publisher = parts.publisher(app)
        self._waker = Waker(self._publisher)
        self.services = services(settings, self._waker, parts)
        self._patient = Patient(self.services.stopping)
        self._cashier = make_cashier(self.services, parts)
        self._deliverer: Deliverer | None = None
        self._lock = threading.Lock()

    def create(
        self, kind: KindName, fields: Mapping[str, Any], *, task_id: str
    ) -> Mapping[str, Any]:
        # Null is how foreign clients say "absent".
        given = {name: value for name, value in fields.items() if value is not None}
        # Celery's own task id survives redelivery, so it is a key as good as any.
        given.setdefault("idempotency_key", task_id)
        try:
            return self._cashier.create(parse(REQUESTS[kind], given))
        except Refused as refused:
            self._record_rejection(kind, refused, given, task_id)
            raise

    def submit(self, kind: KindName, id_: str) -> Mapping[str, Any]:
        return self._cashier.submit(KINDS[kind], id_)

    def drain(self, endpoint_id: str) -> int:
        drained = self._delivery().drain(endpoint_id)
        if drained.more:
            self._waker(Wakes(endpoints={endpoint_id}))
        return drained.delivered + drained.retried + drained.exhausted

    def sweep_payments(self) -> int:
        found = 0
        room = self._publisher.room("payments", WAKE_MAX)
        for kind in KINDS.values():
            with self.services.database.transaction() as transaction:
                found += sweeps.expire_leases(transaction, kind)
            with self.services.database.transaction() as transaction:
                found += sweeps.wake_due(transaction, kind, limit=room)
        return found

    def sweep_webhooks(self) -> int:
        room = self._publisher.room("webhooks", WAKE_MAX)
        if room == 0:
            return 0
        with self.services.database.transaction() as transaction:
            due = due_endpoints(transaction.connection, limit=room)
            transaction.wakes.endpoints.update(due)
        return len(due)

    def sweep_processor(self) -> int:
        processor = self.services.processor
        pulled = processor.pull_events(EVENTS_MAX)
        if not pulled:
            return 0
        events = [processor.read_event(headers, body) for headers, body in pulled]
        with self.services.database.transaction() as transaction:
            return reports.apply(
                transaction, events, policy=self.services.policy, dice=random.random
            )

    def quarantine(
        self, raw: bytes, *, queue: str, reason: str, headers: Mapping[str, Any] | None
    ) -> None:
        """Keep a message that is not a task; returns when it is safely there."""

        def keep(_: Sequence[None]) -> list[None]:
            with self.services.database.transaction() as transaction:
                rejections.quarantine(transaction, raw, queue=queue, reason=reason, headers=headers)
            return [None]

        self._patient(keep)([None])

    def close(self) -> None:
        """Stop waiting for an absent database, finish posts under way, publish what is left."""
        self.services.stopping.set()
        if self._deliverer is not None:
            self._deliverer.close()
        self._waker.close()

    def _record_rejection(
        self, kind: KindName, refused: Refused, fields: Mapping[str, Any], task_id: str
    ) -> None:
        def record(_: Sequence[None]) -> list[str]:
            with self.services.database.transaction() as transaction:
                return [
                    rejections.record(
                        transaction, kind, refused=refused, fields=fields, task_id=task_id
                    )
                ]

        (rejection_id,) = self._patient(record)([None])
        logger.info(
            "request refused",
            kind=kind,
            code=refused.code,
            param=refused.param,
            task_id=task_id,
            rejection_id=rejection_id,
        )

    def _delivery(self) -> Deliverer:
        with self._lock:  # Only processes that deliver webhooks start the loop.
            if self._deliverer is None:
                self._deliverer = self._parts.deliverer(
                    self.services.engine,
                    allow_private=self.services.settings.webhook_allow_private,
                    drain_s=self.services.settings.drain_s,
                ).start()
            return self._deliverer
