"""Charges that are authorized first, and captured by hand."""

import sqlalchemy as sa
from alembic import op

revision = "0022"
down_revision = "0021"
branch_labels = None
depends_on = None

_CHECKS = {
    "phase": "phase IN ('queued', 'in_flight', 'unknown', 'awaiting_customer', 'needs_review',"
    " 'authorized')",
    "capture": "capture IN ('automatic', 'manual')",
    "captured_by_hand": "(capture = 'manual') = (amount_captured IS NOT NULL)",
    "captured_within_amount": "0 <= amount_captured AND amount_captured <= amount",
    "refunds_within_captured": "refund_reserved <= amount_captured",
    "success_was_captured": "capture = 'automatic' OR state = 'pending'"
    " OR (state = 'succeeded') = (amount_captured > 0)",
    "authorized": "phase <> 'authorized' OR authorized_at IS NOT NULL",
    "authorized_to_be_captured": "authorized_at IS NULL OR capture = 'manual'",
}


def upgrade() -> None:
    op.create_table(
        "captures",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("charge_id", sa.String(), nullable=False),
        sa.Column("producer", sa.String(), nullable=False),
        sa.Column("idempotency_key", sa.String(), nullable=False),
        sa.Column("fingerprint", sa.String(), nullable=False),
        sa.Column("request_id", sa.String(), nullable=True),
        sa.Column("amount", sa.BigInteger(), nullable=False),
        sa.Column("final", sa.Boolean(), nullable=False),
        sa.Column("state", sa.String(), server_default="pending", nullable=False),
        sa.Column("failure_code", sa.String(), nullable=True),
        sa.Column("processor_code", sa.String(), nullable=True),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("clock_timestamp()"),
            nullable=False,
        ),
        sa.Column("settled_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("amount > 0", name=op.f("captures_amount_positive_check")),
        sa.CheckConstraint(
            "state IN ('pending', 'succeeded', 'failed')", name=op.f("captures_state_check")
        ),
        sa.CheckConstraint(
            "(state = 'failed') = (failure_code IS NOT NULL)",
            name=op.f("captures_failed_says_why_check"),
        ),
        sa.CheckConstraint(
            "(state <> 'pending') = (settled_at IS NOT NULL)",
            name=op.f("captures_final_is_settled_check"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("captures_pkey")),
    )
    op.create_index("captures_charge_idx", "captures", ["charge_id"])
    op.create_index(
        "captures_open_key",
        "captures",
        ["charge_id"],
        unique=True,
        postgresql_where=sa.text("state = 'pending'"),
    )
    # Columns without a default, or with a constant one: no table is rewritten.
    for column in (
        sa.Column("capture", sa.String(), server_default="automatic", nullable=False),
        sa.Column("amount_captured", sa.BigInteger(), nullable=True),
        sa.Column("authorized_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("capture_before", sa.DateTime(timezone=True), nullable=True),
        sa.Column("capture_warned_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("capture_failure_code", sa.String(), nullable=True),
    ):
        op.add_column("charges", column)
    # NOT VALID: new rows keep them at once, and no table is read while others wait. The next
    # migration reads the old rows, beside everybody who writes.
    op.execute("ALTER TABLE charges DROP CONSTRAINT charges_phase_check")
    for name, check in _CHECKS.items():
        op.execute(
            f"ALTER TABLE charges ADD CONSTRAINT charges_{name}_check CHECK ({check}) NOT VALID"
        )


# There is no way down: it would drop what was paid.
