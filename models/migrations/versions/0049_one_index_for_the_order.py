"""What is unfinished of one object is found by an index that nothing else can stand in for."""

import sqlalchemy as sa
from alembic import op

revision = "0049"
down_revision = "0048"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # Beside everybody who writes, as in 0003; each statement is a transaction of its own.
    with op.get_context().autocommit_block():
        op.execute("DROP INDEX CONCURRENTLY IF EXISTS deliveries_unfinished_idx")
        op.create_index(
            "deliveries_unfinished_idx",
            "deliveries",
            ["object_id", "endpoint_id", "object_sequence"],
            unique=False,
            postgresql_where=sa.text("finished_at IS NULL"),
            postgresql_concurrently=True,
        )
        # Until they are replaced, old processes find it by the index of what is due: slowly, where
        # much waits.
        op.execute("DROP INDEX CONCURRENTLY IF EXISTS deliveries_object_idx")


# There is no way down.
