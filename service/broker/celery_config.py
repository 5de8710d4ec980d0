"""The Celery configuration: what differs from Celery's defaults, and why."""

from collections.abc import Sequence
from typing import Any, Protocol

from kombu import Exchange, Queue

from infra.billing import brokers
from infra.billing.brokers import Broker

PAYMENTS = "payments"
WEBHOOKS = "webhooks"
# RabbitMQ only: the queue of messages that were delivered DELIVERIES_MAX times and never finished.
# Our own workers read it and quarantine what they find (worker/consumer.py).
DEAD = "billing.dead"

# A message comes back each time its worker dies. Twenty (RabbitMQ's default) is one bad evening of
# rolling restarts; past fifty the message itself is the likely killer.
DELIVERIES_MAX = 50

# How long a publisher waits for each answer of a broker. It is called from inside requests, and
# with its one retry it waits three times before it gives up: 2 s in all.
PUBLISH_TIMEOUT_S = 0.6


class Configured(Protocol):
    """The fields read from service.settings.Settings."""

    @property
    def broker_url(self) -> str: ...
    @property
    def slots(self) -> int: ...
    @property
    def shutdown_s(self) -> float: ...
    @property
    def lease_s(self) -> float: ...
    @property
    def extra_queues(self) -> Sequence[str]: ...


def configuration(settings: Configured, broker_url: str | None = None) -> dict[str, Any]:
    """Everything for `app.conf.update`, for any broker of infra.billing.brokers.

    `broker_url` stands in for an unset `settings.broker_url` (the embedded Redis).
    Raises BrokerUrlError.
    """
    broker = brokers.parse(broker_url or settings.broker_url)
    return {
        "broker_url": broker.url,
        **({"broker_use_ssl": dict(broker.ssl)} if broker.ssl else {}),
        # --- messages
        "accept_content": ["json"],  # pickle executes what it reads
        "task_serializer": "json",
        "task_protocol": 2,
        "enable_utc": True,
        "timezone": "UTC",
        "task_queues": (
            *queues(rabbitmq=not broker.is_redis),
            *(ForeignQueue(name) for name in settings.extra_queues),
        ),
        "task_default_queue": PAYMENTS,
        "task_default_exchange": "billing",
        # Direct: Celery then publishes to the queue by name, which needs none of kombu's binding
        # tables; FLUSHALL deletes those, and a publish by topic would vanish without an error.
        "task_default_exchange_type": "direct",
        "task_default_routing_key": PAYMENTS,
        "task_default_delivery_mode": 2,
        "task_create_missing_queues": False,  # a typo must fail, not create an unread queue
        "task_routes": {
            "billing.webhook.*": {"queue": WEBHOOKS},
            "billing.*": {"queue": PAYMENTS},
        },
        # --- delivery
        "task_acks_late": True,  # acknowledging earlier would lose it with the process
        "task_acks_on_failure": True,  # the row knows what is still due, not the message
        "task_acks_on_timeout": True,  # likewise; requeued at once it would loop
        "task_reject_on_worker_lost": True,
        "task_ignore_result": True,  # PostgreSQL is the result store
        "result_backend": None,
        "task_store_errors_even_if_ignored": False,
        "task_track_started": False,
        # --- worker
        "worker_pool": "threads",  # a charge waits on the network, and threads wait cheaply
        "worker_concurrency": settings.slots,
        "worker_prefetch_multiplier": 1,  # a crash affects only what is running
        "worker_consumer": "worker.consumer:Consumer",
        # The leases in PostgreSQL keep a redelivered message from running twice; aborting charges
        # because the broker was away briefly would turn them into unknown outcomes.
        "worker_cancel_long_running_tasks_on_connection_loss": False,
        # Lowers the prefetch after a reconnect and has stuck there (celery#9512); same reason.
        "worker_enable_prefetch_count_reduction": False,
        "worker_disable_rate_limits": True,
        "worker_deduplicate_successful_tasks": False,  # needs a result backend; rows do it
        # SIGQUIT: this long for the calls under way, then the end.
        "worker_soft_shutdown_timeout": settings.shutdown_s,
        "worker_enable_remote_control": True,  # inspection only: worker/control.py trims it
        # With the default, exclusive, a worker can't start while RabbitMQ still has the connection
        # of another with its name: a host that vanished, a process that is stopped.
        "control_queue_exclusive": False,
        "control_queue_durable": True,  # RabbitMQ 4 has no other queues that are not exclusive
        "worker_hijack_root_logger": False,  # service/log.py owns logging
        "worker_redirect_stdouts": False,
        # --- events, for Flower
        "worker_send_task_events": True,
        # A second publish per message, in the producer; Flower would only learn the queue's name.
        "task_send_sent_event": False,
        "event_queue_expires": 120,  # a monitor that has gone leaves nothing behind
        # --- connections
        "broker_connection_retry": True,
        "broker_connection_retry_on_startup": True,
        "broker_connection_max_retries": None,  # the default gives up and exits after 100
        "broker_channel_error_retry": True,
        "broker_connection_timeout": 2.0,
        "broker_pool_acquire_timeout": 2.0,  # the default waits for ever (celery#10174)
        # One retry replaces a stale connection; if the broker is down, the sweep makes up for it.
        "task_publish_retry_policy": {
            "max_retries": 1,
            "interval_start": 0,
            "interval_step": 0.1,
            "interval_max": 0.1,
        },
        **(_redis(broker, settings.lease_s) if broker.is_redis else _rabbitmq(broker)),
    }


