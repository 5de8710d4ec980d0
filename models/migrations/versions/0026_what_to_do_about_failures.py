"""What to do about a charge that failed, and when."""

import sqlalchemy as sa
from alembic import op

revision = "0026"
down_revision = "0025"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # All this is committed before the table is read, and done again when that fails.
    for column in (
        sa.Column("failure_advice", sa.String(), nullable=True),
        sa.Column("retry_at", sa.DateTime(timezone=True), nullable=True),
    ):
        op.add_column("charges", column, if_not_exists=True)
    op.execute("ALTER TABLE charges DROP CONSTRAINT IF EXISTS charges_failure_advice_check")
    # No row has an advice yet, so there is nothing to look at; to look would read all of them.
    op.execute(
        "ALTER TABLE charges ADD CONSTRAINT charges_failure_advice_check CHECK"
        " (failure_advice IN ('retry_later', 'ask_customer', 'stop')) NOT VALID"
    )
    # Beside everybody who writes.
    with op.get_context().autocommit_block():
        op.execute("ALTER TABLE charges VALIDATE CONSTRAINT charges_failure_advice_check")


# There is no way down: it would drop what was advised.
