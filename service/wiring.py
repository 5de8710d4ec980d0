"""The one place that decides what is real: engines, processors, committers, and who wakes whom."""

import os
import random
import socket
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from importlib.metadata import entry_points
from typing import Any, Protocol, Self

from celery import Celery
from sqlalchemy import Engine

from infra.billing.contract.requests.charge import ChargeRequest
from models.rows import ChargeRow, LifecycleRow, as_charge
from payments.errors import Refused
from payments.lifecycle import cancels, executor
from payments.lifecycle.accepting.asked import Accepted
from payments.lifecycle.cancels import Cancellation
from payments.lifecycle.capturing import captures
from payments.lifecycle.capturing.captures import NewCapture
from payments.lifecycle.claims import lease
from payments.lifecycle.executor import Begin, Begun, Executor, Settlement
from payments.lifecycle.settlement import Policy, policies_of
from payments.processors.limits import ANYTHING, MoneyLimit, MoneyLimits
from payments.processors.port import Processor
from payments.processors.registry import Processors
from payments.processors.sandbox import Sandbox
from payments.processors.statements import Statements, statements_of
from payments.transaction import Database, Wakes
from payments.webhooks.drains import Drained
from service import log
from service.broker.publisher import Publisher
from service.database.engine import open_engine
from service.database.group_commit import GroupCommitter
from service.database.limits import SANDBOX, WORK, Limits
from service.database.retrying import Retrying
from service.processor_names import PROCESSOR_ENTRY_POINTS, SANDBOX_LIMIT
from service.settings import Settings
from service.stripe_settings import secrets_of

logger = log.get(__name__)


def open_database(url: str, *, pool_size: int = 8, limits: Limits = WORK) -> Engine:
    """Our engine. Every connection has limits, so that nothing can hold up a worker for ever."""
    return open_engine(url, limits, pool_size=pool_size)


def open_sandbox(url: str, *, pool_size: int = 4, limits: Limits = SANDBOX) -> Engine:
    """An engine for the sandbox's own connections."""
    return open_engine(url, limits, pool_size=pool_size, max_overflow=0)


@dataclass(frozen=True, slots=True)
class Services:
    """Everything a process may need, made once."""

    settings: Settings
    engine: Engine
    database: Database
    processors: Processors
    policies: Mapping[str, Policy]
    stopping: threading.Event


def sandbox(settings: Settings) -> Sandbox:
    """The sandbox, on connections of its own: an honest outside witness."""

    def grouped(run: Callable[[Sequence[Any]], Sequence[Any]]) -> Callable[[Any], Any]:
        return GroupCommitter(run).submit

    return Sandbox(
        open_sandbox(settings.database_url),
        batch=grouped,
        latency_ms=settings.sandbox_latency_ms,
        timeout_ms=settings.sandbox_timeout_ms,
        key_window=timedelta(seconds=settings.sandbox_key_window_s),
        limits=_limits(settings.sandbox_limits),
    )


def _limits(text: str) -> MoneyLimits:
    """What the sandbox takes, as the setting writes it: those currencies alone, or anything."""
    if not text:
        return ANYTHING
    named = {}
    for code, least, most, multiple in SANDBOX_LIMIT.findall(text):
        named[code] = MoneyLimit(int(least), int(most), int(multiple or 1))
    return MoneyLimits(named, others=None)


def stripe(settings: Settings) -> Processor:
    """Stripe. Its library is heavy, so only who has the processor loads it."""
    from payments.processors.stripe import Stripe

    return Stripe(
        settings.stripe_api_key.get_secret_value(),
        webhook_secrets=secrets_of(settings.stripe_webhook_secrets),
        api_base=settings.stripe_api_base,
    )


# How a processor of ours is made, by its name; a package's entry point is called in the same way.
ProcessorFactory = Callable[[Settings], Processor]
BUILT_IN: Mapping[str, ProcessorFactory] = {"sandbox": sandbox, "stripe": stripe}


def processors(
    settings: Settings, built_in: Mapping[str, ProcessorFactory] = BUILT_IN
) -> Processors:
    """The processors that the settings name. Raises ValueError for one that has another name."""
    made = []
    for name in settings.processors:
        make = built_in.get(name)
        if make is None:
            (brought,) = entry_points(group=PROCESSOR_ENTRY_POINTS, name=name)
            make = brought.load()
        made.append(make(settings))
        if made[-1].name != name:
            raise ValueError(f"the processor {name!r} calls itself {made[-1].name!r}")
    return Processors(*made, default=settings.processor, routes=settings.processor_routes)


