"""Products, and the prices at which they are sold."""

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, CheckConstraint, Column, ForeignKey, Index, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Field, SQLModel

from models.base import timestamp


class Made(SQLModel):
    """The columns that both share. Each is created under a key, and its id is a hash of that."""

    id: str = Field(primary_key=True)
    producer: str
    idempotency_key: str
    fingerprint: str
    # Whether it was created with a real processor.
    livemode: bool = Field(default=False, sa_column_kwargs={"server_default": "false"})
    # Whether it may be used for new objects; existing ones continue.
    active: bool = Field(default=True, sa_column_kwargs={"server_default": "true"})
    metadata_: dict[str, str] = Field(
        default_factory=dict,
        sa_type=JSONB,
        sa_column_kwargs={"name": "metadata", "nullable": False, "server_default": text("'{}'")},
    )
    created_at: datetime = timestamp(when_written=True, nullable=False)
    updated_at: datetime = timestamp(when_written=True, nullable=False)


class Product(Made, table=True):
    __tablename__ = "products"
    # With the filters of lists: counting and skipping read only the index.
    __table_args__ = (
        Index("products_created_idx", "created_at", "id", postgresql_include=["active"]),
    )

    name: str
    description: str | None


def _json() -> Column[Any]:
    return Column(JSONB(none_as_null=True))


class Price(Made, table=True):
    """What it costs never changes. Its stock does, and its names."""

    __tablename__ = "prices"
    __table_args__ = (
        CheckConstraint("type IN ('one_time', 'recurring')", name="type"),
        CheckConstraint("(type = 'recurring') = (recurring IS NOT NULL)", name="recurring"),
        CheckConstraint("billing_scheme IN ('per_unit', 'tiered')", name="billing_scheme"),
        CheckConstraint(
            "(billing_scheme = 'per_unit') = (unit_amount IS NOT NULL)", name="per_unit"
        ),
        CheckConstraint(
            "(billing_scheme = 'tiered') = (tiers IS NOT NULL)"
            " AND (tiers IS NULL) = (tiers_mode IS NULL)",
            name="tiered",
        ),
        CheckConstraint("tiers_mode IN ('graduated', 'volume')", name="tiers_mode"),
        CheckConstraint(
            "transform_quantity IS NULL OR billing_scheme = 'per_unit'", name="transform"
        ),
        CheckConstraint("unit_amount > 0", name="unit_amount_positive"),
        CheckConstraint("currency ~ '^[A-Z]{3}$'", name="currency_code"),
        # The limit of every sale is in its UPDATE; and here once more.
        CheckConstraint("quantity_available >= 0", name="quantity_available"),
        CheckConstraint(
            "(quantity_available IS NULL) = (initial_quantity IS NULL)", name="counted_from"
        ),
        # Partial, so that PostgreSQL doesn't treat it as a key: moving one needs only FOR NO KEY
        # UPDATE, and doesn't wait for sales.
        Index(
            "prices_lookup_key_idx",
            "lookup_key",
            unique=True,
            postgresql_where=text("lookup_key IS NOT NULL"),
        ),
        Index(
            "prices_created_idx",
            "created_at",
            "id",
            postgresql_include=["active", "type", "currency"],
        ),
        Index(
            "prices_product_idx",
            "product_id",
            "created_at",
            "id",
            postgresql_include=["active", "type", "currency"],
        ),
    )

    product_id: str = Field(sa_column=Column(ForeignKey("products.id"), nullable=False))
    nickname: str | None
    type: str
    billing_scheme: str
    currency: str
    # Minor units; NULL for a tiered price.
    unit_amount: int | None = Field(default=None, sa_type=BigInteger)
    # An interval, interval_count and usage_type.
    recurring: dict[str, Any] | None = Field(default=None, sa_column=_json())
    # Each with up_to, unit_amount and flat_amount; up_to of the last one is null.
    tiers: list[dict[str, Any]] | None = Field(default=None, sa_column=_json())
    tiers_mode: str | None
    # A number to divide_by, and the direction to round.
    transform_quantity: dict[str, Any] | None = Field(default=None, sa_column=_json())
    lookup_key: str | None
    # NULL = unlimited, for ever.
    quantity_available: int | None = Field(default=None, sa_type=BigInteger)
    initial_quantity: int | None = Field(default=None, sa_type=BigInteger)
    # Events of this price so far.
    sequence: int = Field(default=1, sa_column_kwargs={"server_default": "1"})
