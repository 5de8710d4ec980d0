"""Charges that were written before disputes and fees were kept obey their rules, too."""

from alembic import op

revision = "0025"
down_revision = "0024"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # Beside everybody who writes, as in 0003; each statement is a transaction of its own.
    with op.get_context().autocommit_block():
        for name in ("disputed_amount", "fee_is_whole"):
            op.execute(f"ALTER TABLE charges VALIDATE CONSTRAINT charges_{name}_check")


# There is no way down: it would drop what was paid.
