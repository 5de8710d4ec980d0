"""Reconciliations with processors: how far each is, and the records it has read."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0021"
down_revision = "0020"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "reconciled_records",
        sa.Column("reconciliation_id", sa.BigInteger(), nullable=False),
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("reference", sa.String(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("amount", sa.BigInteger(), nullable=False),
        sa.Column("currency", sa.String(), nullable=False),
        sa.Column("moved_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("object_id", sa.String(), nullable=True),
        sa.Column("fee", sa.BigInteger(), nullable=True),
        sa.Column("net", sa.BigInteger(), nullable=True),
        sa.Column("settlement_currency", sa.String(), nullable=True),
        sa.Column("payout_id", sa.String(), nullable=True),
        sa.PrimaryKeyConstraint("reconciliation_id", "id", name=op.f("reconciled_records_pkey")),
    )
    op.create_index(
        "reconciled_records_object_idx",
        "reconciled_records",
        ["reconciliation_id", "object_id"],
        unique=False,
    )
    op.create_table(
        "reconciliations",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("processor", sa.String(), nullable=False),
        sa.Column("since", sa.DateTime(timezone=True), nullable=True),
        sa.Column("until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("payout_id", sa.String(), nullable=True),
        sa.Column("read_from", sa.DateTime(timezone=True), nullable=True),
        sa.Column("read_to", sa.DateTime(timezone=True), nullable=True),
        sa.Column("position", sa.String(), nullable=True),
        sa.Column("records", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("is_read", sa.Boolean(), server_default="false", nullable=False),
        sa.Column(
            "started_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.Column(
            "moved_on_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column(
            "found", postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), nullable=True
        ),
        sa.CheckConstraint(
            "(finished_at IS NULL) = (found IS NULL)",
            name=op.f("reconciliations_finished_has_found_check"),
        ),
        sa.CheckConstraint(
            "(since IS NULL) <> (payout_id IS NULL)",
            name=op.f("reconciliations_period_or_payout_check"),
        ),
        sa.CheckConstraint(
            "(since IS NULL) = (until IS NULL) AND since < until",
            name=op.f("reconciliations_period_check"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("reconciliations_pkey")),
    )
    op.create_index(
        "reconciliations_open_idx",
        "reconciliations",
        ["processor"],
        unique=False,
        postgresql_where=sa.text("finished_at IS NULL"),
    )


# There is no way down: it would drop what was paid.
