"""An event: a published fact, with the exact bytes that are signed and sent."""

from datetime import datetime

from sqlalchemy import BigInteger, Identity, Index, Text, UniqueConstraint, text
from sqlmodel import Field, SQLModel

from models.base import timestamp


class Event(SQLModel, table=True):
    """Append-only, written in the transaction that makes it true."""

    __tablename__ = "events"
    __table_args__ = (
        UniqueConstraint("object_id", "sequence"),
        # A producer's own part of the feed.
        Index(
            "events_producer_position_idx",
            "producer",
            "position",
            postgresql_where=text("producer IS NOT NULL"),
        ),
    )

    id: str = Field(primary_key=True)
    # Position in the feed. Commits may become visible out of this order.
    position: int = Field(
        default=None,
        sa_type=BigInteger,
        unique=True,
        sa_column_kwargs={"server_default": Identity(always=True)},
    )
    type: str
    object_id: str
    # The owner: a producer's name; `*` = everyone, for the catalogue; NULL = only callers that may
    # see all producers' objects.
    producer: str | None
    # Counts the events of one object from 1, so that a receiver can order them and find gaps.
    sequence: int
    body: str = Field(sa_type=Text)
    created_at: datetime = timestamp(default_now=True, nullable=False)
