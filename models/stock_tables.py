"""Where the stock of a price went: into charges, and up and down by hand."""

from datetime import datetime

from sqlalchemy import BigInteger, CheckConstraint, Column, ForeignKey, Index
from sqlmodel import Field, SQLModel

from models.base import timestamp


class Reservation(SQLModel, table=True):
    """What a charge holds of the stock of its price; a charge of an unlimited price holds nothing.

    `held` while the charge is pending, `sold` when it has succeeded, `released` when it failed.
    """

    __tablename__ = "reservations"
    __table_args__ = (
        CheckConstraint("state IN ('held', 'sold', 'released')", name="state"),
        CheckConstraint("(state = 'held') = (settled_at IS NULL)", name="held_until_settled"),
        CheckConstraint("quantity > 0", name="quantity_positive"),
        CheckConstraint(
            "0 <= restocked AND restocked <= quantity AND (restocked = 0 OR state = 'sold')",
            name="restocked_within",
        ),
        Index("reservations_price_idx", "price_id", "created_at"),
    )

    charge_id: str = Field(sa_column=Column(ForeignKey("charges.id"), primary_key=True))
    price_id: str = Field(sa_column=Column(ForeignKey("prices.id"), nullable=False))
    quantity: int = Field(sa_type=BigInteger)
    # How many of these came back with refunds that asked for it.
    restocked: int = Field(default=0, sa_type=BigInteger, sa_column_kwargs={"server_default": "0"})
    state: str = Field(default="held", sa_column_kwargs={"server_default": "held"})
    created_at: datetime = timestamp(default_now=True, nullable=False)
    settled_at: datetime | None = timestamp()


class InventoryChange(SQLModel, table=True):
    """Append-only: an increment or a decrement that somebody asked for, once per key."""

    __tablename__ = "inventory_changes"
    __table_args__ = (
        CheckConstraint("change <> 0", name="change"),
        Index("inventory_changes_price_idx", "price_id", "created_at"),
    )

    id: str = Field(primary_key=True)
    # A price that was never used may be deleted, and its history goes with it.
    price_id: str = Field(
        sa_column=Column(ForeignKey("prices.id", ondelete="CASCADE"), nullable=False)
    )
    producer: str
    idempotency_key: str
    fingerprint: str
    change: int = Field(sa_type=BigInteger)
    available_after: int = Field(sa_type=BigInteger)
    created_at: datetime = timestamp(default_now=True, nullable=False)
