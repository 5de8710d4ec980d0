"""Of each post its times, headers and trigger; of each endpoint how its last posts went."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from models.migrations.one_at_a_time import let_go

revision = "0030"
down_revision = "0029"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # Columns without a default, or with a constant one: no table is rewritten.
    for column in (
        sa.Column("trigger", sa.String(), nullable=True),
        sa.Column("dns_ms", sa.Integer(), nullable=True),
        sa.Column("connect_ms", sa.Integer(), nullable=True),
        sa.Column("tls_ms", sa.Integer(), nullable=True),
        sa.Column("first_byte_ms", sa.Integer(), nullable=True),
        sa.Column("response_headers", postgresql.JSONB(), nullable=True),
    ):
        op.add_column("delivery_attempts", column, if_not_exists=True)
    let_go()
    op.add_column(
        "deliveries", sa.Column("trigger", sa.String(), nullable=True), if_not_exists=True
    )
    let_go()
    recent: sa.Column[list[int]] = sa.Column(
        "recent_ms",
        postgresql.ARRAY(sa.Integer()),
        server_default=sa.text("'{}'"),
        nullable=False,
    )
    op.add_column("webhook_endpoints", recent, if_not_exists=True)
    succeeded = sa.Column("last_success_at", sa.DateTime(timezone=True), nullable=True)
    op.add_column("webhook_endpoints", succeeded, if_not_exists=True)
    # Built while others write, as in 0003.
    with op.get_context().autocommit_block():
        op.execute("DROP INDEX CONCURRENTLY IF EXISTS deliveries_listed_idx")
        op.create_index(
            "deliveries_listed_idx",
            "deliveries",
            [sa.text("upper(state)"), "endpoint_id", "created_at", "id"],
            unique=False,
            postgresql_concurrently=True,
        )


# There is no way down: it would drop what was recorded.
