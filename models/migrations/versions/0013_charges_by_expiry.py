"""Charges whose time is up, however many there are."""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # Beside everybody who writes, as in 0003; each statement is a transaction of its own.
    with op.get_context().autocommit_block():
        for table, name in (
            ("charges", "charges_cancel_is_whole_check"),
            ("charges", "charges_cancel_code_check"),
            ("sandbox_requests", "sandbox_requests_status_check"),
        ):
            op.execute(f"ALTER TABLE {table} VALIDATE CONSTRAINT {name}")
        op.execute("DROP INDEX CONCURRENTLY IF EXISTS charges_expiry_idx")
        op.create_index(
            "charges_expiry_idx",
            "charges",
            ["expires_at"],
            unique=False,
            postgresql_where=sa.text(
                "state = 'pending' AND cancel_requested_at IS NULL AND expires_at IS NOT NULL"
            ),
            postgresql_concurrently=True,
        )


# There is no way down: it would drop what was paid.
