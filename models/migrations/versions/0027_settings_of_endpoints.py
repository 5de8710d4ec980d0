"""What may be set of an endpoint: headers of its own, a rate, its retries, whether in order."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import ARRAY

revision = "0027"
down_revision = "0026"
branch_labels = None
depends_on = None

_CHECKS = {
    "headers_are_whole": "cardinality(header_names) = cardinality(header_values)",
    "rate_limit_positive": "rate_limit > 0",
    "retry_schedule": "cardinality(retry_schedule) > 0 AND 0 < ALL (retry_schedule)",
    "ordered": "ordered IN ('strict', 'relaxed')",
}
_NOTHING = sa.text("'{}'")


def upgrade() -> None:
    # All this is committed before rows are changed or read, and done again when that fails.
    # Columns without a default, or with a constant one: no table is rewritten.
    for column in (
        sa.Column("header_names", ARRAY(sa.String()), server_default=_NOTHING, nullable=False),
        sa.Column("header_values", ARRAY(sa.String()), server_default=_NOTHING, nullable=False),
        sa.Column("rate_limit", sa.Integer(), nullable=True),
        sa.Column("retry_schedule", ARRAY(sa.Integer()), nullable=True),
        sa.Column("ordered", sa.String(), server_default="relaxed", nullable=False),
        sa.Column("next_post_at", sa.DateTime(timezone=True), nullable=True),
    ):
        op.add_column("webhook_endpoints", column, if_not_exists=True)
    op.execute("ALTER TABLE webhook_endpoints ALTER COLUMN max_in_flight SET DEFAULT 256")
    # NOT VALID: new rows keep them at once, and no table is read while others wait.
    for name, check in _CHECKS.items():
        constraint = f"webhook_endpoints_{name}_check"
        op.execute(f"ALTER TABLE webhook_endpoints DROP CONSTRAINT IF EXISTS {constraint}")
        op.execute(
            f"ALTER TABLE webhook_endpoints ADD CONSTRAINT {constraint} CHECK ({check}) NOT VALID"
        )
    # Beside everybody who delivers; each statement is a transaction of its own.
    with op.get_context().autocommit_block():
        # Sixteen is what an endpoint had that nobody said anything else of.
        op.execute("UPDATE webhook_endpoints SET max_in_flight = 256 WHERE max_in_flight = 16")
        for name in _CHECKS:
            op.execute(
                f"ALTER TABLE webhook_endpoints VALIDATE CONSTRAINT webhook_endpoints_{name}_check"
            )


# There is no way down: it would drop what was set.
