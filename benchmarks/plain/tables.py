"""The plain way's tables: a charge, its event, and the record of its delivery."""

from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

from sqlalchemy import JSON, Column, DateTime, MetaData
from sqlmodel import Field, SQLModel


def _id(prefix: str) -> str:
    return f"{prefix}_{uuid4().hex}"


def _now() -> datetime:
    return datetime.now(UTC)


class Table(SQLModel):
    metadata = MetaData()  # its own, so that it never mixes with another's tables


class Charge(Table, table=True):
    id: str = Field(default_factory=lambda: _id("ch"), primary_key=True)
    producer: str | None = None
    idempotency_key: str = Field(unique=True)
    amount: int
    currency: str
    customer_id: str | None = None
    payment_method_id: str | None = None
    description: str | None = None
    details: dict[str, Any] = Field(default_factory=dict, sa_column=Column(JSON))
    state: str = "pending"
    processor_reference: str | None = None
    created_at: datetime = Field(default_factory=_now, sa_type=DateTime(timezone=True))
    settled_at: datetime | None = Field(default=None, sa_type=DateTime(timezone=True))


class Event(Table, table=True):
    id: str = Field(default_factory=lambda: _id("evt"), primary_key=True)
    charge_id: str = Field(foreign_key="charge.id", index=True)
    type: str
    body: dict[str, Any] = Field(sa_column=Column(JSON))
    created_at: datetime = Field(default_factory=_now, sa_type=DateTime(timezone=True))


class Endpoint(Table, table=True):
    id: str = Field(default_factory=lambda: _id("we"), primary_key=True)
    url: str
    secret: str


class Delivery(Table, table=True):
    id: str = Field(default_factory=lambda: _id("del"), primary_key=True)
    event_id: str = Field(foreign_key="event.id", index=True)
    endpoint_id: str = Field(foreign_key="endpoint.id")
    status: int
    delivered_at: datetime = Field(default_factory=_now, sa_type=DateTime(timezone=True))
