"""What the sandbox wrote before it could set money aside keeps the new rules, too."""

from alembic import op

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # Beside everybody who writes, as in 0003; each statement is a transaction of its own.
    with op.get_context().autocommit_block():
        for table, name in (
            ("sandbox_requests", "kind"),
            ("sandbox_requests", "status"),
            ("sandbox_requests", "authorized_has_an_end"),
            ("sandbox_requests", "captured_within_amount"),
            ("sandbox_ledger", "direction"),
        ):
            op.execute(f"ALTER TABLE {table} VALIDATE CONSTRAINT {table}_{name}_check")


# There is no way down: it would drop what was paid.
