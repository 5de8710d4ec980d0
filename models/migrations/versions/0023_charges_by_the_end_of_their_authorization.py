"""Authorizations that end soon, however many there are."""

import sqlalchemy as sa
from alembic import op

revision = "0023"
down_revision = "0022"
branch_labels = None
depends_on = None

_CHECKS = (
    "phase",
    "capture",
    "captured_by_hand",
    "captured_within_amount",
    "refunds_within_captured",
    "success_was_captured",
    "authorized",
    "authorized_to_be_captured",
)
_INDEXES = {
    "charges_capture_before_idx": "phase = 'authorized' AND cancel_requested_at IS NULL",
    "charges_capture_warning_idx": "phase = 'authorized' AND capture_warned_at IS NULL",
}


def upgrade() -> None:
    # Beside everybody who writes, as in 0003; each statement is a transaction of its own.
    with op.get_context().autocommit_block():
        for name in _CHECKS:
            op.execute(f"ALTER TABLE charges VALIDATE CONSTRAINT charges_{name}_check")
        for name, which in _INDEXES.items():
            op.execute(f"DROP INDEX CONCURRENTLY IF EXISTS {name}")
            op.create_index(
                name,
                "charges",
                ["capture_before"],
                unique=False,
                postgresql_where=sa.text(which),
                postgresql_concurrently=True,
            )


# There is no way down: it would drop what was paid.
