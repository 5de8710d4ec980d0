"""Charges, refunds and events of one producer, however many there are of all."""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # Built while others write, as in 0003.
    with op.get_context().autocommit_block():
        # Refunds of another producer's charge belong to the producer of the charge. There are few;
        # only their rows are locked.
        op.execute(
            "UPDATE refunds r SET charge_producer = c.producer FROM charges c"
            " WHERE c.id = r.charge_id AND c.producer <> r.producer AND r.charge_producer IS NULL"
        )
        indexes: tuple[tuple[str, str, list[Any], Any], ...] = (
            ("charges_producer_created_idx", "charges", ["producer", "created_at", "id"], None),
            (
                "refunds_owner_created_idx",
                "refunds",
                [sa.text("COALESCE(charge_producer, producer)"), "created_at", "id"],
                None,
            ),
            (
                "events_producer_position_idx",
                "events",
                ["producer", "position"],
                sa.text("producer IS NOT NULL"),
            ),
        )
        for name, table, columns, where in indexes:
            op.execute(f"DROP INDEX CONCURRENTLY IF EXISTS {name}")
            op.create_index(
                name,
                table,
                columns,
                unique=False,
                postgresql_where=where,
                postgresql_concurrently=True,
            )


# There is no way down: it would drop what was paid.