def queues(*, rabbitmq: bool) -> tuple[Queue, ...]:
    """The queues that workers read unless -Q says otherwise."""
    return tuple(_queue(name, rabbitmq=rabbitmq) for name in (PAYMENTS, WEBHOOKS))


class ForeignQueue(Queue):  # type: ignore[misc]  # kombu has no types
    """A producer's queue, read in addition to ours. It stays as it is; if it doesn't exist yet, it
    is created like Celery's default, so that its producer may declare it, too."""

    def __init__(self, name: str = "", exchange: Any = None, routing_key: str = "", **rest: Any):
        super().__init__(
            name, exchange or Exchange(name, type="direct"), routing_key or name, **rest
        )

    def declare(self, nowait: bool = False, channel: Any = None) -> Any:
        connection = (channel or self.channel).connection.client
        if connection.transport.driver_type == "amqp":
            try:
                # A separate channel: RabbitMQ closes the one on which a check failed.
                with connection.channel() as probe:
                    self.queue_declare(passive=True, channel=probe)
            except connection.channel_errors:
                pass  # it is made below
            else:
                return self.name
        return super().declare(nowait=nowait, channel=channel)


def dead_letters() -> Queue:
    """RabbitMQ's queue of dead letters; a quorum queue, so that it loses none either."""
    return Queue(
        DEAD,
        Exchange("billing", type="direct"),
        routing_key=DEAD,
        queue_arguments={"x-queue-type": "quorum"},
    )


def _queue(name: str, *, rabbitmq: bool) -> Queue:
    arguments = {
        # Replicated, on disk before it is confirmed, and the only type that counts deliveries.
        "x-queue-type": "quorum",
        "x-delivery-limit": DELIVERIES_MAX,
        "x-dead-letter-exchange": "",
        "x-dead-letter-routing-key": DEAD,
        # Kept here until the dead letter is stored; needs reject-publish.
        "x-dead-letter-strategy": "at-least-once",
        # A full queue refuses the publisher instead of dropping the oldest payment.
        "x-overflow": "reject-publish",
    }
    return Queue(
        name,
        Exchange("billing", type="direct"),
        routing_key=name,
        durable=True,
        queue_arguments=arguments if rabbitmq else None,
    )


def _redis(broker: Broker, lease_s: float) -> dict[str, Any]:
    # Counts from the fetch, and worker/transport/redis_transport.py renews it while the worker
    # lives. It may be short: delivering a message whose task still runs does no harm, as the row's
    # or the endpoint's lease turns the second one away. And it must be short: if a worker died
    # before it wrote a row, the request is only here, and is back when a lease would have ended.
    # The default, an hour, is how long recovery from a crash would take.
    visibility_timeout_s = lease_s * 4 / 5
    return {
        "broker_transport_options": {
            **broker.with_limits(timeout_s=PUBLISH_TIMEOUT_S),
            "visibility_timeout": visibility_timeout_s,
            # How often to look for abandoned messages; the default makes that 100 s.
            "unacked_restore_interval": lease_s - visibility_timeout_s,
            "unacked_restore_throttle": 1,
            # No limit, the default, waits for ever on a connection that is dead but not closed.
            # Consumers are more patient than these: worker/consumer.py.
            "socket_keepalive": True,
            # Half-open connections are found after twice this and a second.
            "health_check_interval": 10,
            # A publish whose answer is lost must not be sent again behind our back.
            "retry_on_timeout": False,
            "client_name": "billing",
            # No global_keyprefix: producers in other languages LPUSH to `payments`.
        },
        # With several apps on one Redis the shortest counts, also Celery's own copy of it.
        "visibility_timeout": visibility_timeout_s,
    }


def _rabbitmq(broker: Broker) -> dict[str, Any]:
    return {
        # Without confirms a rejected publish looks like a good one (celery#5410). How long a
        # confirm may take is an argument of each publish: worker/task_request.py.
        "broker_transport_options": {**broker.options, "confirm_publish": True},
        "broker_heartbeat": 10,  # a silent connection is closed after twice this
    }
