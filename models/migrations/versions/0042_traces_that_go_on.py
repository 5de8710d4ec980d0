"""Endpoints that are sent the trace of the request that a webhook goes back to."""

import sqlalchemy as sa
from alembic import op

revision = "0042"
down_revision = "0041"
branch_labels = None
depends_on = None

_CHECK = "trace_context IN ('off', 'forward')"


def upgrade() -> None:
    # With a constant default: the table, a row for each endpoint, is not rewritten.
    op.add_column(
        "webhook_endpoints",
        sa.Column("trace_context", sa.String(), server_default="off", nullable=False),
        if_not_exists=True,
    )
    op.drop_constraint("trace_context", "webhook_endpoints", type_="check", if_exists=True)
    op.create_check_constraint("trace_context", "webhook_endpoints", _CHECK)


def downgrade() -> None:
    op.drop_column("webhook_endpoints", "trace_context", if_exists=True)
