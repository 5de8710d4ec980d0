"""What each day brought to each account, counted once: what reports read."""

import sqlalchemy as sa
from alembic import op

revision = "0046"
down_revision = "0045"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "ledger_days",
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("book", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("account", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("amount", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("day", "book", "kind", "account", name="ledger_days_pkey"),
        if_not_exists=True,
    )
    op.create_table(
        "ledger_days_counted",
        sa.Column("until", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("until", name="ledger_days_counted_pkey"),
        if_not_exists=True,
    )
    # What is sealed already is counted by the sweep, seal by seal.
    op.execute(
        "INSERT INTO ledger_days_counted SELECT min(until) FROM ledger_seals"
        " WHERE NOT EXISTS (SELECT FROM ledger_days_counted) HAVING count(*) > 0"
    )


# There is no way down: reports would read every posting again.
