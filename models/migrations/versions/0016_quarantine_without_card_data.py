"""Whether card data was taken out of a message in quarantine."""

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # Without a default: null says of what lies there already that nobody has looked for card data.
    # A sweep does, and finds those by an index that is empty afterwards.
    with op.get_context().autocommit_block():
        op.execute("ALTER TABLE quarantined_messages ADD COLUMN IF NOT EXISTS masked BOOLEAN")
        op.execute("DROP INDEX CONCURRENTLY IF EXISTS quarantined_messages_unseen_idx")
        op.create_index(
            "quarantined_messages_unseen_idx",
            "quarantined_messages",
            ["id"],
            unique=False,
            postgresql_where=sa.text("masked IS NULL"),
            postgresql_concurrently=True,
        )


# There is no way down: it would drop what was paid.
