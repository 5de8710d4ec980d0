"""Webhook endpoints, what is to be delivered to them, and every try to do so."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    ForeignKey,
    Identity,
    Index,
    String,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY
from sqlmodel import Field, SQLModel

from models.base import timestamp


class WebhookEndpoint(SQLModel, table=True):
    __tablename__ = "webhook_endpoints"
    __table_args__ = (
        CheckConstraint("state IN ('enabled', 'disabled', 'deleted')", name="state"),
        # A deleted one stays, for its deliveries are history; its secrets don't.
        CheckConstraint("(cardinality(secrets) = 0) = (state = 'deleted')", name="has_a_secret"),
        CheckConstraint("(state = 'deleted') = (deleted_at IS NOT NULL)", name="deleted_at"),
        CheckConstraint("max_in_flight > 0", name="max_in_flight_positive"),
    )

    id: str = Field(primary_key=True)
    # Whose events it is told; NULL = those of all producers.
    producer: str | None
    url: str
    description: str | None
    # Empty = every type but the `.pending` ones, which must be asked for by name.
    event_types: list[str] = Field(
        sa_column=Column(ARRAY(String), nullable=False, server_default=text("'{}'"))
    )
    # `whsec_…`, newest first; more than one while a secret rotates.
    secrets: list[str] = Field(sa_column=Column(ARRAY(String), nullable=False))
    # Until then the older ones sign, too; afterwards only the newest does.
    older_secrets_until: datetime | None = timestamp()
    state: str = Field(default="enabled", sa_column_kwargs={"server_default": "enabled"})
    max_in_flight: int = Field(default=16, sa_column_kwargs={"server_default": "16"})
    # The one drainer that posts to this endpoint now.
    drain_token: UUID | None
    drain_expires_at: datetime | None = timestamp()
    # When a drainer was last told to come.
    woken_at: datetime | None = timestamp()
    # Every event since then that it asks for has a delivery. It is the moment when the endpoint was
    # added, last enabled after being disabled, or last given other event types.
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
            "next_attempt_at",
            postgresql_where=text("state = 'pending'"),
        ),
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
    state: str = Field(default="pending", sa_column_kwargs={"server_default": "pending"})
    attempts: int = Field(default=0, sa_column_kwargs={"server_default": "0"})
    # How many of them were before the last replay: the schedule begins anew with it.
    attempts_before: int = Field(default=0, sa_column_kwargs={"server_default": "0"})
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
    # Why there is no status code: a word of `payments.webhooks.post` such as `timeout`.
    error: str | None
    remote_ip: str | None
    response_body: str | None = Field(default=None, sa_type=Text)
