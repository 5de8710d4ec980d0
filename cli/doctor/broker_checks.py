"""The broker, over the same kind of connection as workers use; and the readers of its queues."""

from collections.abc import Iterable, Sequence
from typing import Any

from celery import Celery

from cli.doctor.findings import Finding, fail, ok, some, warn
from infra.billing import brokers
from service.broker import connections, consumers
from service.broker.celery_config import DEAD, PAYMENTS, WEBHOOKS, configuration
from service.broker.consumers import queues_read
from service.settings import Settings
from worker.guard import redis_problems
from worker.transport import redis_transport

QUEUES = (PAYMENTS, WEBHOOKS)
# Celery's queue for tasks that name none.
DEFAULT = "celery"
READERS_S = 1.5
# BLMOVE, by which workers wait without taking (worker/transport/redis_transport.py).
REDIS_MIN = (6, 2)
# Dead letters that are kept until they are safely elsewhere.
RABBITMQ_MIN = (3, 10)
MEMORY_FULL = 0.8


def look(settings: Settings, url: str) -> Iterable[Finding]:
    """Whether it is reachable and safe, what waits there, and which queues have readers."""
    redis_transport.register()
    app = Celery("billing", set_as_current=False)
    app.conf.update(configuration(settings, url))
    where = brokers.parse(url).place
    try:
        with connections.link(app) as link:
            is_redis = link.transport.driver_type == "redis"
            yield from (_redis if is_redis else _rabbitmq)(app, link, where)
            yield from _default_queue(link, settings)
    except Exception as error:  # noqa: BLE001  # a broken connection may raise any error
        seen = f"{where}: {consumers.reason(error)}"
        advice = "start it, or mend BILLING_BROKER_URL; what is accepted waits for it in the rows"
        yield fail("broker", seen, advice)
        return
    yield from workers(app, [*QUEUES, *settings.extra_queues])


def workers(app: Celery, queues: Sequence[str] = QUEUES) -> Iterable[Finding]:
    """Whether each queue has a worker that answers."""
    readers = queues_read(app, timeout_s=READERS_S)
    if readers.trouble:
        advice = "see what the broker logs"
        yield fail("workers", f"could not be asked: {readers.trouble}", advice)
        return
    for queue in queues:
        if names := readers.queues.get(queue):
            yield ok("workers", f"{queue} is read by {', '.join(names)}")
        else:
            read = queue if queue in QUEUES else PAYMENTS  # further ones come with that
            advice = f"start one: `celery -A worker worker --queues {read} --pool threads`"
            yield fail("workers", f"nobody reads the queue {queue}", advice)


def _default_queue(link: Any, settings: Settings) -> Iterable[Finding]:
    """Whether requests go to a queue without a reader."""
    if DEFAULT in settings.extra_queues:
        return
    if waiting := _count(link, DEFAULT):
        seen = f"{some(waiting, 'message')} in {DEFAULT}, Celery's default queue, which is not read"
        advice = (
            'if they are requests, let their producer send them with queue="payments", or set'
            f" BILLING_EXTRA_QUEUES={DEFAULT} and restart the workers"
        )
        yield warn("queues", seen, advice)


# --- Redis ---


def _redis(app: Celery, link: Any, where: str) -> Iterable[Finding]:
    with link.default_channel.conn_or_acquire() as client:
        info = client.info()
        version = str(info.get("redis_version", "0"))
        if _version(version) < REDIS_MIN:
            yield fail("broker", f"Redis {version} at {where}", "upgrade it to 6.2 or later")
        elif info.get("role") not in (None, "master"):
            advice = "let BILLING_BROKER_URL point to the primary"
            yield fail("broker", f"Redis {version} at {where} is a replica", advice)
        else:
            yield ok("broker", f"Redis {version} at {where}")
        yield from _redis_config(client, link)
        yield from _redis_memory(info)
        waiting = [f"{client.llen(queue)} in {queue}" for queue in QUEUES]
        yield ok("queues", f"{', '.join(waiting)}")


def _redis_config(client: Any, link: Any) -> Iterable[Finding]:
    try:
        config = {**client.config_get("maxmemory-policy"), **client.config_get("appendonly")}
    except link.channel_errors:  # not allowed to read CONFIG, as at most hosting providers
        seen = "Redis does not tell its CONFIG"
        advice = "see to it that maxmemory-policy is noeviction and appendonly yes"
        yield warn("broker's settings", seen, advice)
        return
    problems = list(redis_problems(config))
    for is_fatal, problem in problems:
        seen, _, advice = problem.partition(": ")
        yield (fail if is_fatal else warn)("broker's settings", seen, advice)
    if not problems:
        yield ok("broker's settings", "nothing is evicted, and what is there survives a restart")


def _redis_memory(info: dict[str, Any]) -> Iterable[Finding]:
    if info.get("aof_enabled") and info.get("aof_last_write_status") not in (None, "ok"):
        advice = "see whether its disk is full; it takes no more messages"
        yield fail("broker's disk", "Redis can't write its append-only file", advice)
    used, most = int(info.get("used_memory", 0)), int(info.get("maxmemory", 0))
    limit = most or int(info.get("total_system_memory", 0))
    seen = f"{used / 2**20:.0f} MB of {limit / 2**20:.0f} MB are in use"
    if limit and used > MEMORY_FULL * limit:
        advice = "give it more, or see what fills it; a full Redis takes no more messages"
        yield warn("broker's memory", seen, advice)
    elif limit:
        yield ok("broker's memory", seen)


# --- RabbitMQ ---


def _rabbitmq(app: Celery, link: Any, where: str) -> Iterable[Finding]:
    version = str(link.connection.server_properties.get("version", "0"))
    if _version(version) < RABBITMQ_MIN:
        yield fail("broker", f"RabbitMQ {version} at {where}", "upgrade it to 3.10 or later")
    else:
        yield ok("broker", f"RabbitMQ {version} at {where}")
    for queue in QUEUES:
        yield from _rabbitmq_queue(app, link, queue)
    if dead := _count(link, DEAD):
        advice = "workers put them into quarantine; see that some run"
        yield warn("queues", f"{some(dead, 'message')} given up, in {DEAD}", advice)


def _rabbitmq_queue(app: Celery, link: Any, queue: str) -> Iterable[Finding]:
    waiting = _count(link, queue)
    if waiting is None:
        seen = f"there is no queue {queue}"
        yield warn("queues", seen, "the first worker that starts makes it")
        return
    try:
        with link.channel() as channel:
            # As workers do. It exists, so this creates nothing; it fails if its type differs.
            app.amqp.queues[queue](channel).queue_declare()
    except link.channel_errors:
        seen = f"{queue} is no quorum queue with our arguments"
        advice = f"empty it, delete it, and restart the workers, which make it anew: {queue}"
        yield fail("queues", seen, advice)
    else:
        yield ok("queues", f"{waiting} in {queue}")


def _count(link: Any, queue: str) -> int | None:
    """How many messages wait; None if there is no such queue."""
    try:
        # A separate channel: RabbitMQ closes the one on which a check failed.
        with link.channel() as channel:
            return int(channel.queue_declare(queue=queue, passive=True).message_count)
    except link.channel_errors:
        return None


def _version(said: str) -> tuple[int, ...]:
    return tuple(int(part) for part in said.split(".")[:2] if part.isdigit())
