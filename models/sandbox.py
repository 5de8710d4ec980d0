"""The sandbox processor's own books: its requests, its movements, its events.

None of our code decides anything by them. They are the processor's own account, and `billing
verify` compares our tables with it.
"""

from datetime import datetime

from sqlalchemy import BigInteger, CheckConstraint, Index, Text, text
from sqlmodel import Field, SQLModel

from models.base import big_identity, timestamp


class SandboxRequest(SQLModel, table=True):
    """The request under one idempotency key, and its state: the memory of keys.

    `open` means that nothing was executed: every call so far was refused or got lost. `canceled`
    means that nothing was executed and nothing will be, whatever still arrives.
    """

    __tablename__ = "sandbox_requests"
    __table_args__ = (
        CheckConstraint("kind IN ('charge', 'capture', 'refund')", name="kind"),
        CheckConstraint(
            "status IN ('open', 'pending', 'authorized', 'succeeded', 'declined', 'canceled')",
            name="status",
        ),
        CheckConstraint(
            "status <> 'authorized' OR (capture = 'manual' AND capture_before IS NOT NULL)",
            name="authorized_has_an_end",
        ),
        CheckConstraint("0 <= captured AND captured <= amount", name="captured_within_amount"),
        CheckConstraint("(status = 'open') = (reference IS NULL)", name="executed_has_reference"),
        CheckConstraint("(status = 'declined') = (code IS NOT NULL)", name="declined_says_why"),
        CheckConstraint("(turns_at IS NULL) = (turns_to IS NULL)", name="turn_is_whole"),
        # Rows that will change by themselves, and refunds that will still count against a charge.
        Index(
            "sandbox_requests_turns_idx", "turns_at", postgresql_where=text("turns_at IS NOT NULL")
        ),
        Index(
            "sandbox_requests_pending_refunds_idx",
            "charge_id",
            postgresql_where=text("kind = 'refund' AND status = 'pending'"),
        ),
    )

    key: str = Field(primary_key=True)
    object_id: str
    kind: str
    # The charge itself, or the one to capture or refund.
    charge_id: str
    fingerprint: str
    amount: int = Field(sa_type=BigInteger)
    currency: str
    payment_method_id: str | None
    # For a charge: `manual` if it is only authorized at first, how much was captured since, and
    # until when it can be.
    capture: str = Field(default="automatic", sa_column_kwargs={"server_default": "automatic"})
    captured: int = Field(default=0, sa_type=BigInteger, sa_column_kwargs={"server_default": "0"})
    capture_before: datetime | None = timestamp()
    reference: str | None
    status: str
    # Our code for a decline; and the sandbox's own, which also says what a pending one waits for.
    code: str | None
    processor_code: str | None
    # How often the key was sent: more than one call with one movement is idempotency at work.
    calls: int = Field(default=1, sa_column_kwargs={"server_default": "1"})
    # How often it was asked to cancel it.
    cancels: int = Field(default=0, sa_column_kwargs={"server_default": "0"})
    # Its next status by itself, and when: a late success, a refund that the bank returns.
    turns_at: datetime | None = timestamp()
    turns_to: str | None
    # The memory of the key counts from here.
    created_at: datetime = timestamp(default_now=True, nullable=False)


class SandboxMovement(SQLModel, table=True):
    """Append-only: money that moved. The outside witness.

    Nothing here is unique but the row's own number, on purpose: a witness that can't write down
    a double movement could not testify that there was none.
    """

    __tablename__ = "sandbox_ledger"
    __table_args__ = (
        CheckConstraint(
            "direction IN ('charge', 'capture', 'refund', 'reversal')", name="direction"
        ),
        CheckConstraint("amount > 0", name="amount_positive"),
        Index("sandbox_ledger_charge_idx", "charge_id"),
        # Those of a charge are found by charge_id.
        Index(
            "sandbox_ledger_refund_idx", "object_id", postgresql_where=text("direction <> 'charge'")
        ),
    )

    id: int = big_identity()
    object_id: str
    charge_id: str
    reference: str
    # `charge`, `capture`: from the customer to us; `refund`: back; `reversal`: a refund that came
    # back to us.
    direction: str
    amount: int = Field(sa_type=BigInteger)
    currency: str
    moved_at: datetime = timestamp(default_now=True, nullable=False)


class SandboxEvent(SQLModel, table=True):
    """An event of the sandbox, as the bytes that are signed when they are fetched."""

    __tablename__ = "sandbox_events"
    __table_args__ = (
        Index(
            "sandbox_events_offers_idx",
            "next_offer_at",
            postgresql_where=text("next_offer_at IS NOT NULL"),
        ),
    )

    id: int = big_identity()
    object_id: str
    body: str = Field(sa_type=Text)
    offers: int = Field(default=0, sa_column_kwargs={"server_default": "0"})
    # NULL = offered often enough.
    next_offer_at: datetime | None = timestamp(default_now=True)
    created_at: datetime = timestamp(default_now=True, nullable=False)
