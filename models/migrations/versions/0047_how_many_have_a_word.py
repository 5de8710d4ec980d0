"""How many charges and refunds have a word in their metadata: statistics for search, which has
PostgreSQL's estimate before it reads any of them."""

from alembic import op

revision = "0047"
down_revision = "0046"
branch_labels = None
depends_on = None

# As `models.lifecycle.words_index` has it. Of a partial index the planner keeps no such statistics.
_WORDS = "jsonb_to_tsvector('simple'::regconfig, metadata, '[\"string\"]'::jsonb)"


def upgrade() -> None:
    # Both beside everybody who reads and writes. Nothing is written with a charge: a sample is read
    # now and whenever autovacuum has the table analyzed.
    with op.get_context().autocommit_block():
        for table in ("charges", "refunds"):
            op.execute(f"CREATE STATISTICS IF NOT EXISTS {table}_words ON ({_WORDS}) FROM {table}")
            op.execute(f"ANALYZE {table}")


# There is no way down: search would look for what many have among all.
