"""What is kept for a time: how far the walks of the sweep have come, and what they find by."""

import sqlalchemy as sa
from alembic import op

revision = "0033"
down_revision = "0032"
branch_labels = None
depends_on = None

_INDEXES = (
    ("rejected_requests_created_idx", "rejected_requests", "created_at", None),
    ("requests_made_created_idx", "requests_made", "created_at", None),
    (
        "quarantined_messages_released_idx",
        "quarantined_messages",
        "released_at",
        "released_at IS NOT NULL",
    ),
)


def upgrade() -> None:
    # Beside everybody who writes, as in 0003; each statement is a transaction of its own.
    with op.get_context().autocommit_block():
        for name, table, column, which in _INDEXES:
            op.execute(f"DROP INDEX CONCURRENTLY IF EXISTS {name}")
            op.create_index(
                name,
                table,
                [column],
                unique=False,
                postgresql_where=sa.text(which) if which else None,
                postgresql_concurrently=True,
            )
    op.create_table(
        "retention",
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("walked", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("through", sa.BigInteger(), nullable=True),
        sa.Column("rested_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("gone", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("gone_before", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("name", name="retention_pkey"),
        if_not_exists=True,
    )
    op.execute(
        "INSERT INTO retention (name) VALUES ('events'), ('delivery_attempts') ON CONFLICT DO NOTHING"
    )


# There is no way down: it would drop what was paid.
