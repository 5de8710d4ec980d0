"""A charge: money to be taken, once, as a producer requested; its captures and its disputes."""

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, CheckConstraint, Column, Index, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Field, SQLModel

from infra.billing.contract.public_states import DisputeState
from models.base import timestamp
from models.lifecycle import Lifecycle, amount_index, lifecycle_constraints, words_index


class Charge(Lifecycle, table=True):
    __tablename__ = "charges"
    __table_args__ = (
        *lifecycle_constraints("charges", more_phases=("authorized",)),
        CheckConstraint("amount > 0", name="amount_positive"),
        CheckConstraint("currency ~ '^[A-Z]{3}$'", name="currency_code"),
        # refund_reserved counts pending and succeeded refunds: they can't exceed the charge.
        CheckConstraint(
            "0 <= refunded_amount AND refunded_amount <= refund_reserved"
            " AND refund_reserved <= amount",
            name="refunds_within_charge",
        ),
        CheckConstraint("state = 'succeeded' OR refunded_amount = 0", name="refunds_need_success"),
        CheckConstraint("capture IN ('automatic', 'manual')", name="capture"),
        # Captures by hand are counted; with automatic capture there is nothing to count, and the
        # charge is never only authorized.
        CheckConstraint(
            "(capture = 'manual') = (amount_captured IS NOT NULL)", name="captured_by_hand"
        ),
        CheckConstraint(
            "0 <= amount_captured AND amount_captured <= amount", name="captured_within_amount"
        ),
        CheckConstraint("refund_reserved <= amount_captured", name="refunds_within_captured"),
        CheckConstraint(
            "capture = 'automatic' OR state = 'pending'"
            " OR (state = 'succeeded') = (amount_captured > 0)",
            name="success_was_captured",
        ),
        CheckConstraint("phase <> 'authorized' OR authorized_at IS NOT NULL", name="authorized"),
        CheckConstraint(
            "authorized_at IS NULL OR capture = 'manual'", name="authorized_to_be_captured"
        ),
        CheckConstraint("disputed_amount >= 0", name="disputed_amount"),
        CheckConstraint(
            "(fee IS NULL) = (net IS NULL) AND (fee IS NULL) = (settlement_currency IS NULL)",
            name="fee_is_whole",
        ),
        # A cancellation has a code (why, for programs), a name (who) and a moment, or none of them.
        CheckConstraint(
            "(cancel_requested_at IS NULL) = (cancel_code IS NULL)"
            " AND (cancel_requested_at IS NULL) = (cancel_requested_by IS NULL)",
            name="cancel_is_whole",
        ),
        CheckConstraint(
            "failure_advice IN ('retry_later', 'ask_customer', 'stop')", name="failure_advice"
        ),
        CheckConstraint("cancel_code IN ('canceled', 'expired')", name="cancel_code"),
        # Two keys for one order are the double charge that idempotency keys alone never stop.
        Index(
            "charges_open_reference_key",
            "producer",
            "reference",
            unique=True,
            postgresql_where=text("reference IS NOT NULL AND state <> 'failed'"),
        ),
        Index(
            "charges_reference_idx",
            "reference",
            "created_at",
            postgresql_where=text("reference IS NOT NULL"),
        ),
        # What people search by: an amount, and words of metadata (payments/history/search.py).
        amount_index("charges"),
        words_index("charges"),
        # Lists of one producer's charges, for a small one among large ones.
        Index("charges_producer_created_idx", "producer", "created_at", "id"),
        Index(
            "charges_customer_idx",
            "customer_id",
            "created_at",
            postgresql_where=text("customer_id IS NOT NULL"),
        ),
        Index(
            "charges_price_idx",
            "price_id",
            "created_at",
            postgresql_where=text("price_id IS NOT NULL"),
        ),
        # For the sweep of expired charges: pending ones that are not canceled yet.
        Index(
            "charges_expiry_idx",
            "expires_at",
            postgresql_where=text(
                "state = 'pending' AND cancel_requested_at IS NULL AND expires_at IS NOT NULL"
            ),
        ),
        # For the sweeps of authorizations: those that end soon, and those that were announced.
        Index(
            "charges_capture_before_idx",
            "capture_before",
            postgresql_where=text("phase = 'authorized' AND cancel_requested_at IS NULL"),
        ),
        Index(
            "charges_capture_warning_idx",
            "capture_before",
            postgresql_where=text("phase = 'authorized' AND capture_warned_at IS NULL"),
        ),
    )

    amount: int = Field(sa_type=BigInteger)
    currency: str
    customer_id: str | None
    payment_method_id: str | None
    # No foreign key: deleting a price locks it, and so does charging by it.
    price_id: str | None
    quantity: int | None = Field(default=None, sa_type=BigInteger)
    # How the amount was computed on acceptance: the lines of the quote.
    lines: list[dict[str, Any]] | None = Field(
        default=None, sa_column=Column(JSONB(none_as_null=True))
    )
    reference: str | None
    description: str | None
    statement_descriptor: str | None
    # Passed on to the processor, and shown nowhere.
    receipt_email: str | None
    refunded_amount: int = Field(
        default=0, sa_type=BigInteger, sa_column_kwargs={"server_default": "0"}
    )
    refund_reserved: int = Field(
        default=0, sa_type=BigInteger, sa_column_kwargs={"server_default": "0"}
    )
    # Whether it is captured at once, or only authorized until it is captured by hand (`manual`).
    capture: str = Field(default="automatic", sa_column_kwargs={"server_default": "automatic"})
    # The amount captured so far for capture by hand; NULL for all others.
    amount_captured: int | None = Field(default=None, sa_type=BigInteger)
    # Since when it has been authorized, and when the processor releases it; NULL = the processor
    # doesn't say.
    authorized_at: datetime | None = timestamp()
    capture_before: datetime | None = timestamp()
    # When the event about its imminent end was published.
    capture_warned_at: datetime | None = timestamp()
    # Why its last capture failed, until the next one is asked for.
    capture_failure_code: str | None
    # The amount that banks dispute and have taken back, for now or for good.
    disputed_amount: int = Field(
        default=0, sa_type=BigInteger, sa_column_kwargs={"server_default": "0"}
    )
    # The processor's fee and the net amount, in minor units of the settlement currency; NULL = not
    # known yet.
    fee: int | None = Field(default=None, sa_type=BigInteger)
    net: int | None = Field(default=None, sa_type=BigInteger)
    settlement_currency: str | None
    # When it is to be made; NULL = at once.
    scheduled_at: datetime | None = timestamp()
    # The page to which the customer returns; NULL = the customer is absent.
    return_url: str | None
    # A pending charge is canceled then; NULL = never.
    expires_at: datetime | None = timestamp()
    # Whether that is the default limit on waiting for a customer, and not a requested one: it ends
    # with the wait.
    expires_by_default: bool = Field(default=False, sa_column_kwargs={"server_default": "false"})
    # What the customer has to do, while the processor waits for that: type, url, expires_at.
    next_action: dict[str, Any] | None = Field(
        default=None, sa_column=Column(JSONB(none_as_null=True))
    )
    # If it failed: what to do about it, and from when on another try makes sense
    # (`payments.processors.advice`).
    failure_advice: str | None
    retry_at: datetime | None = timestamp()
    # A cancellation was requested: the only call still made for it is to cancel.
    cancel_requested_at: datetime | None = timestamp()
    cancel_requested_by: str | None
    cancel_reason: str | None
    # Its failure code then: `canceled`, or `expired` if its time was up.
    cancel_code: str | None


