"""What was asked for once under a key and makes no object with an id of that key."""

from datetime import datetime
from typing import Any

from sqlalchemy import Column, Index
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Field, SQLModel

from models.base import timestamp


class RequestMade(SQLModel, table=True):
    """A request and what was answered, for its repeats. A secret is in no answer."""

    __tablename__ = "requests_made"
    # What the sweep of old ones reads.
    __table_args__ = (Index("requests_made_created_idx", "created_at"),)

    # Made of the producer, the operation and the key.
    id: str = Field(primary_key=True)
    producer: str
    idempotency_key: str
    operation: str
    fingerprint: str
    # NULL while the transaction that makes it is open.
    answer: dict[str, Any] | None = Field(default=None, sa_column=Column(JSONB(none_as_null=True)))
    created_at: datetime = timestamp(default_now=True, nullable=False)
