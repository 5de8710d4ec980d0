"""Deliveries know what they are about and what they wait for; what is replayed comes last."""

import sqlalchemy as sa
from alembic import op

revision = "0034"
down_revision = "0033"
branch_labels = None
depends_on = None

_FILLED = 10_000
# What waits learns which object it is about, so that it is sent in order. What is finished doesn't.
_FILL = sa.text(
    "UPDATE deliveries d SET object_id = e.object_id, object_sequence = e.sequence FROM events e"
    " WHERE e.id = d.event_id AND d.id IN (SELECT id FROM deliveries WHERE state = 'pending'"
    " AND object_id IS NULL ORDER BY id LIMIT :limit FOR NO KEY UPDATE SKIP LOCKED)"
    " RETURNING d.id"
)
_INDEXES = {
    "deliveries_object_idx": ["object_id", "endpoint_id", "object_sequence"],
    "deliveries_due_next_idx": ["endpoint_id", "is_replay", "next_attempt_at"],
}


def upgrade() -> None:
    # Columns without a default, or with a constant one: no table is rewritten.
    for column in (
        sa.Column("object_id", sa.String(), nullable=True),
        sa.Column("object_sequence", sa.Integer(), nullable=True),
        sa.Column("is_replay", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("waits_for", sa.BigInteger(), nullable=True),
    ):
        op.add_column("deliveries", column, if_not_exists=True)
    # Beside everybody who writes, as in 0003; each statement is a transaction of its own.
    with op.get_context().autocommit_block():
        while op.get_bind().execute(_FILL, {"limit": _FILLED}).first():
            pass
        for name, columns in _INDEXES.items():
            op.execute(f"DROP INDEX CONCURRENTLY IF EXISTS {name}")
            op.create_index(
                name,
                "deliveries",
                columns,
                unique=False,
                postgresql_where=sa.text("state = 'pending'"),
                postgresql_concurrently=True,
            )
        # Until they are replaced, old processes find what is due by the new one, too: it holds the
        # same rows, of which they read those that are not due yet as well.
        op.execute("DROP INDEX CONCURRENTLY IF EXISTS deliveries_due_idx")
        op.execute("ALTER INDEX deliveries_due_next_idx RENAME TO deliveries_due_idx")


# There is no way down: it would drop what was delivered.
