"""The one place that chooses implementations: engines, processors, committers, wake-ups."""

import os
import socket
import threading
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from types import MappingProxyType
from typing import Any, Protocol, Self

import orjson
from celery import Celery
from sqlalchemy import Engine

from models.rows import ChargeRow, LifecycleRow
from payments.access.vault import Vault
from payments.approval_policy import Approvals
from payments.lifecycle import cancels, database_steps
from payments.lifecycle.accepting.asked import Accepted
from payments.lifecycle.capturing import captures
from payments.lifecycle.database_steps import Begun
from payments.lifecycle.settlement import Policy, policies_of
from payments.payment_errors import Refused
from payments.processors.installation import Installation, installation
from payments.processors.port import Processor
from payments.processors.processor_limits import ANYTHING, MoneyLimit, MoneyLimits
from payments.processors.registry import Processors
from payments.processors.sandbox import Sandbox
from payments.processors.statements import Statements, statements_of
from payments.transaction import Database, Wakes
from service import log
from service.broker.publisher import Publisher
from service.database import retrying
from service.database.database_limits import SANDBOX, WORK, Limits
from service.database.engine import open_engine
from service.database.group_commit import GroupCommitter
from service.database.loop_commit import LoopCommitter
from service.kept_settings import NO_KEY, keys_of
from service.metrics import counting
from service.process import garbage, open_files
from service.processor_settings import SANDBOX_LIMIT, maker_of
from service.settings import Settings
from service.settings_errors import SettingsError
from service.stripe_settings import secrets_of

logger = log.get(__name__)

# How many descriptors a delivering process needs besides the sockets of its posts.
SPARE_FILES = 256
# How many endpoints' results are written at once, up to 64 each: more would delay those that
# follow, and cost each no less.
DRAINS_MAX = 32


def open_database(
    url: str,
    *,
    pool_size: int = 8,
    limits: Limits = WORK,
    json: Callable[[bytes], Any] | None = None,
) -> Engine:
    """The service's engine. Every connection has limits, so that nothing can block a worker for
    ever."""
    return open_engine(url, limits, pool_size=pool_size, json=json)


def open_sandbox(url: str, *, pool_size: int = 4, limits: Limits = SANDBOX) -> Engine:
    """An engine for the sandbox's own connections."""
    return open_engine(url, limits, pool_size=pool_size, max_overflow=0)


@dataclass(frozen=True, slots=True)
class Services:
    """Everything a process may need, made once."""

    settings: Settings
    engine: Engine
    database: Database
    vault: Vault
    processors: Processors
    policies: Mapping[str, Policy]
    stopping: threading.Event


def sandbox(settings: Settings) -> Sandbox:
    """The sandbox, on its own connections, as an independent witness."""

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
    """The sandbox's limits from the setting: those currencies only, or anything."""
    if not text:
        return ANYTHING
    named = {}
    for code, least, most, multiple in SANDBOX_LIMIT.findall(text):
        named[code] = MoneyLimit(int(least), int(most), int(multiple or 1))
    return MoneyLimits(named, others=None)


def stripe(settings: Settings) -> Processor:
    """Stripe. Its library is slow to import, so it is loaded only if the processor is used."""
    from payments.processors.stripe import Stripe

    return Stripe(
        settings.stripe_api_key.get_secret_value(),
        webhook_secrets=secrets_of(settings.stripe_webhook_secrets),
        api_base=settings.stripe_api_base,
        multicapture=settings.stripe_multicapture == "if_available",
        installation=partial(_installation, settings),
    )


def _installation(settings: Settings) -> Installation:
    """The installation of this database: read once per process. Raises Renamed."""
    engine = open_database(settings.database_url, pool_size=1)
    try:
        with engine.begin() as connection:
            return installation(connection, settings.stripe_installation)
    finally:
        engine.dispose()


ProcessorFactory = Callable[[Settings], Processor]


