"""Disputes, what processors keep of charges, and what callers of refunds should know."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from models.migrations.one_at_a_time import let_go

revision = "0024"
down_revision = "0023"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "disputes",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("charge_id", sa.String(), nullable=False),
        sa.Column("producer", sa.String(), nullable=False),
        sa.Column("processor", sa.String(), nullable=False),
        sa.Column("livemode", sa.Boolean(), nullable=False),
        sa.Column("processor_reference", sa.String(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("amount", sa.BigInteger(), nullable=False),
        sa.Column("currency", sa.String(), nullable=False),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("respond_by", sa.DateTime(timezone=True), nullable=True),
        sa.Column("told_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("sequence", sa.Integer(), server_default="1", nullable=False),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("clock_timestamp()"),
            nullable=False,
        ),
        sa.Column("closed_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("amount > 0", name=op.f("disputes_amount_positive_check")),
        sa.CheckConstraint(
            "state IN ('warning_needs_response', 'warning_under_review', 'warning_closed',"
            " 'needs_response', 'under_review', 'won', 'lost')",
            name=op.f("disputes_state_check"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("disputes_pkey")),
        if_not_exists=True,
    )
    for name, columns in (
        ("disputes_charge_idx", ["charge_id"]),
        ("disputes_created_idx", ["created_at", "id"]),
        ("disputes_producer_created_idx", ["producer", "created_at", "id"]),
    ):
        op.create_index(name, "disputes", columns, if_not_exists=True)
    op.add_column(
        "refunds",
        sa.Column("warnings", postgresql.JSONB(), server_default=sa.text("'[]'"), nullable=False),
        if_not_exists=True,
    )
    let_go()
    # Columns without a default, or with a constant one: no table is rewritten.
    for column in (
        sa.Column("disputed_amount", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("fee", sa.BigInteger(), nullable=True),
        sa.Column("net", sa.BigInteger(), nullable=True),
        sa.Column("settlement_currency", sa.String(), nullable=True),
    ):
        op.add_column("charges", column)
    # NOT VALID: new rows keep them at once, and no table is read while others wait. The next
    # migration reads the old rows, beside everybody who writes.
    for name, check in (
        ("disputed_amount", "disputed_amount >= 0"),
        (
            "fee_is_whole",
            "(fee IS NULL) = (net IS NULL) AND (fee IS NULL) = (settlement_currency IS NULL)",
        ),
    ):
        op.execute(
            f"ALTER TABLE charges ADD CONSTRAINT charges_{name}_check CHECK ({check}) NOT VALID"
        )


# There is no way down: it would drop what was paid.
