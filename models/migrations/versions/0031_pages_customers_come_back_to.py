"""The page to which a customer comes back who was sent to the processor's."""

import sqlalchemy as sa
from alembic import op

revision = "0031"
down_revision = "0030"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # Without a default: no row is rewritten.
    op.add_column(
        "charges", sa.Column("return_url", sa.String(), nullable=True), if_not_exists=True
    )


# There is no way down: it would drop what was asked for.
