"""The installation itself: its name, when each sweep was last made, and how far some have come."""

from datetime import datetime

from sqlalchemy import BigInteger, CheckConstraint
from sqlmodel import Field, SQLModel

from models.base import timestamp


class Heartbeat(SQLModel, table=True):
    """The last run of a sweep, for monitoring."""

    __tablename__ = "heartbeats"

    name: str = Field(primary_key=True)
    at: datetime = timestamp(default_now=True, nullable=False)


class Installation(SQLModel, table=True):
    """One row, created on first use. Its name never changes once it was used: objects at a
    processor under another name would not be found."""

    __tablename__ = "installation"
    __table_args__ = (CheckConstraint("one", name="is_one"),)

    one: bool = Field(default=True, primary_key=True)
    name: str
    # What was first sent before then carries no name, as a version without names sent it, or may
    # have.
    named_from: datetime = timestamp(nullable=False)
    used_at: datetime | None = timestamp()


class Retention(SQLModel, table=True):
    """A walk over a table by its ascending key, deleting what is past its retention time."""

    __tablename__ = "retention"

    # The table's.
    name: str = Field(primary_key=True)
    # How far this walk has come, and where it ends; NULL = there is none now.
    walked: int = Field(default=0, sa_type=BigInteger, sa_column_kwargs={"server_default": "0"})
    through: int | None = Field(default=None, sa_type=BigInteger)
    # When the last one ended.
    rested_at: datetime | None = timestamp()
    # The last key that was deleted, and when its row was written: everything after both is
    # complete.
    gone: int = Field(default=0, sa_type=BigInteger, sa_column_kwargs={"server_default": "0"})
    gone_before: datetime | None = timestamp()
