"""Lists of charges and refunds by state, however many there are."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # Alone in its migration: it is built while others write, which needs no transaction, and a try
    # that broke off left half an index, which is removed first.
    with op.get_context().autocommit_block():
        for table in ("charges", "refunds"):
            name = f"{table}_open_created_idx"
            op.execute(f"DROP INDEX CONCURRENTLY IF EXISTS {name}")
            op.create_index(
                name,
                table,
                ["created_at", "id"],
                unique=False,
                postgresql_where=sa.text("state <> 'succeeded'"),
                postgresql_concurrently=True,
            )


# There is no way down: it would drop what was paid.
