"""Webhook endpoints, their deliveries, and every attempt to make them."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    ForeignKey,
    Identity,
    Index,
    Integer,
    String,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlmodel import Field, SQLModel

from infra.billing.contract.limits import IN_FLIGHT
from models.base import timestamp


class WebhookEndpoint(SQLModel, table=True):
    __tablename__ = "webhook_endpoints"
    __table_args__ = (
        CheckConstraint("state IN ('enabled', 'disabled', 'deleted')", name="state"),
        # A deleted one stays, for its deliveries are history; its secrets don't.
        CheckConstraint("(cardinality(secrets) = 0) = (state = 'deleted')", name="has_a_secret"),
        CheckConstraint("(state = 'deleted') = (deleted_at IS NOT NULL)", name="deleted_at"),
        CheckConstraint("max_in_flight > 0", name="max_in_flight_positive"),
        CheckConstraint(
            "held_back_because IN ('retry_after', 'failing', 'gone', 'local_fault')"
            " AND (held_back_because IS NULL) = (held_back_until IS NULL)",
            name="held_back_because",
        ),
        CheckConstraint("(local_fault IS NULL) = (local_fault_at IS NULL)", name="local_fault_at"),
        CheckConstraint("disabled_because IN ('gone', 'failing')", name="disabled_because"),
        CheckConstraint(
            "cardinality(header_names) = cardinality(header_values)", name="headers_are_whole"
        ),
        CheckConstraint("rate_limit > 0", name="rate_limit_positive"),
        CheckConstraint(
            "cardinality(retry_schedule) > 0 AND 0 < ALL (retry_schedule)", name="retry_schedule"
        ),
        CheckConstraint("ordered IN ('strict', 'relaxed')", name="ordered"),
        CheckConstraint("trace_context IN ('off', 'forward')", name="trace_context"),
    )

    id: str = Field(primary_key=True)
    # The producer whose events it gets; NULL = those of all producers.
    producer: str | None
    # Without user and password: those are sealed, as `user:password`.
    url: str
    url_credentials: str | None
    description: str | None
    # Empty = every type but the `.pending` ones, which must be asked for by name.
    event_types: list[str] = Field(
        sa_column=Column(ARRAY(String), nullable=False, server_default=text("'{}'"))
    )
    # Newest first; more than one while a secret rotates. Sealed (payments/webhooks/sealed.py), or
    # `whsec_…` as versions before that wrote it, until a sweep comes by.
    secrets: list[str] = Field(sa_column=Column(ARRAY(String), nullable=False))
    # Until then the older ones sign, too; afterwards only the newest does.
    older_secrets_until: datetime | None = timestamp()
    state: str = Field(default="enabled", sa_column_kwargs={"server_default": "enabled"})
    max_in_flight: int = Field(
        default=IN_FLIGHT, sa_column_kwargs={"server_default": str(IN_FLIGHT)}
    )
    # Custom headers of every webhook. The values are credentials and never shown. Both are in the
    # same order.
    header_names: list[str] = Field(
        sa_column=Column(ARRAY(String), nullable=False, server_default=text("'{}'"))
    )
    header_values: list[str] = Field(
        sa_column=Column(ARRAY(String), nullable=False, server_default=text("'{}'"))
    )
    # Webhooks per second; NULL = no limit.
    rate_limit: int | None
    # Seconds between one try and the next; NULL = those of Standard Webhooks.
    retry_schedule: list[int] | None = Field(sa_column=Column(ARRAY(Integer)))
    # `strict`: what happened to one object arrives in order, however long that takes.
    ordered: str = Field(default="relaxed", sa_column_kwargs={"server_default": "relaxed"})
    # `forward`: webhooks have the `traceparent` of the request that their object came from.
    trace_context: str = Field(default="off", sa_column_kwargs={"server_default": "off"})
    # With a rate limit: when the next webhook may be sent.
    next_post_at: datetime | None = timestamp()
    # The one drainer that posts to this endpoint now.
    drain_token: UUID | None
    drain_expires_at: datetime | None = timestamp()
    # Whether it could begin no more posts, so that it need not be notified.
    drain_is_full: bool = Field(default=False, sa_column_kwargs={"server_default": text("false")})
    # Whether it is notified without the broker (NOTIFY), so that no message is needed.
    drain_is_listening: bool = Field(
        default=False, nullable=False, sa_column_kwargs={"server_default": text("false")}
    )
    # Its last hundred attempts, the newest first: the duration of each in ms; for a failed one, -1
    # less that. So its health is known without reading its attempts.
    recent_ms: list[int] = Field(
        sa_column=Column(ARRAY(Integer), nullable=False, server_default=text("'{}'"))
    )
    last_success_at: datetime | None = timestamp()
    # When the sweep last woke a drainer; NULL once one has come.
    woken_at: datetime | None = timestamp()
    # The number of the delivery that was last claimed for the first time. The drainer counts, so
    # that no transaction that publishes waits for this row.
    last_sequence: int = Field(
        default=0, sa_type=BigInteger, nullable=False, sa_column_kwargs={"server_default": "0"}
    )
    # Until when nothing is posted to it, and why: it asked for a pause, most attempts fail, it is
    # gone, or there is a fault on our side.
    held_back_until: datetime | None = timestamp()
    held_back_because: str | None
    # The fault on our side when something was last to be posted to it, and when that was; NULL once
    # anything was posted. A word of `payments.webhooks.pacing.local_words.LOCAL`.
    local_fault: str | None
    local_fault_at: datetime | None = timestamp()
    # How often in a row it was held back because most attempts failed; 0 once something is
    # accepted.
    back_offs: int = Field(default=0, sa_column_kwargs={"server_default": "0"})
    # Attempts, and how many of them failed, in some minutes that began with a failure.
    counted_since: datetime | None = timestamp()
    counted: int = Field(default=0, sa_column_kwargs={"server_default": "0"})
    counted_failed: int = Field(default=0, sa_column_kwargs={"server_default": "0"})
    # Since the first failure after the last success; and below, when the other endpoints were
    # warned of it.
    failing_since: datetime | None = timestamp()
    # Whether a webhook has used up all its attempts since then.
    has_given_up: bool = Field(default=False, sa_column_kwargs={"server_default": text("false")})
    warned_at: datetime | None = timestamp()
    # Why it was disabled, if not by a person: it answered 410, or failed for days.
    disabled_because: str | None
    # Every event since then that it subscribes to has a delivery. It is the moment when the
    # endpoint was added, last enabled after being disabled, or last given other event types.
    subscribed_at: datetime = timestamp(default_now=True, nullable=False)
    created_at: datetime = timestamp(default_now=True, nullable=False)
    deleted_at: datetime | None = timestamp()


class Delivery(SQLModel, table=True):
    """One event for one endpoint. Waits at `next_attempt_at` until it is delivered or given up."""

    __tablename__ = "deliveries"
    __table_args__ = (
        UniqueConstraint("event_id", "endpoint_id"),
        CheckConstraint("state IN ('pending', 'delivered', 'exhausted')", name="state"),
        Index(
            "deliveries_due_idx",
            "endpoint_id",
            "is_replay",
            "next_attempt_at",
            postgresql_where=text("state = 'pending'"),
        ),
        # The unfinished deliveries of one object at one endpoint, in order. Each of these two
        # indexes serves questions that the other can't: the object comes first here, and
        # "unfinished" is said in other words than "pending", though it is the same. While nothing
        # waits, both are empty and cost the same; a plan made then with the wrong one would read,
        # for each delivery of a batch, all that waits at its endpoint after an outage.
        Index(
            "deliveries_unfinished_idx",
            "object_id",
            "endpoint_id",
            "object_sequence",
            postgresql_where=text("finished_at IS NULL"),
        ),
        Index(
            "deliveries_sequence_key",
            "endpoint_id",
            "sequence",
            unique=True,
            postgresql_where=text("sequence IS NOT NULL"),
        ),
        # Lists of one endpoint, by state or merged from all states. Not by `state` itself: a drain
        # with statistics from before an outage would use this index.
        Index("deliveries_listed_idx", text("upper(state)"), "endpoint_id", "created_at", "id"),
    )

    id: int = Field(
        default=None,
        primary_key=True,
        sa_type=BigInteger,
        sa_column_kwargs={"server_default": Identity(always=True)},
    )
    event_id: str = Field(sa_column=Column(ForeignKey("events.id"), nullable=False))
    endpoint_id: str = Field(
        sa_column=Column(ForeignKey("webhook_endpoints.id", ondelete="CASCADE"), nullable=False)
    )
    # Copied from its event: the object, and the event's number for it. NULL = a ping, or finished
    # before this was recorded: it waits for nothing, and nothing waits for it.
    object_id: str | None
    object_sequence: int | None
    # Its number among those of the endpoint, from 1 and without a gap, in the order in which they
    # were first claimed; for ever the same. NULL = not claimed yet, or finished before there were
    # numbers.
    sequence: int | None = Field(default=None, sa_type=BigInteger)
    state: str = Field(default="pending", sa_column_kwargs={"server_default": "pending"})
    attempts: int = Field(default=0, sa_column_kwargs={"server_default": "0"})
    # Attempts before the last replay: the schedule begins anew with it.
    attempts_before: int = Field(default=0, sa_column_kwargs={"server_default": "0"})
    # Why it is due, if not by the schedule: `replay`, `manual` or `ping`.
    trigger: str | None
    # Replayed, again or for the first time: it comes after new deliveries.
    is_replay: bool = Field(
        default=False, nullable=False, sa_column_kwargs={"server_default": text("false")}
    )
    # The delivery of an earlier event of the same object that goes first. `next_attempt_at` is when
    # it is checked in any case.
    waits_for: int | None = Field(default=None, sa_type=BigInteger)
    next_attempt_at: datetime | None = timestamp(default_now=True)
    created_at: datetime = timestamp(default_now=True, nullable=False)
    finished_at: datetime | None = timestamp()


class DeliveryAttempt(SQLModel, table=True):
    """Append-only: one POST and its answer."""

    __tablename__ = "delivery_attempts"

    delivery_id: int = Field(
        sa_column=Column(
            BigInteger, ForeignKey("deliveries.id", ondelete="CASCADE"), primary_key=True
        )
    )
    number: int = Field(primary_key=True)
    started_at: datetime = timestamp(nullable=False)
    duration_ms: int
    status_code: int | None
    # Why there is no status code: a word of `payments.webhooks.targets.target_port` such as
    # `timeout`. Neither: a queue took it.
    error: str | None
    remote_ip: str | None
    response_body: str | None = Field(default=None, sa_type=Text)
    # What caused it: `scheduled`, `replay`, `manual` or `ping`; NULL from before this was recorded.
    trigger: str | None
    # The durations of its phases (`payments.webhooks.records.phases`).
    dns_ms: int | None
    connect_ms: int | None
    tls_ms: int | None
    first_byte_ms: int | None
    # Those that may be kept (`payments.webhooks.records.kept_headers`).
    response_headers: dict[str, str] | None = Field(default=None, sa_type=JSONB(none_as_null=True))
