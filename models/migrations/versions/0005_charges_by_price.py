"""Charges of a price, however many there are."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # Built while others write, as in 0003.
    with op.get_context().autocommit_block():
        op.execute("DROP INDEX CONCURRENTLY IF EXISTS charges_price_idx")
        op.create_index(
            "charges_price_idx",
            "charges",
            ["price_id", "created_at"],
            unique=False,
            postgresql_where=sa.text("price_id IS NOT NULL"),
            postgresql_concurrently=True,
        )


# There is no way down: it would drop what was paid.
