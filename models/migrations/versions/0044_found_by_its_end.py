"""Charges and refunds by when they ended: what exports read."""

import sqlalchemy as sa
from alembic import op

revision = "0044"
down_revision = "0043"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # Beside everybody who writes, as in 0003.
    with op.get_context().autocommit_block():
        for table in ("charges", "refunds"):
            name = f"{table}_settled_idx"
            op.execute(f"DROP INDEX CONCURRENTLY IF EXISTS {name}")
            op.create_index(
                name,
                table,
                ["settled_at", "id"],
                postgresql_where=sa.text("settled_at IS NOT NULL"),
                postgresql_concurrently=True,
            )


# There is no way down: what is found by it would be slow.
