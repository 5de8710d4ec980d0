"""A charge: money that a producer asked to be taken from a customer, once."""

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, CheckConstraint, Column, Index, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Field

from models.base import timestamp
from models.lifecycle import Lifecycle, lifecycle_constraints


class Charge(Lifecycle, table=True):
    __tablename__ = "charges"
    __table_args__ = (
        *lifecycle_constraints("charges"),
        CheckConstraint("amount > 0", name="amount_positive"),
        CheckConstraint("currency ~ '^[A-Z]{3}$'", name="currency_code"),
        # refund_reserved counts pending and succeeded refunds: they can't exceed the charge.
        CheckConstraint(
            "0 <= refunded_amount AND refunded_amount <= refund_reserved"
            " AND refund_reserved <= amount",
            name="refunds_within_charge",
        ),
        CheckConstraint("state = 'succeeded' OR refunded_amount = 0", name="refunds_need_success"),
        # A cancellation has a code (why, for programs), a name (who) and a moment, or none of them.
        CheckConstraint(
            "(cancel_requested_at IS NULL) = (cancel_code IS NULL)"
            " AND (cancel_requested_at IS NULL) = (cancel_requested_by IS NULL)",
            name="cancel_is_whole",
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
        # Lists of a producer's own, when it is a small one among large ones.
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
        # What the sweep of expired charges reads: pending ones that nobody has canceled yet.
        Index(
            "charges_expiry_idx",
            "expires_at",
            postgresql_where=text(
                "state = 'pending' AND cancel_requested_at IS NULL AND expires_at IS NOT NULL"
            ),
        ),
    )

    amount: int = Field(sa_type=BigInteger)
    currency: str
    customer_id: str | None
    payment_method_id: str | None
    # No foreign key: whoever deletes a price holds it, and so does whoever charges by it.
    price_id: str | None
    quantity: int | None = Field(default=None, sa_type=BigInteger)
    # What the amount was made of, when it was accepted: the lines of the quote.
    lines: list[dict[str, Any]] | None = Field(
        default=None, sa_column=Column(JSONB(none_as_null=True))
    )
    reference: str | None
    description: str | None
    refunded_amount: int = Field(
        default=0, sa_type=BigInteger, sa_column_kwargs={"server_default": "0"}
    )
    refund_reserved: int = Field(
        default=0, sa_type=BigInteger, sa_column_kwargs={"server_default": "0"}
    )
    # When it is to be made; NULL = at once.
    scheduled_at: datetime | None = timestamp()
    # A pending charge is canceled then; NULL = never.
    expires_at: datetime | None = timestamp()
    # Whether that is how long anybody waits for a customer, and not what was asked for: it ends
    # with the wait.
    expires_by_default: bool = Field(default=False, sa_column_kwargs={"server_default": "false"})
    # What the customer has to do, while the processor waits for that: type, url, expires_at.
    next_action: dict[str, Any] | None = Field(
        default=None, sa_column=Column(JSONB(none_as_null=True))
    )
    # Somebody wants it ended: no call is made for it any more but to cancel it.
    cancel_requested_at: datetime | None = timestamp()
    cancel_requested_by: str | None
    cancel_reason: str | None
    # The failure code that it gets: `canceled`, or `expired` when its time was up.
    cancel_code: str | None
