"""The Celery application: `celery -A worker worker`, `celery -A worker flower`.

Importing it connects to nothing; the first task of a process creates the handlers.
"""

import logging
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from celery import Celery, signals

import tasks.charge_tasks
import tasks.refund_tasks
import tasks.sweep_tasks
import tasks.webhook_tasks  # noqa: F401  # importing the tasks registers them
from infra.billing.contract.messages.task_names import SWEEP_DUE, SWEEP_SECRETS
from service import log
from service.broker.celery_config import configuration
from service.database import database_limits, revisions
from service.database.diagnosis import Hopeless
from service.metrics import gauges, serving
from service.metrics.metric_catalogue import REGISTRY
from service.process import garbage, threads
from service.process.life import Life
from service.settings import load
from service.settings_errors import SettingsError
from service.tracing import sentry
from service.wiring import REAL
from worker import guard, watchdog
from worker.loop.way import LoopStep
from worker.task_handlers import TaskHandlers
from worker.task_request import BillingTask
from worker.transport import redis_transport


class Billing(Celery):  # type: ignore[misc]  # Celery has no types
    """Celery with our settings, and with handlers for its tasks."""

    # Another app, such as that of the crash tests, may use other parts.
    parts = REAL

    _handlers: TaskHandlers | None = None
    _handlers_lock = threading.Lock()

    @property
    def handlers(self) -> TaskHandlers:
        with self._handlers_lock:
            if self._handlers is None:
                self._handlers = TaskHandlers(self, load(), self.parts)
            return self._handlers

    def stop_waiting(self) -> None:
        """Let tasks that wait for the database return their messages; takes no lock, as it runs in
        a signal handler."""
        if self._handlers is not None:
            self._handlers.services.stopping.set()

    def close_handlers(self) -> None:
        with self._handlers_lock:
            if self._handlers is not None:
                self._handlers.close()
                self._handlers = None


def make_app() -> Billing:
    try:
        settings = load()
    except SettingsError as error:
        raise SystemExit(str(error)) from None  # the user needs the message, not a traceback
    if found := list(database_limits.problems(settings.database_url)):
        raise SystemExit("\n".join(found))
    log.configure(settings.log_format, settings.log_level)
    try:
        sentry.start(settings.sentry_dsn.get_secret_value())
    except SettingsError as error:
        raise SystemExit(str(error)) from None
    if settings.log_level != "debug":
        # Celery's two lines per task are not needed: the history of a charge is in its rows, we log
        # refusals and bugs ourselves, and Flower shows the rest. Nor are beat's, which has its own
        # "sweeper ready".
        for chatty in ("celery.worker.strategy", "celery.app.trace", "celery.beat"):
            logging.getLogger(chatty).setLevel(logging.WARNING)
        # Flower asks every worker at its start, and worries when one starts at the same time.
        logging.getLogger("flower.inspector").setLevel(logging.ERROR)
    redis_transport.register()
    app = Billing("billing", task_cls=BillingTask, set_as_current=True)
    app.conf.update(configuration(settings))
    app.conf.update(
        beat_scheduler="worker.beat:Sweeper",
        beat_schedule={
            # Every second: with this and the lease, recovery stays well under 30 s.
            "due": {"task": SWEEP_DUE, "schedule": 1.0},
            # Only needed after an upgrade or with a new key: not urgent.
            "secrets": {"task": SWEEP_SECRETS, "schedule": 60.0},
        },
    )
    guard.install(app)
    app.steps["worker"].add(LoopStep)
    watchdog.install(
        app,
        task_limit_s=database_limits.task_limit_s(
            call_deadline_s=settings.call_deadline_s, drain_s=settings.drain_s
        ),
        run_dir=settings.run_dir,
    )
    return app


app = make_app()


@contextmanager
def _leaving_when_told() -> Iterator[None]:
    """Exit on SIGTERM even before Celery handles it: the first process of a container has no
    default handler, and would run until it is killed."""

    def leave(*_: object) -> None:
        raise SystemExit(0)

    before = signal.getsignal(signal.SIGTERM)
    if before is not signal.SIG_DFL:
        yield
        return
    signal.signal(signal.SIGTERM, leave)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


@signals.worker_init.connect  # type: ignore[untyped-decorator]
@signals.beat_init.connect  # type: ignore[untyped-decorator]
def _require_tables(signal: Any, **_: Any) -> None:
    """A worker on old tables would fail every request from the queue. While the database is away it
    waits, as a restart would not help; on SIGTERM it exits."""
    is_beat = signal is signals.beat_init
    role = "beat" if is_beat else watchdog.role(app.amqp.queues.consume_from)
    try:
        life = Life(app.handlers.services.settings.run_dir, role)
        with _leaving_when_told():
            app.handlers.require_tables(life.show)
    except (revisions.Behind, Hopeless, SettingsError) as refusal:
        raise SystemExit(str(refusal)) from None


@signals.worker_init.connect  # type: ignore[untyped-decorator]
@signals.beat_init.connect  # type: ignore[untyped-decorator]
def _serve_metrics(signal: Any, **_: Any) -> None:
    """In beat, which runs once, also the gauges of the database."""
    settings = app.handlers.services.settings
    if signal is signals.beat_init and settings.metrics_port:
        REGISTRY.register(gauges.of_database(settings.database_url))
    serving.serve(settings)


@signals.worker_ready.connect  # type: ignore[untyped-decorator]
def _settle_down(**_: Any) -> None:
    """Everything long-lived is imported by now, and the threads start to work."""
    threads.take_short_turns()
    garbage.look_seldom()


@signals.worker_shutting_down.connect  # type: ignore[untyped-decorator]
def _stop_waiting(**_: Any) -> None:
    """At the first signal: `worker_shutdown` comes after the last task, and that may be waiting."""
    app.stop_waiting()


@signals.worker_shutdown.connect  # type: ignore[untyped-decorator]
def _close_handlers(**_: Any) -> None:
    app.close_handlers()


@signals.setup_logging.connect  # type: ignore[untyped-decorator]
def _logging_is_ours(**_: Any) -> None:
    """With a receiver of this signal Celery doesn't set up logging: service/log.py has done it."""
