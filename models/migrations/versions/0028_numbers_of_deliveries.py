"""Deliveries are numbered at each endpoint."""

import sqlalchemy as sa
from alembic import op

from models.migrations.one_at_a_time import let_go

revision = "0028"
down_revision = "0027"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # Columns without a default, or with a constant one: no table is rewritten.
    op.add_column(
        "webhook_endpoints",
        sa.Column("last_sequence", sa.BigInteger(), server_default="0", nullable=False),
        if_not_exists=True,
    )
    let_go()
    op.add_column(
        "deliveries", sa.Column("sequence", sa.BigInteger(), nullable=True), if_not_exists=True
    )
    # Beside everybody who writes, as in 0003. What is there has no number yet, so it stays empty.
    with op.get_context().autocommit_block():
        op.execute("DROP INDEX CONCURRENTLY IF EXISTS deliveries_sequence_key")
        op.create_index(
            "deliveries_sequence_key",
            "deliveries",
            ["endpoint_id", "sequence"],
            unique=True,
            postgresql_where=sa.text("sequence IS NOT NULL"),
            postgresql_concurrently=True,
        )


# There is no way down: receivers know the numbers.
