"""Charges that are scheduled, expire, wait for the customer, and are canceled."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from models.migrations.one_at_a_time import let_go

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # Columns without a default, or with a constant one: no table is rewritten.
    op.add_column(
        "sandbox_requests",
        sa.Column("cancels", sa.Integer(), server_default="0", nullable=False),
        if_not_exists=True,
    )
    # NOT VALID: new rows keep them at once, and no table is read while others wait. The next
    # migration reads the old rows, beside everybody who writes.
    op.execute("ALTER TABLE sandbox_requests DROP CONSTRAINT sandbox_requests_status_check")
    op.execute(
        "ALTER TABLE sandbox_requests ADD CONSTRAINT sandbox_requests_status_check CHECK ("
        "status IN ('open', 'pending', 'succeeded', 'declined', 'canceled')) NOT VALID"
    )

    let_go()
    op.add_column("charges", sa.Column("scheduled_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("charges", sa.Column("expires_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("charges", sa.Column("next_action", postgresql.JSONB(), nullable=True))
    op.add_column(
        "charges", sa.Column("cancel_requested_at", sa.DateTime(timezone=True), nullable=True)
    )
    op.add_column("charges", sa.Column("cancel_requested_by", sa.String(), nullable=True))
    op.add_column("charges", sa.Column("cancel_reason", sa.String(), nullable=True))
    op.add_column("charges", sa.Column("cancel_code", sa.String(), nullable=True))
    op.execute(
        "ALTER TABLE charges ADD CONSTRAINT charges_cancel_is_whole_check CHECK ("
        " (cancel_requested_at IS NULL) = (cancel_code IS NULL)"
        " AND (cancel_requested_at IS NULL) = (cancel_requested_by IS NULL)) NOT VALID"
    )
    op.execute(
        "ALTER TABLE charges ADD CONSTRAINT charges_cancel_code_check CHECK ("
        "cancel_code IN ('canceled', 'expired')) NOT VALID"
    )


# There is no way down: it would drop what was paid.
