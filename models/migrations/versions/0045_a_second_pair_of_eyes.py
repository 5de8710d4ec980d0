"""What a second person must approve: refunds that wait, and decisions about what needs review."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from models.migrations.one_at_a_time import let_go

revision = "0045"
down_revision = "0044"
branch_labels = None
depends_on = None

_PHASES = (
    "'queued', 'in_flight', 'unknown', 'awaiting_customer', 'needs_review', 'awaiting_approval'"
)


def upgrade() -> None:
    op.create_table(
        "approvals",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("clock_timestamp()"),
            nullable=False,
        ),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("action", sa.String(), nullable=False),
        sa.Column("object_id", sa.String(), nullable=False),
        sa.Column("amount", sa.BigInteger(), nullable=True),
        sa.Column("currency", sa.String(), nullable=True),
        sa.Column("decision", sa.String(), nullable=True),
        sa.Column("requested_by", sa.String(), nullable=False),
        sa.Column("requested_account", sa.String(), nullable=True),
        sa.Column("request_reason", sa.String(), nullable=True),
        sa.Column("decided_by", sa.String(), nullable=True),
        sa.Column("decided_account", sa.String(), nullable=True),
        sa.Column("decision_reason", sa.String(), nullable=True),
        sa.Column("decided_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            "state IN ('pending', 'approved', 'rejected', 'overtaken')",
            name=op.f("approvals_state_check"),
        ),
        sa.CheckConstraint(
            "action IN ('refund.create', 'charge.resolve', 'refund.resolve')",
            name=op.f("approvals_action_check"),
        ),
        sa.CheckConstraint(
            "(state = 'pending') = (decided_at IS NULL)",
            name=op.f("approvals_decided_is_dated_check"),
        ),
        sa.CheckConstraint(
            "action = 'refund.create' OR decision IS NOT NULL",
            name=op.f("approvals_resolve_is_how_check"),
        ),
        sa.PrimaryKeyConstraint("id", name="approvals_pkey"),
        if_not_exists=True,
    )
    is_open = sa.text("state = 'pending'")
    op.create_index(
        "approvals_pending_idx",
        "approvals",
        ["object_id"],
        unique=True,
        postgresql_where=is_open,
        if_not_exists=True,
    )
    op.create_index(
        "approvals_object_idx", "approvals", ["object_id", "created_at"], if_not_exists=True
    )
    op.create_index("approvals_created_idx", "approvals", ["created_at", "id"], if_not_exists=True)
    op.create_index(
        "approvals_open_idx",
        "approvals",
        ["created_at", "id"],
        postgresql_where=is_open,
        if_not_exists=True,
    )

    let_go()
    # Without a default, and NOT VALID: no table is rewritten or read while others wait. That every
    # row keeps the new rule is sure, as it kept the narrower one.
    op.add_column(
        "refunds",
        sa.Column("asked_by", postgresql.JSONB(none_as_null=True), nullable=True),
        if_not_exists=True,
    )
    op.execute("ALTER TABLE refunds DROP CONSTRAINT IF EXISTS refunds_phase_check")
    op.execute(
        f"ALTER TABLE refunds ADD CONSTRAINT refunds_phase_check CHECK (phase IN ({_PHASES}))"
        " NOT VALID"
    )


# There is no way down: it would drop who approved what.
