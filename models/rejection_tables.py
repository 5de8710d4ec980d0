"""What could not be accepted: refused requests, and messages that were not requests."""

from datetime import datetime
from typing import Any

from sqlalchemy import Column, Index, LargeBinary, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Field, SQLModel

from models.base import big_identity, timestamp


class RejectedRequest(SQLModel, table=True):
    """A well-formed message whose request was refused. Published by a `request.rejected`
    webhook."""

    __tablename__ = "rejected_requests"
    __table_args__ = (
        Index("rejected_requests_key_idx", "producer", "idempotency_key"),
        # What the sweep of old ones reads.
        Index("rejected_requests_created_idx", "created_at"),
    )

    id: str = Field(primary_key=True)
    task: str
    task_id: str | None
    producer: str | None
    idempotency_key: str | None
    # The id that the request would have had, if its key was readable.
    object_id: str | None = Field(default=None, index=True)
    # Set if the request could be read; not if its text was refused.
    fingerprint: str | None
    code: str
    param: str | None
    detail: str
    # Redacted: names that read as names, values that look harmless (payments/redaction.py).
    request: dict[str, Any] = Field(sa_column=Column(JSONB, nullable=False))
    created_at: datetime = timestamp(default_now=True, nullable=False)


class QuarantinedMessage(SQLModel, table=True):
    """A message so broken that it isn't a task; kept for a person to look at, without card data."""

    __tablename__ = "quarantined_messages"
    __table_args__ = (
        Index("quarantined_messages_unseen_idx", "id", postgresql_where=text("masked IS NULL")),
        # What the sweep of old ones reads: those that a person was done with.
        Index(
            "quarantined_messages_released_idx",
            "released_at",
            postgresql_where=text("released_at IS NOT NULL"),
        ),
    )

    id: int = big_identity()
    queue: str
    reason: str
    # The hash of the kept part.
    sha256: str = Field(index=True)
    size: int
    raw: bytes = Field(sa_column=Column(LargeBinary, nullable=False))
    headers: dict[str, Any] | None = Field(default=None, sa_column=Column(JSONB))
    # Whether card data was masked in it (payments/intake/masking.py); null: not checked yet.
    masked: bool | None
    created_at: datetime = timestamp(default_now=True, nullable=False)
    # When it was closed: sent for another try, or dismissed for this reason.
    released_at: datetime | None = timestamp()
    dismissed_why: str | None