def statements(settings: Settings) -> Statements:
    """What the processors that keep a statement say that they moved."""
    return statements_of(processors(settings))


def livemode(settings: Settings) -> bool:
    """Whether BILLING_PROCESSOR moves real money: what products and prices show. Charges show it of
    the processor that took them, which a route may have chosen."""
    return processors(settings)[settings.processor].livemode


class Delivers(Protocol):
    """What the handlers need of `payments.webhooks.delivery.Deliverer`."""

    def start(self) -> Self: ...
    def drain(self, endpoint_id: str) -> Drained: ...
    def close(self) -> None: ...


def deliverer(engine: Engine, **options: Any) -> Delivers:
    """The deliverer. Its HTTP client is heavy, so only a process that delivers loads it."""
    from payments.webhooks.delivery import Deliverer

    return Deliverer(engine, **options)


@dataclass(frozen=True, slots=True)
class Parts:
    """What the handlers are put together from. Crash tests pass parts that die at a chosen line."""

    processors: Mapping[str, ProcessorFactory] = field(default_factory=lambda: BUILT_IN)
    begin: Callable[..., list[Begun]] = executor.begin
    settle: Callable[..., list[LifecycleRow]] = executor.settle
    cancel: Callable[..., list[ChargeRow | Refused]] = cancels.cancel
    capture: Callable[..., list[Accepted | Refused]] = captures.accept
    publisher: Callable[[Celery], Publisher] = Publisher
    deliverer: Callable[..., Delivers] = deliverer


REAL = Parts()


def services(settings: Settings, wake: Callable[[Wakes], None], parts: Parts = REAL) -> Services:
    """Open what every kind of process shares. Nothing connects before it is used."""
    stopping = threading.Event()
    engine = open_database(settings.database_url)
    named = processors(settings, parts.processors)
    return Services(
        settings=settings,
        engine=engine,
        database=Database(engine, wake),
        processors=named,
        policies=policies_of(named, customer_wait=timedelta(seconds=settings.customer_wait_s)),
        stopping=stopping,
    )


def make_executor(services: Services, parts: Parts = REAL) -> Executor:
    """The executor of a worker process: all its threads share two group committers."""
    retrying = Retrying(services.stopping)
    settings, database = services.settings, services.database
    names, policies = frozenset(services.processors), services.policies
    limits = services.processors.limits

    def begin(items: Sequence[Begin]) -> list[Begun]:
        with database.transaction() as transaction:
            return parts.begin(transaction, items, processors=names, limits=limits)

    def settle(items: Sequence[Settlement]) -> list[LifecycleRow]:
        with database.transaction() as transaction:
            return parts.settle(transaction, items, policies=policies, dice=random.random)

    def cancel(items: Sequence[Cancellation]) -> list[ChargeRow | Refused]:
        with database.transaction() as transaction:
            rows = parts.cancel(transaction, items)
            # The executor goes on with them by itself; should it die, the sweep wakes somebody.
            transaction.wakes.charges.difference_update(one.charge_id for one in items)
            return rows

    def capture(items: Sequence[NewCapture]) -> list[Accepted | Refused]:
        with database.transaction() as transaction:
            accepted = parts.capture(transaction, items, limits=limits)
            # As above.
            transaction.wakes.charges.difference_update(one.request.charge_id for one in items)
            return accepted

    return Executor(
        cancel=GroupCommitter(retrying(cancel)).submit,
        capture=GroupCommitter(retrying(capture)).submit,
        begin=GroupCommitter(retrying(begin), shared=_price_asked_for).submit,
        settle=GroupCommitter(retrying(settle), shared=_price_charged).submit,
        processors=services.processors,
        policies=policies,
        new_lease=partial(lease, worker_name(), settings.lease_s),
        call_deadline_s=settings.call_deadline_s,
        clock=since_boot_s,
    )


def _price_asked_for(item: Begin) -> str | None:
    """The price that many may want at once, by the name they have for it."""
    request = item.new.request if item.new is not None else None
    return request.price_id if isinstance(request, ChargeRequest) else None


def _price_charged(item: Settlement) -> str | None:
    """The price whose stock may come back."""
    return as_charge(item.claimed.row).price_id if executor.may_release(item) else None


def since_boot_s() -> float:
    """Seconds by a clock that no one sets, and that goes on while a machine is suspended."""
    clock = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)  # only Linux has the first
    return time.clock_gettime(clock)


def worker_name() -> str:
    """Host and process: what the history shows as who did it."""
    return f"{socket.gethostname()}:{os.getpid()}"
