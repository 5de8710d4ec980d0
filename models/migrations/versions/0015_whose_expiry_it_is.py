"""Whether a charge expires because it asked to, or because nobody waits longer for a customer."""

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # A constant default: the table is not rewritten. What expires already is left as it is: nobody
    # can tell any more who set it.
    op.add_column(
        "charges",
        sa.Column("expires_by_default", sa.Boolean(), server_default="false", nullable=False),
    )


# There is no way down: it would drop what was paid.