def processors(
    settings: Settings, instead: Mapping[str, ProcessorFactory] = MappingProxyType({})
) -> Processors:
    """The processors that the settings name, each made by its maker (`service.processor_settings`),
    or by what a test gives `instead`. Raises ValueError for one whose own name differs."""
    made = []
    for name in settings.processors:
        make = instead.get(name) or maker_of(name).load()
        made.append(make(settings))
        if made[-1].name != name:
            raise ValueError(f"the processor {name!r} calls itself {made[-1].name!r}")
    return Processors(
        *made,
        default=settings.processor,
        routes=settings.processor_routes,
        approvals=approvals(settings),
    )


def approvals(settings: Settings) -> Approvals:
    """What a second person must approve."""
    return Approvals(settings.approve_refunds_above, resolve=settings.approve_resolve == "on")


def statements(settings: Settings) -> Statements:
    """The statements of the processors that keep one."""
    return statements_of(processors(settings))


def livemode(settings: Settings) -> bool:
    """Whether BILLING_PROCESSOR moves real money: shown by products and prices. Charges show the
    mode of their own processor, which a route may have chosen."""
    return processors(settings)[settings.processor].livemode


class Delivers(Protocol):
    """What the handlers need of `payments.webhooks.delivery_loop.Deliverer`."""

    def start(self) -> Self: ...
    def hand_over(self, endpoint_ids: Sequence[str]) -> Future[None]: ...
    def close(self) -> None: ...


def vault(settings: Settings) -> Vault:
    """Seals secrets for the database, and opens them. Raises SettingsError without a key."""
    if not (keys := keys_of(settings.encryption_keys)):
        raise SettingsError(NO_KEY)
    return Vault(keys)


def asked_together(
    run: Callable[[Sequence[Any]], Awaitable[Sequence[Any]]],
) -> Callable[[Any], Awaitable[Any]]:
    """For the deliverer: concurrent queries of its drains become one. Each drain itself retries if
    the database is away."""
    committer = LoopCommitter[Any, Any](
        run, batch_max=DRAINS_MAX, is_hopeless=retrying.is_transient
    )
    return committer.submit


def deliverer(engine: Engine, vault: Vault, **options: Any) -> Delivers:
    """The deliverer. Its HTTP client is slow to import, so only a process that delivers loads
    it."""
    from payments.webhooks.delivery_loop import LINGER_S, POSTS_MAX, Deliverer

    posts_max = max(1, min(POSTS_MAX, open_files.raised() - SPARE_FILES))
    garbage.look_seldom()
    return Deliverer(
        engine, vault, together=asked_together, posts_max=posts_max, linger_s=LINGER_S, **options
    )


@dataclass(frozen=True, slots=True)
class Parts:
    """The parts of the handlers. Crash tests pass parts that die at a chosen line."""

    processors: Mapping[str, ProcessorFactory] = field(default_factory=dict)
    begin: Callable[..., list[Begun]] = database_steps.begin
    settle: Callable[..., list[LifecycleRow]] = database_steps.settle
    cancel: Callable[..., list[ChargeRow | Refused]] = cancels.cancel
    capture: Callable[..., list[Accepted | Refused]] = captures.accept
    publisher: Callable[[Celery], Publisher] = Publisher
    deliverer: Callable[..., Delivers] = deliverer


REAL = Parts()


def services(settings: Settings, wake: Callable[[Wakes], None], parts: Parts = REAL) -> Services:
    """Open what every kind of process shares. Nothing connects before it is used."""
    stopping = threading.Event()
    # The JSON that these processes read is ours and has no long numbers; with Python's own reader
    # it would take a tenth of the cost of each row. Headers of the quarantine, which may contain
    # any numbers, are read as text.
    engine = open_database(settings.database_url, json=orjson.loads)
    named = processors(settings, parts.processors)
    return Services(
        settings=settings,
        engine=engine,
        database=Database(engine, wake, counting.moved),
        vault=vault(settings),
        processors=named,
        policies=policies_of(named, customer_wait=timedelta(seconds=settings.customer_wait_s)),
        stopping=stopping,
    )


def since_boot_s() -> float:
    """Seconds by a clock that can't be set, and that continues while a machine is suspended."""
    clock = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)  # only Linux has the first
    return time.clock_gettime(clock)


def worker_name() -> str:
    """Host and process: the actor in histories."""
    return f"{socket.gethostname()}:{os.getpid()}"
