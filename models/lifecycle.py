"""What charges and refunds have in common: their state, their lease, their end."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, Index, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Field, SQLModel

from models.base import timestamp


class Lifecycle(SQLModel):
    """Columns that charges and refunds share.

    Once the row exists, only `payments.lifecycle.moving.moves` writes its state and its end.
    `claims` takes leases, and also puts what was queued `in_flight`; `next_attempt_at` and
    `woken_at` are also written by whatever makes a row due, lets it wait, or wakes it.
    """

    id: str = Field(primary_key=True)
    producer: str
    idempotency_key: str
    fingerprint: str
    # The id of the request: X-Request-Id over HTTP, or the id of the message. NULL: made by a
    # command, or before this was recorded.
    request_id: str | None
    # The trace that it belongs to, as its caller names it (W3C Trace Context, `traceparent`).
    traceparent: str | None
    currency: str | None
    metadata_: dict[str, str] = Field(
        default_factory=dict,
        sa_type=JSONB,
        sa_column_kwargs={"name": "metadata", "nullable": False, "server_default": text("'{}'")},
    )

    state: str
    phase: str | None
    # Events of this object so far: the `sequence` that the next one gets is one higher.
    sequence: int = Field(default=0, sa_column_kwargs={"server_default": "0"})
    # Attempts so far, and how many of them in a row ended in the present phase (for backoff).
    attempts: int = Field(default=0, sa_column_kwargs={"server_default": "0"})
    retries: int = Field(default=0, sa_column_kwargs={"server_default": "0"})

    # When it is due; NULL = only an event or a person moves it on.
    next_attempt_at: datetime | None = timestamp()
    # When it was last woken, so that the sweep doesn't wake it again every second.
    woken_at: datetime | None = timestamp()
    # The lease. Every write after the call checks the token (fencing).
    lease_token: UUID | None = Field(default=None)
    lease_expires_at: datetime | None = timestamp()
    leased_at: datetime | None = timestamp()
    worker: str | None
    # The first call under the processor key: the processor's memory of that key counts from here.
    first_called_at: datetime | None = timestamp()

    processor: str
    # Whether that processor moves real money; it may come to do so under the same name.
    livemode: bool = Field(default=False, sa_column_kwargs={"server_default": "false"})
    processor_reference: str | None
    processor_code: str | None
    failure_code: str | None
    failure_message: str | None

    created_at: datetime = timestamp(when_written=True, nullable=False)
    settled_at: datetime | None = timestamp()


# The phases of any pending row.
PHASES = ("queued", "in_flight", "unknown", "awaiting_customer", "needs_review")


def lifecycle_constraints(table: str, *, more_phases: tuple[str, ...] = ()) -> tuple[Any, ...]:
    """The constraints of every row, and the partial indexes that the sweeps read.

    Finished rows are in none of the sweep's indexes: ten million of them cost it nothing.
    """
    return (
        CheckConstraint("state IN ('pending', 'succeeded', 'failed')", name="state"),
        CheckConstraint(f"phase IN {PHASES + more_phases}", name="phase"),
        CheckConstraint("(state = 'pending') = (phase IS NOT NULL)", name="pending_has_phase"),
        CheckConstraint("(state <> 'pending') = (settled_at IS NOT NULL)", name="final_is_settled"),
        CheckConstraint("(state = 'failed') = (failure_code IS NOT NULL)", name="failed_says_why"),
        CheckConstraint("phase <> 'in_flight' OR lease_token IS NOT NULL", name="flight_is_leased"),
        CheckConstraint(
            "(lease_token IS NULL) = (lease_expires_at IS NULL)", name="lease_has_an_end"
        ),
        CheckConstraint("state = 'pending' OR lease_token IS NULL", name="final_is_not_leased"),
        Index(
            f"{table}_due_idx",
            "next_attempt_at",
            postgresql_where=text("state = 'pending' AND lease_token IS NULL"),
        ),
        Index(
            f"{table}_leases_idx",
            "lease_expires_at",
            postgresql_where=text("lease_token IS NOT NULL"),
        ),
        Index(
            f"{table}_review_idx",
            "created_at",
            postgresql_where=text("phase IN ('unknown', 'needs_review')"),
        ),
        Index(f"{table}_created_idx", "created_at", "id"),
        # What ended on a day, for exports.
        Index(
            f"{table}_settled_idx",
            "settled_at",
            "id",
            postgresql_where=text("settled_at IS NOT NULL"),
        ),
        # For finding an object by the id of its request or at the processor. Hash indexes: foreign
        # ids may be long, and are never sorted.
        Index(
            f"{table}_request_idx",
            "request_id",
            postgresql_using="hash",
            postgresql_where=text("request_id IS NOT NULL"),
        ),
        Index(
            f"{table}_processor_reference_idx",
            "processor_reference",
            postgresql_using="hash",
            postgresql_where=text("processor_reference IS NOT NULL"),
        ),
        # Lists of pending and of failed ones: few among ten million that succeeded.
        Index(
            f"{table}_open_created_idx",
            "created_at",
            "id",
            postgresql_where=text("state <> 'succeeded'"),
        ),
    )


def amount_index(table: str) -> Index:
    """For finding an amount, newest first."""
    return Index(f"{table}_amount_idx", "currency", "amount", "created_at")


def words_index(table: str) -> Index:
    """For finding words of metadata, in no order. New entries wait in a list, and the transaction
    that fills it merges them all: some milliseconds' work for a short list."""
    return Index(
        f"{table}_words_idx",
        text("jsonb_to_tsvector('simple'::regconfig, metadata, '[\"string\"]'::jsonb)"),
        postgresql_using="gin",
        postgresql_with={"gin_pending_list_limit": 256},
        postgresql_where=text("metadata <> '{}'::jsonb"),
    )
