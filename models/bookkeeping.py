"""The ledger: postings from account to account, and the seals that protect them."""

from datetime import date, datetime
from enum import IntEnum

from sqlalchemy import BigInteger, CheckConstraint, Identity, Index, SmallInteger
from sqlmodel import Field, SQLModel

from models.base import Timestamp, timestamp


class Account(IntEnum):
    """The accounts of a book, by the numbers under which they are stored."""

    # Customers: what they paid is on the credit side, what they got back on the debit side.
    CUSTOMER = 1
    # Our money at the processor, by its own answers.
    CLEARING = 2
    # Money that may have moved, with an unknown outcome.
    IN_TRANSIT = 3
    # Fees of processors.
    FEES = 4
    # Money that banks have taken back for now.
    DISPUTES = 5
    # Money to be returned to customers.
    REFUNDS_PAYABLE = 6
    # Money converted from one currency into another.
    EXCHANGE = 7
    # Payouts of the processor to us.
    BANK = 8


class LedgerBook(SQLModel, table=True):
    """The accounts of one producer, at one processor, in one currency.

    Its id is derived from the other columns, so that a posting needs no lookup.
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
        # The postings of a day, for reports and exports.
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
    # The effective time: that of the move.
    effective_at: datetime = timestamp(nullable=False)
    amount: int = Field(sa_type=BigInteger)
    # No foreign key: looked up for every row, for what is never deleted.
    book: int = Field(sa_type=BigInteger)
    debit: int = Field(sa_type=SmallInteger)
    credit: int = Field(sa_type=SmallInteger)
    # The object that moved: a charge, a refund, a dispute or a payout.
    object_id: str


class LedgerSeal(SQLModel, table=True):
    """The postings from the previous seal up to `until`, exclusive; closed.

    A seal ends at the end of an hour, or before that if there are many postings.
    """

    __tablename__ = "ledger_seals"

    until: datetime = Field(sa_type=Timestamp, primary_key=True)
    postings: int = Field(sa_type=BigInteger)
    # SHA-256 of the hash before it and of these postings, in hexadecimal.
    hash: str
    sealed_at: datetime = timestamp(default_now=True, nullable=False)


class LedgerBalance(SQLModel, table=True):
    """The balance of an account at the end of a seal in which it had postings."""

    __tablename__ = "ledger_balances"

    book: int = Field(
        sa_type=BigInteger, primary_key=True, sa_column_kwargs={"autoincrement": False}
    )
    account: int = Field(
        sa_type=SmallInteger, primary_key=True, sa_column_kwargs={"autoincrement": False}
    )
    until: datetime = Field(sa_type=Timestamp, primary_key=True)
    # Debits less credits, in minor units; and the total number of its entries.
    balance: int = Field(sa_type=BigInteger)
    version: int = Field(sa_type=BigInteger)


class LedgerDay(SQLModel, table=True):
    """The total of a day (UTC) for an account of a book, for objects of one kind, by the effective
    time of postings: of those that are sealed and counted (`LedgerDaysCounted`)."""

    __tablename__ = "ledger_days"

    day: date = Field(primary_key=True)
    book: int = Field(
        sa_type=BigInteger, primary_key=True, sa_column_kwargs={"autoincrement": False}
    )
    # `ch_`, `re_`, `dp_` or `po_`: the prefix of the kind's ids.
    kind: str = Field(primary_key=True)
    account: int = Field(
        sa_type=SmallInteger, primary_key=True, sa_column_kwargs={"autoincrement": False}
    )
    # Debits less credits, in minor units.
    amount: int = Field(sa_type=BigInteger)


class LedgerDaysCounted(SQLModel, table=True):
    """The one row that says up to which seal postings are counted in `ledger_days`."""

    __tablename__ = "ledger_days_counted"

    until: datetime = Field(sa_type=Timestamp, primary_key=True)


class LedgerFilling(SQLModel, table=True):
    """A walk over a table with rows older than the ledger, posting what they lack."""

    __tablename__ = "ledger_filling"

    # The table's.
    name: str = Field(primary_key=True)
    # The last id that was read.
    walked: str = Field(default="", sa_column_kwargs={"server_default": ""})
    started_at: datetime = timestamp(default_now=True, nullable=False)
    finished_at: datetime | None = timestamp()
