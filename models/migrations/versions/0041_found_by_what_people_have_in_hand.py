"""Charges and refunds found by amount and by words of their metadata; captures by their request,
disputes by the processor's reference."""

from alembic import op

revision = "0041"
down_revision = "0040"
branch_labels = None
depends_on = None

# As `payments.history.search` asks. Few entries wait to be merged: whoever writes the one too many
# merges them all, in some milliseconds.
_WORDS = (
    "USING gin (jsonb_to_tsvector('simple'::regconfig, metadata, '[\"string\"]'::jsonb))"
    " WITH (gin_pending_list_limit = 256) WHERE metadata <> '{}'::jsonb"
)
_INDEXES = (
    ("charges_amount_idx", "charges (currency, amount, created_at)"),
    ("refunds_amount_idx", "refunds (currency, amount, created_at)"),
    ("charges_words_idx", f"charges {_WORDS}"),
    ("refunds_words_idx", f"refunds {_WORDS}"),
    ("captures_request_idx", "captures USING hash (request_id) WHERE request_id IS NOT NULL"),
    ("disputes_processor_reference_idx", "disputes USING hash (processor_reference)"),
)


def upgrade() -> None:
    # Beside everybody who writes, as in 0003; each statement is a transaction of its own.
    with op.get_context().autocommit_block():
        for name, what in _INDEXES:
            op.execute(f"DROP INDEX CONCURRENTLY IF EXISTS {name}")
            op.execute(f"CREATE INDEX CONCURRENTLY {name} ON {what}")


# There is no way down: it would drop what was paid.
