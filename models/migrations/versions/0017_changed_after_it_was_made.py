"""A product or price is changed, for the first time, when its row is written: not before."""

import sqlalchemy as sa
from alembic import op

from models.migrations.one_at_a_time import let_go

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # A word in the catalogue: no row is touched.
    for table in ("prices", "products"):
        op.alter_column(table, "updated_at", server_default=sa.text("clock_timestamp()"))
        let_go()


# There is no way down: it would drop what was paid.
