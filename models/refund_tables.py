"""A refund: money that goes back, in full or in part, and never more than was taken."""

from sqlalchemy import BigInteger, CheckConstraint, Column, Index, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Field

from models.lifecycle import Lifecycle, amount_index, lifecycle_constraints, words_index


class Refund(Lifecycle, table=True):
    __tablename__ = "refunds"
    __table_args__ = (
        *lifecycle_constraints("refunds", more_phases=("awaiting_approval",)),
        CheckConstraint("amount > 0", name="amount_positive"),
        CheckConstraint("NOT reserved OR amount IS NOT NULL", name="reserved_has_amount"),
        CheckConstraint("state <> 'succeeded' OR reserved", name="success_was_reserved"),
        Index("refunds_charge_idx", "charge_id"),
        # As for charges.
        amount_index("refunds"),
        words_index("refunds"),
        Index(
            "refunds_owner_created_idx",
            text("COALESCE(charge_producer, producer)"),
            "created_at",
            "id",
        ),
    )

    # No foreign key: messages overtake each other, so a refund may arrive before its charge.
    charge_id: str
    # The charge's producer, if it differs from the refund's: then the refund belongs to that one.
    charge_producer: str | None
    # Whether the caller may refund any producer's charge.
    any_charge: bool = Field(default=False, sa_column_kwargs={"server_default": "false"})
    # NULL = all that is left, fixed as soon as the charge is there.
    amount: int | None = Field(default=None, sa_type=BigInteger)
    # Whether `amount` is counted in the charge's refund_reserved.
    reserved: bool = Field(default=False, sa_column_kwargs={"server_default": "false"})
    # Whether goods come back, too, how many, and how many did. NULL = all that are still out.
    restock: bool = Field(default=False, sa_column_kwargs={"server_default": "false"})
    restock_quantity: int | None = Field(default=None, sa_type=BigInteger)
    restocked: int = Field(default=0, sa_type=BigInteger, sa_column_kwargs={"server_default": "0"})
    reason: str | None
    # What its caller should know, as codes: `charge_disputed`.
    warnings: list[str] = Field(
        default_factory=list,
        sa_type=JSONB,
        sa_column_kwargs={"nullable": False, "server_default": text("'[]'")},
    )
    if_pending: str = Field(default="wait", sa_column_kwargs={"server_default": "wait"})
    expected_refunded_amount: int | None = Field(default=None, sa_type=BigInteger)
    # Who asked, if refunds may need approval by a second person; NULL otherwise.
    asked_by: dict[str, str | None] | None = Field(
        default=None, sa_column=Column(JSONB(none_as_null=True))
    )
