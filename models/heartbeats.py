"""The installation itself: its name, when each sweep was last made, and how far some have come."""

from datetime import datetime

from sqlalchemy import BigInteger, CheckConstraint
from sqlmodel import Field, SQLModel

from models.base import timestamp


class Heartbeat(SQLModel, table=True):
    """A sweep that was made, for those who watch that somebody sweeps."""

    __tablename__ = "heartbeats"

    name: str = Field(primary_key=True)
    at: datetime = timestamp(default_now=True, nullable=False)


class Installation(SQLModel, table=True):
    """One row, made when it is first asked for. Its name never changes once it was used: what
    stands at a processor under another one would not be found."""

    __tablename__ = "installation"
    __table_args__ = (CheckConstraint("one", name="is_one"),)

    one: bool = Field(default=True, primary_key=True)
    name: str
    # What was sent for the first time before then carries no name: it was sent, or may have been,
    # by a version that knew of none.
    named_from: datetime = timestamp(nullable=False)
    used_at: datetime | None = timestamp()


class Retention(SQLModel, table=True):
    """A walk over a table whose key counts up, deleting what has been kept for its time."""

    __tablename__ = "retention"

    # The table's.
    name: str = Field(primary_key=True)
    # How far this walk has come, and where it ends; NULL = there is none now.
    walked: int = Field(default=0, sa_type=BigInteger, sa_column_kwargs={"server_default": "0"})
    through: int | None = Field(default=None, sa_type=BigInteger)
    # When the last one ended.
    rested_at: datetime | None = timestamp()
    # The last key that was deleted, and when its row was written: what is behind both is all there.
    gone: int = Field(default=0, sa_type=BigInteger, sa_column_kwargs={"server_default": "0"})
    gone_before: datetime | None = timestamp()
