"""What is known of how an endpoint does, and until when it is left alone."""

import sqlalchemy as sa
from alembic import op

revision = "0029"
down_revision = "0028"
branch_labels = None
depends_on = None

MOMENT = sa.DateTime(timezone=True)
CHECKS = {
    "held_back_because": "held_back_because IN ('retry_after', 'failing')"
    " AND (held_back_because IS NULL) = (held_back_until IS NULL)",
    "disabled_because": "disabled_because IN ('gone', 'failing')",
}


def upgrade() -> None:
    # Columns without a default, or with a constant one: no table is rewritten.
    for column in (
        sa.Column("drain_is_full", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("held_back_until", MOMENT, nullable=True),
        sa.Column("held_back_because", sa.String(), nullable=True),
        sa.Column("back_offs", sa.Integer(), server_default="0", nullable=False),
        sa.Column("counted_since", MOMENT, nullable=True),
        sa.Column("counted", sa.Integer(), server_default="0", nullable=False),
        sa.Column("counted_failed", sa.Integer(), server_default="0", nullable=False),
        sa.Column("failing_since", MOMENT, nullable=True),
        sa.Column("warned_at", MOMENT, nullable=True),
        sa.Column("disabled_because", sa.String(), nullable=True),
    ):
        op.add_column("webhook_endpoints", column, if_not_exists=True)
    for name, check in CHECKS.items():
        op.execute(
            f"ALTER TABLE webhook_endpoints DROP CONSTRAINT IF EXISTS webhook_endpoints_{name}_check"
        )
        op.execute(
            f"ALTER TABLE webhook_endpoints ADD CONSTRAINT webhook_endpoints_{name}_check"
            f" CHECK ({check}) NOT VALID"
        )
    # Beside everybody who writes.
    with op.get_context().autocommit_block():
        for name in CHECKS:
            op.execute(
                f"ALTER TABLE webhook_endpoints VALIDATE CONSTRAINT webhook_endpoints_{name}_check"
            )


# There is no way down: it would drop what was seen.
