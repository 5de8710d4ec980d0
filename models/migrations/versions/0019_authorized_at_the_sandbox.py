"""The sandbox sets money aside, and takes it when it is captured."""

import sqlalchemy as sa
from alembic import op

from models.migrations.one_at_a_time import let_go

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None

_LEDGER = "direction IN ('charge', 'capture', 'refund', 'reversal')"
_REQUESTS = {
    "kind": "kind IN ('charge', 'capture', 'refund')",
    "status": "status IN ('open', 'pending', 'authorized', 'succeeded', 'declined', 'canceled')",
    "authorized_has_an_end": "status <> 'authorized' OR (capture = 'manual' AND capture_before IS"
    " NOT NULL)",
    "captured_within_amount": "0 <= captured AND captured <= amount",
}


def upgrade() -> None:
    # Columns without a default, or with a constant one: no table is rewritten.
    for column in (
        sa.Column("capture", sa.String(), server_default="automatic", nullable=False),
        sa.Column("captured", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("capture_before", sa.DateTime(timezone=True), nullable=True),
    ):
        op.add_column("sandbox_requests", column, if_not_exists=True)
    # NOT VALID: new rows keep them at once, and no table is read while others wait. The next
    # migration reads the old rows, beside everybody who writes.
    for name, check in _REQUESTS.items():
        _replace("sandbox_requests", name, check)
    let_go()
    _replace("sandbox_ledger", "direction", _LEDGER)


def _replace(table: str, name: str, check: str) -> None:
    op.execute(f"ALTER TABLE {table} DROP CONSTRAINT IF EXISTS {table}_{name}_check")
    op.execute(f"ALTER TABLE {table} ADD CONSTRAINT {table}_{name}_check CHECK ({check}) NOT VALID")


# There is no way down: it would drop what was paid.
