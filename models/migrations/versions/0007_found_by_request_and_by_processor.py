"""Charges and refunds found by the id of their request, and by the processor's reference."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # Built while others write, as in 0003.
    with op.get_context().autocommit_block():
        for table in ("charges", "refunds"):
            for index, column in (
                ("request", "request_id"),
                ("processor_reference", "processor_reference"),
            ):
                name = f"{table}_{index}_idx"
                op.execute(f"DROP INDEX CONCURRENTLY IF EXISTS {name}")
                op.create_index(
                    name,
                    table,
                    [column],
                    unique=False,
                    postgresql_using="hash",
                    postgresql_where=sa.text(f"{column} IS NOT NULL"),
                    postgresql_concurrently=True,
                )


# There is no way down: it would drop what was paid.
