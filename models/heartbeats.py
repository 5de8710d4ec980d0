"""When each sweep was last made, for those who watch that somebody sweeps."""

from datetime import datetime

from sqlmodel import Field, SQLModel

from models.base import timestamp


class Heartbeat(SQLModel, table=True):
    __tablename__ = "heartbeats"

    name: str = Field(primary_key=True)
    at: datetime = timestamp(default_now=True, nullable=False)