class Capture(SQLModel, table=True):
    """A capture of an authorized charge, in full or in part.

    The request is kept here; the charge's own lease carries it out. So a charge has at most one
    capture that is not final, and while it has one, the charge's phase is that of the capture.
    """

    __tablename__ = "captures"
    __table_args__ = (
        CheckConstraint("amount > 0", name="amount_positive"),
        CheckConstraint("state IN ('pending', 'succeeded', 'failed')", name="state"),
        CheckConstraint("(state = 'failed') = (failure_code IS NOT NULL)", name="failed_says_why"),
        CheckConstraint("(state <> 'pending') = (settled_at IS NOT NULL)", name="final_is_settled"),
        Index("captures_charge_idx", "charge_id"),
        Index(
            "captures_request_idx",
            "request_id",
            postgresql_using="hash",
            postgresql_where=text("request_id IS NOT NULL"),
        ),
        # Two captures at once could take more than was meant.
        Index(
            "captures_open_key",
            "charge_id",
            unique=True,
            postgresql_where=text("state = 'pending'"),
        ),
    )

    # Derived from the producer and the key, like a charge's.
    id: str = Field(primary_key=True)
    charge_id: str
    producer: str
    idempotency_key: str
    fingerprint: str
    request_id: str | None
    amount: int = Field(sa_type=BigInteger)
    # Whether the rest is released.
    final: bool
    state: str = Field(default="pending", sa_column_kwargs={"server_default": "pending"})
    failure_code: str | None
    processor_code: str | None
    created_at: datetime = timestamp(when_written=True, nullable=False)
    settled_at: datetime | None = timestamp()


class Dispute(SQLModel, table=True):
    """A dispute of a charge by a customer's bank, in the state that the processor reported."""

    __tablename__ = "disputes"
    __table_args__ = (
        CheckConstraint("amount > 0", name="amount_positive"),
        CheckConstraint(f"state IN {tuple(map(str, DisputeState))}", name="state"),
        Index("disputes_charge_idx", "charge_id"),
        Index("disputes_processor_reference_idx", "processor_reference", postgresql_using="hash"),
        Index("disputes_created_idx", "created_at", "id"),
        Index("disputes_producer_created_idx", "producer", "created_at", "id"),
    )

    # Derived from the processor's name and its id: a repeated report is about the same dispute.
    id: str = Field(primary_key=True)
    charge_id: str
    # The charge's.
    producer: str
    processor: str
    livemode: bool
    processor_reference: str
    state: str
    amount: int = Field(sa_type=BigInteger)
    currency: str
    reason: str
    respond_by: datetime | None = timestamp()
    # The time of this state, by the processor's clock: older reports are ignored.
    told_at: datetime = timestamp(nullable=False)
    # The number of its events so far.
    sequence: int = Field(default=1, sa_column_kwargs={"server_default": "1"})
    created_at: datetime = timestamp(when_written=True, nullable=False)
    closed_at: datetime | None = timestamp()
