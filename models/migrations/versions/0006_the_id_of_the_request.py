"""Which HTTP request, or which message, made a charge or a refund."""

import sqlalchemy as sa
from alembic import op

from models.migrations.one_at_a_time import let_go

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # No default: the tables are not rewritten, however large they are.
    for table in ("charges", "refunds"):
        op.add_column(
            table, sa.Column("request_id", sa.String(), nullable=True), if_not_exists=True
        )
        let_go()


# There is no way down: it would drop what was paid.
