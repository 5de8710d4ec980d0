"""No index of what is held: nobody looks for it by itself any more."""

from alembic import op

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # Beside everybody who sells, as in 0003.
    with op.get_context().autocommit_block():
        op.execute("DROP INDEX CONCURRENTLY IF EXISTS reservations_held_idx")


# There is no way down: it would drop what was paid.
