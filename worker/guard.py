"""Refuses to start a worker that could lose or double payments, and says what to set instead."""

from collections.abc import Iterator
from typing import Any

from celery import Celery, bootsteps
from celery.exceptions import WorkerShutdown

from service import log
from service.broker.celery_config import PAYMENTS, WEBHOOKS
from worker import control
from worker.transport import redis_transport

logger = log.get(__name__)


class Unsafe(SystemExit):
    """A worker with these settings must not start. The text says what to set."""


def install(app: Celery, *, remote_control: bool = False) -> None:
    """Guard every worker of this app; `remote_control` leaves Celery's commands as they are."""
    app.steps["worker"].add(_settings_step(remote_control))
    app.steps["consumer"].add(BrokerStep)


def problems(app: Celery, *, pool: str, prefetch_multiplier: int) -> Iterator[str]:
    """What is wrong with this app, and with a worker of it with this pool and prefetch
    multiplier."""
    yield from _message_problems(app)
    if prefetch_multiplier != 1:
        yield (
            f"worker_prefetch_multiplier is {prefetch_multiplier}: set it to 1, "
            "or a crash holds up messages that were only waiting"
        )
    if pool != "threads":
        yield f"the pool is {pool}: start with -P threads; leases and limits are made for threads"
    if not callable(getattr(getattr(app, "handlers", None), "quarantine", None)):
        yield "app.handlers.quarantine is missing: broken messages would be lost"
    if str(app.conf.broker_url).partition(":")[0] in redis_transport.SCHEMES:
        yield from _redis_problems(app)
    elif not app.conf.broker_transport_options.get("confirm_publish"):
        yield "broker_transport_options lacks confirm_publish: rejected messages would vanish"


def _message_problems(app: Celery) -> Iterator[str]:
    conf = app.conf
    if not conf.task_acks_late:
        yield "task_acks_late is off: set it to True, or a crash loses what was running"
    if late := [task.name for task in app.tasks.values() if _ours(task) and not task.acks_late]:
        yield f"acks_late is off for {', '.join(late)}: leave it to the app"
    formats = {*conf.accept_content}
    if formats - {"json", "application/json"}:
        yield f"accept_content is {sorted(formats)}: set it to ['json']; pickle runs what it reads"
    if conf.worker_cancel_long_running_tasks_on_connection_loss:
        yield (
            "worker_cancel_long_running_tasks_on_connection_loss is on: set it to False, "
            "or charges under way are cut off when the broker blinks"
        )
    if conf.worker_consumer != "worker.consumer:Consumer":
        yield "worker_consumer is not worker.consumer:Consumer: a broken message stops the worker"
    if missing := {PAYMENTS, WEBHOOKS} - set(app.amqp.queues):
        yield f"task_queues lacks {', '.join(sorted(missing))}"


def _redis_problems(app: Celery) -> Iterator[str]:
    options = app.conf.broker_transport_options
    if not isinstance(app.connection_for_read().transport, redis_transport.Transport):
        yield "the Redis transport is kombu's: call its register() first"
    if options.get("global_keyprefix"):
        yield "global_keyprefix is set: producers in other languages would write elsewhere"


def redis_problems(config: dict[str, str]) -> Iterator[tuple[bool, str]]:
    """What is wrong with a Redis, from its CONFIG: (must the worker stop, what to set)."""
    policy = config.get("maxmemory-policy", "noeviction")
    if policy != "noeviction":
        yield True, f"Redis may throw queues away: set maxmemory-policy noeviction, not {policy}"
    if config.get("appendonly", "yes") != "yes":
        yield False, "Redis forgets what it has when it restarts: set appendonly yes"


class BrokerStep(bootsteps.StartStopStep):  # type: ignore[misc]  # Celery has no types
    """Checks the broker each time the worker has connected, as it may be another one by then."""

    requires = ("celery.worker.consumer.connection:Connection",)

    def start(self, consumer: Any) -> None:
        if consumer.connection.transport.driver_type != "redis":
            return
        try:
            with consumer.connection.default_channel.conn_or_acquire() as client:
                config = {
                    **client.config_get("maxmemory-policy"),
                    **client.config_get("appendonly"),
                }
        except consumer.channel_errors:  # not allowed to read CONFIG, as at most hosting providers
            logger.warning("Redis does not tell its CONFIG; make sure it never evicts keys")
            return
        for fatal, text in redis_problems(config):
            if fatal:
                logger.critical("unsafe broker", problem=text)
                raise WorkerShutdown(1)
            logger.warning("risky broker", problem=text)


def _settings_step(remote_control: bool) -> type:
    class SettingsStep(bootsteps.Step):  # type: ignore[misc]  # Celery has no types
        """Runs while the worker is assembled, before it connects to the broker."""

        name = "worker.guard.Settings"

        def __init__(self, worker: Any, **options: Any) -> None:
            pool = worker.pool_cls.__module__.rpartition(".")[2].replace("thread", "threads")
            found = list(
                problems(worker.app, pool=pool, prefetch_multiplier=worker.prefetch_multiplier)
            )
            if found:
                raise Unsafe("this worker is not safe to start:\n- " + "\n- ".join(found))
            if not remote_control:
                control.trim()
            super().__init__(worker, **options)

    return SettingsStep


def _ours(task: Any) -> bool:
    return not task.name.startswith("celery.")
