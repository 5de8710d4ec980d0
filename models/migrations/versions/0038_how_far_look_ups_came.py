"""How far a look-up through a processor's lists came; and what customers get to read of a charge."""

import sqlalchemy as sa
from alembic import op

from models.migrations.one_at_a_time import let_go

revision = "0038"
down_revision = "0036"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # Without defaults: no row is rewritten.
    op.add_column(
        "attempts", sa.Column("looked_until", sa.DateTime(timezone=True)), if_not_exists=True
    )
    let_go()
    for name in ("statement_descriptor", "receipt_email"):
        op.add_column("charges", sa.Column(name, sa.String(), nullable=True), if_not_exists=True)


# There is no way down: it would drop what was asked for.
