"""The ledger: which money went from which account to which, and the seals that keep it so."""

from datetime import date, datetime
from enum import IntEnum

from sqlalchemy import BigInteger, CheckConstraint, Identity, Index, SmallInteger
from sqlmodel import Field, SQLModel

from models.base import Timestamp, timestamp


class Account(IntEnum):
    """The accounts of a book, by the numbers under which they are kept."""

    # Those who pay: what they paid stands on its credit side, what they got back on its debit side.
    CUSTOMER = 1
    # What the processor has of ours, by all that it said.
    CLEARING = 2
    # What may have moved, and nobody knows.
    IN_TRANSIT = 3
    # What processors keep.
    FEES = 4
    # What banks have taken back for now.
    DISPUTES = 5
    # What is to go back to customers, and has not yet.
    REFUNDS_PAYABLE = 6
    # What was changed from one currency into another.
    EXCHANGE = 7
    # What the processor paid out to us.
    BANK = 8


class LedgerBook(SQLModel, table=True):
    """The accounts of one producer, at one processor, in one currency.

    Its id is made of the other columns, so that who writes into it need not look it up.
    """

    __tablename__ = "ledger_books"

    id: int = Field(sa_type=BigInteger, primary_key=True, sa_column_kwargs={"autoincrement": False})
    producer: str
    processor: str
    currency: str
    livemode: bool


class LedgerPosting(SQLModel, table=True):
    """An amount that goes from the account `credit` to the account `debit` of a book.

    One row is both entries, so that no transaction can be out of balance; the view
    `ledger_entries` shows them as two. Append-only: the database refuses any change.
    """

    __tablename__ = "ledger_postings"
    __table_args__ = (
        CheckConstraint("amount > 0", name="amount_positive"),
        CheckConstraint("debit <> credit", name="two_accounts"),
        Index("ledger_postings_object_idx", "object_id", postgresql_using="hash"),
        # What counts on a day: reports and exports.
        Index("ledger_postings_effective_idx", "effective_at", "id"),
    )

    # When it was written, which is never before the end of the last seal.
    at: datetime = Field(sa_type=Timestamp, primary_key=True)
    id: int = Field(
        default=None,
        sa_type=BigInteger,
        primary_key=True,
        sa_column_kwargs={"server_default": Identity(always=True)},
    )
    # The moment at which it counts: that of the move.
    effective_at: datetime = timestamp(nullable=False)
    amount: int = Field(sa_type=BigInteger)
    # No foreign key: looked up for every row, for what is never deleted.
    book: int = Field(sa_type=BigInteger)
    debit: int = Field(sa_type=SmallInteger)
    credit: int = Field(sa_type=SmallInteger)
    # What moved: a charge, a refund, a dispute or a payout.
    object_id: str


class LedgerSeal(SQLModel, table=True):
    """The postings from the seal before this one up to `until`, which is not included; closed.

    A seal ends at the end of an hour, or before that when there are many postings.
    """

    __tablename__ = "ledger_seals"

    until: datetime = Field(sa_type=Timestamp, primary_key=True)
    postings: int = Field(sa_type=BigInteger)
    # SHA-256 of the hash before it and of these postings, in hexadecimal.
    hash: str
    sealed_at: datetime = timestamp(default_now=True, nullable=False)


class LedgerBalance(SQLModel, table=True):
    """What an account came to at the end of a seal in which something was posted to it."""

    __tablename__ = "ledger_balances"

    book: int = Field(
        sa_type=BigInteger, primary_key=True, sa_column_kwargs={"autoincrement": False}
    )
    account: int = Field(
        sa_type=SmallInteger, primary_key=True, sa_column_kwargs={"autoincrement": False}
    )
    until: datetime = Field(sa_type=Timestamp, primary_key=True)
    # Debits less credits, in minor units; and how many entries it has had in all.
    balance: int = Field(sa_type=BigInteger)
    version: int = Field(sa_type=BigInteger)


class LedgerDay(SQLModel, table=True):
    """What a day of UTC brought to an account of a book, of objects of one kind, by the moment at
    which postings count: of those that are sealed and counted (`LedgerDaysCounted`)."""

    __tablename__ = "ledger_days"

    day: date = Field(primary_key=True)
    book: int = Field(
        sa_type=BigInteger, primary_key=True, sa_column_kwargs={"autoincrement": False}
    )
    # `ch_`, `re_`, `dp_` or `po_`: how ids of the kind begin.
    kind: str = Field(primary_key=True)
    account: int = Field(
        sa_type=SmallInteger, primary_key=True, sa_column_kwargs={"autoincrement": False}
    )
    # Debits less credits, in minor units.
    amount: int = Field(sa_type=BigInteger)


class LedgerDaysCounted(SQLModel, table=True):
    """The one row that tells up to which seal postings are counted in `ledger_days`."""

    __tablename__ = "ledger_days_counted"

    until: datetime = Field(sa_type=Timestamp, primary_key=True)


class LedgerFilling(SQLModel, table=True):
    """A walk over a table whose rows were there before the ledger was, writing what they lack."""

    __tablename__ = "ledger_filling"

    # The table's.
    name: str = Field(primary_key=True)
    # The last id that was looked at.
    walked: str = Field(default="", sa_column_kwargs={"server_default": ""})
    started_at: datetime = timestamp(default_now=True, nullable=False)
    finished_at: datetime | None = timestamp()
