"""Endpoints that are disabled because they said so, or accepted nothing for days."""

import sqlalchemy as sa
from alembic import op

revision = "0035"
down_revision = "0034"
branch_labels = None
depends_on = None

CHECK = (
    "held_back_because IN ('retry_after', 'failing', 'gone')"
    " AND (held_back_because IS NULL) = (held_back_until IS NULL)"
)
NAME = "webhook_endpoints_held_back_because_check"


def upgrade() -> None:
    op.add_column(
        "webhook_endpoints",
        sa.Column("has_given_up", sa.Boolean(), server_default=sa.false(), nullable=False),
        if_not_exists=True,
    )
    op.execute(f"ALTER TABLE webhook_endpoints DROP CONSTRAINT IF EXISTS {NAME}")
    op.execute(f"ALTER TABLE webhook_endpoints ADD CONSTRAINT {NAME} CHECK ({CHECK}) NOT VALID")
    # Beside everybody who writes.
    with op.get_context().autocommit_block():
        op.execute(f"ALTER TABLE webhook_endpoints VALIDATE CONSTRAINT {NAME}")


# There is no way down: it would drop what was seen.
