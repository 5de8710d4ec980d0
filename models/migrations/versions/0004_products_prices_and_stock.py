"""Products, prices and stock; charges by price, and refunds that bring goods back."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from models.migrations.one_at_a_time import let_go

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # Columns without a default, or with a constant one: no table is rewritten.
    op.add_column(
        "rejected_requests",
        sa.Column("fingerprint", sa.String(), nullable=True),
        if_not_exists=True,
    )
    let_go()
    for column in (
        sa.Column("restock", sa.Boolean(), server_default="false", nullable=False),
        sa.Column("restock_quantity", sa.BigInteger(), nullable=True),
        sa.Column("restocked", sa.BigInteger(), server_default="0", nullable=False),
    ):
        op.add_column("refunds", column, if_not_exists=True)
    let_go()
    # Charges last, with the tables that refer to them.
    op.add_column("charges", sa.Column("lines", postgresql.JSONB(), nullable=True))

    op.create_table(
        "products",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("producer", sa.String(), nullable=False),
        sa.Column("idempotency_key", sa.String(), nullable=False),
        sa.Column("fingerprint", sa.String(), nullable=False),
        sa.Column("livemode", sa.Boolean(), server_default="false", nullable=False),
        sa.Column("active", sa.Boolean(), server_default="true", nullable=False),
        sa.Column(
            "metadata",
            postgresql.JSONB(astext_type=sa.Text()),
            server_default=sa.text("'{}'"),
            nullable=False,
        ),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.Column(
            "updated_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("description", sa.String(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("products_pkey")),
    )
    op.create_index(
        "products_created_idx",
        "products",
        ["created_at", "id"],
        unique=False,
        postgresql_include=["active"],
    )
    op.create_table(
        "prices",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("producer", sa.String(), nullable=False),
        sa.Column("idempotency_key", sa.String(), nullable=False),
        sa.Column("fingerprint", sa.String(), nullable=False),
        sa.Column("livemode", sa.Boolean(), server_default="false", nullable=False),
        sa.Column("active", sa.Boolean(), server_default="true", nullable=False),
        sa.Column(
            "metadata",
            postgresql.JSONB(astext_type=sa.Text()),
            server_default=sa.text("'{}'"),
            nullable=False,
        ),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.Column(
            "updated_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.Column("product_id", sa.String(), nullable=False),
        sa.Column("nickname", sa.String(), nullable=True),
        sa.Column("type", sa.String(), nullable=False),
        sa.Column("billing_scheme", sa.String(), nullable=False),
        sa.Column("currency", sa.String(), nullable=False),
        sa.Column("unit_amount", sa.BigInteger(), nullable=True),
        sa.Column("recurring", postgresql.JSONB(), nullable=True),
        sa.Column("tiers", postgresql.JSONB(), nullable=True),
        sa.Column("tiers_mode", sa.String(), nullable=True),
        sa.Column("transform_quantity", postgresql.JSONB(), nullable=True),
        sa.Column("lookup_key", sa.String(), nullable=True),
        sa.Column("quantity_available", sa.BigInteger(), nullable=True),
        sa.Column("initial_quantity", sa.BigInteger(), nullable=True),
        sa.Column("sequence", sa.Integer(), server_default="1", nullable=False),
        sa.CheckConstraint(
            "(billing_scheme = 'per_unit') = (unit_amount IS NOT NULL)",
            name=op.f("prices_per_unit_check"),
        ),
        sa.CheckConstraint(
            "(billing_scheme = 'tiered') = (tiers IS NOT NULL) AND (tiers IS NULL) = (tiers_mode IS NULL)",
            name=op.f("prices_tiered_check"),
        ),
        sa.CheckConstraint(
            "(type = 'recurring') = (recurring IS NOT NULL)", name=op.f("prices_recurring_check")
        ),
        sa.CheckConstraint(
            "billing_scheme IN ('per_unit', 'tiered')", name=op.f("prices_billing_scheme_check")
        ),
        sa.CheckConstraint("currency ~ '^[A-Z]{3}$'", name=op.f("prices_currency_code_check")),
        sa.CheckConstraint(
            "tiers_mode IN ('graduated', 'volume')", name=op.f("prices_tiers_mode_check")
        ),
        sa.CheckConstraint(
            "transform_quantity IS NULL OR billing_scheme = 'per_unit'",
            name=op.f("prices_transform_check"),
        ),
        sa.CheckConstraint("type IN ('one_time', 'recurring')", name=op.f("prices_type_check")),
        sa.CheckConstraint(
            "(quantity_available IS NULL) = (initial_quantity IS NULL)",
            name=op.f("prices_counted_from_check"),
        ),
        sa.CheckConstraint("quantity_available >= 0", name=op.f("prices_quantity_available_check")),
        sa.CheckConstraint("unit_amount > 0", name=op.f("prices_unit_amount_positive_check")),
        sa.ForeignKeyConstraint(
            ["product_id"], ["products.id"], name=op.f("prices_product_id_fkey")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("prices_pkey")),
    )
    op.create_index(
        "prices_lookup_key_idx",
        "prices",
        ["lookup_key"],
        unique=True,
        postgresql_where=sa.text("lookup_key IS NOT NULL"),
    )
    op.create_index(
        "prices_created_idx",
        "prices",
        ["created_at", "id"],
        unique=False,
        postgresql_include=["active", "type", "currency"],
    )
    op.create_index(
        "prices_product_idx",
        "prices",
        ["product_id", "created_at", "id"],
        unique=False,
        postgresql_include=["active", "type", "currency"],
    )
    op.create_table(
        "inventory_changes",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("price_id", sa.String(), nullable=False),
        sa.Column("producer", sa.String(), nullable=False),
        sa.Column("idempotency_key", sa.String(), nullable=False),
        sa.Column("fingerprint", sa.String(), nullable=False),
        sa.Column("change", sa.BigInteger(), nullable=False),
        sa.Column("available_after", sa.BigInteger(), nullable=False),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.CheckConstraint("change <> 0", name=op.f("inventory_changes_change_check")),
        sa.ForeignKeyConstraint(
            ["price_id"],
            ["prices.id"],
            name=op.f("inventory_changes_price_id_fkey"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("inventory_changes_pkey")),
    )
    op.create_index(
        "inventory_changes_price_idx", "inventory_changes", ["price_id", "created_at"], unique=False
    )
    op.create_table(
        "reservations",
        sa.Column("charge_id", sa.String(), nullable=False),
        sa.Column("price_id", sa.String(), nullable=False),
        sa.Column("quantity", sa.BigInteger(), nullable=False),
        sa.Column("restocked", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("state", sa.String(), server_default="held", nullable=False),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.Column("settled_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            "(state = 'held') = (settled_at IS NULL)",
            name=op.f("reservations_held_until_settled_check"),
        ),
        sa.CheckConstraint(
            "0 <= restocked AND restocked <= quantity AND (restocked = 0 OR state = 'sold')",
            name=op.f("reservations_restocked_within_check"),
        ),
        sa.CheckConstraint(
            "state IN ('held', 'sold', 'released')", name=op.f("reservations_state_check")
        ),
        sa.CheckConstraint("quantity > 0", name=op.f("reservations_quantity_positive_check")),
        sa.ForeignKeyConstraint(
            ["charge_id"], ["charges.id"], name=op.f("reservations_charge_id_fkey")
        ),
        sa.ForeignKeyConstraint(
            ["price_id"], ["prices.id"], name=op.f("reservations_price_id_fkey")
        ),
        sa.PrimaryKeyConstraint("charge_id", name=op.f("reservations_pkey")),
    )
    op.create_index(
        "reservations_price_idx", "reservations", ["price_id", "created_at"], unique=False
    )
    op.create_index(
        "reservations_held_idx",
        "reservations",
        ["charge_id"],
        unique=False,
        postgresql_where=sa.text("state = 'held'"),
    )


# There is no way down: it would drop what was paid.
