"""Reconciliations: how far a walk through a processor's records has come, and what it found."""

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, CheckConstraint, Column, Index, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Field, SQLModel

from models.base import big_identity, timestamp


class Reconciliation(SQLModel, table=True):
    """One walk through the records of a period, or of a payout.

    `position` and the records before it are written together, so another process can continue from
    there.
    """

    __tablename__ = "reconciliations"
    __table_args__ = (
        CheckConstraint("(since IS NULL) = (until IS NULL) AND since < until", name="period"),
        CheckConstraint("(since IS NULL) <> (payout_id IS NULL)", name="period_or_payout"),
        CheckConstraint("(finished_at IS NULL) = (found IS NULL)", name="finished_has_found"),
        Index(
            "reconciliations_open_idx",
            "processor",
            postgresql_where=text("finished_at IS NULL"),
        ),
    )

    id: int = big_identity()
    processor: str
    # What is reconciled: `until` is not included.
    since: datetime | None = timestamp()
    until: datetime | None = timestamp()
    payout_id: str | None
    # Which records are read: more than those of the period, as clocks differ.
    read_from: datetime | None = timestamp()
    read_to: datetime | None = timestamp()
    # The last record that was read; NULL = none.
    position: str | None
    records: int = Field(default=0, sa_type=BigInteger, sa_column_kwargs={"server_default": "0"})
    is_read: bool = Field(default=False, sa_column_kwargs={"server_default": "false"})
    started_at: datetime = timestamp(default_now=True, nullable=False)
    moved_on_at: datetime = timestamp(default_now=True, nullable=False)
    finished_at: datetime | None = timestamp()
    # How many there are of each kind of difference, and of what is none.
    found: dict[str, Any] | None = Field(default=None, sa_column=Column(JSONB(none_as_null=True)))


class ReconciledRecord(SQLModel, table=True):
    """A line of the processor's books (`payments.processors.port.Record`), for as long as a
    reconciliation lasts. Nothing in it is about a person."""

    __tablename__ = "reconciled_records"
    __table_args__ = (Index("reconciled_records_object_idx", "reconciliation_id", "object_id"),)

    reconciliation_id: int = Field(sa_type=BigInteger, primary_key=True)
    id: str = Field(primary_key=True)
    reference: str
    kind: str
    state: str
    amount: int = Field(sa_type=BigInteger)
    currency: str
    moved_at: datetime = timestamp(nullable=False)
    # As the processor names it; or by its reference, once all are read.
    object_id: str | None
    fee: int | None = Field(default=None, sa_type=BigInteger)
    net: int | None = Field(default=None, sa_type=BigInteger)
    settlement_currency: str | None
    payout_id: str | None
