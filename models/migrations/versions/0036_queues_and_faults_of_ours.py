"""Endpoints that are queues, whose URLs have credentials; and faults of ours, which cost nobody."""

import sqlalchemy as sa
from alembic import op

revision = "0036"
down_revision = "0035"
branch_labels = None
depends_on = None

CHECKS = {
    "webhook_endpoints_held_back_because_check": (
        "held_back_because IN ('retry_after', 'failing', 'gone', 'local_fault')"
        " AND (held_back_because IS NULL) = (held_back_until IS NULL)"
    ),
    "webhook_endpoints_local_fault_at_check": ("(local_fault IS NULL) = (local_fault_at IS NULL)"),
}


def upgrade() -> None:
    for column in (
        sa.Column("url_credentials", sa.String(), nullable=True),
        sa.Column("local_fault", sa.String(), nullable=True),
        sa.Column("local_fault_at", sa.DateTime(timezone=True), nullable=True),
    ):
        op.add_column("webhook_endpoints", column, if_not_exists=True)
    for name, check in CHECKS.items():
        op.execute(f"ALTER TABLE webhook_endpoints DROP CONSTRAINT IF EXISTS {name}")
        op.execute(f"ALTER TABLE webhook_endpoints ADD CONSTRAINT {name} CHECK ({check}) NOT VALID")
    # Beside everybody who writes.
    with op.get_context().autocommit_block():
        for name in CHECKS:
            op.execute(f"ALTER TABLE webhook_endpoints VALIDATE CONSTRAINT {name}")


# There is no way down: it would drop what queues are reached with.
