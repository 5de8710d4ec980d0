"""Drainers that listen: they are told what became due without a message."""

import sqlalchemy as sa
from alembic import op

revision = "0048"
down_revision = "0047"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column(
        "webhook_endpoints",
        sa.Column("drain_is_listening", sa.Boolean(), server_default=sa.false(), nullable=False),
        if_not_exists=True,
    )


# There is no way down.
