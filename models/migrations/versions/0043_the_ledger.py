"""The ledger. What was there before it is posted afterwards, by a sweep, beside everybody."""

import sqlalchemy as sa
from alembic import op

revision = "0043"
down_revision = "0042"
branch_labels = None
depends_on = None

# Also for the owner of the tables, whom no missing right holds up.
_REFUSE = """
CREATE OR REPLACE FUNCTION refuse_to_change_history() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% is append-only: what was written stays', TG_TABLE_NAME
        USING ERRCODE = 'insufficient_privilege';
END
$$
"""
_APPEND_ONLY = ("ledger_books", "ledger_postings", "ledger_seals", "ledger_balances")

# Both entries of each posting: what is debited is above zero, what is credited below.
_ENTRIES = """
CREATE OR REPLACE VIEW ledger_entries AS
SELECT p.at, p.id, p.effective_at, p.object_id, b.producer, b.processor, b.currency, b.livemode,
       e.side,
       (ARRAY['customer', 'clearing', 'in_transit', 'fees', 'disputes', 'refunds_payable',
              'exchange', 'bank'])[e.account] AS account,
       e.amount
FROM ledger_postings p JOIN ledger_books b ON b.id = p.book
CROSS JOIN LATERAL (VALUES
    ('debit', p.debit::int, p.amount), ('credit', p.credit::int, -p.amount)
) AS e (side, account, amount)
"""
_FILLING = """
INSERT INTO ledger_filling (name, finished_at) VALUES
    ('charges', CASE WHEN NOT EXISTS (SELECT FROM charges) THEN now() END),
    ('refunds', CASE WHEN NOT EXISTS (SELECT FROM refunds) THEN now() END),
    ('disputes', CASE WHEN NOT EXISTS (SELECT FROM disputes) THEN now() END)
ON CONFLICT DO NOTHING
"""
# The chain begins here: what is behind this moment has no seal.
_FIRST_SEAL = """
INSERT INTO ledger_seals (until, postings, hash)
VALUES (date_trunc('hour', now(), 'UTC'), 0, encode(sha256('billing ledger'), 'hex'))
ON CONFLICT DO NOTHING
"""


def _moment(name: str, **options: object) -> sa.Column[object]:
    return sa.Column(name, sa.DateTime(timezone=True), **options)  # type: ignore[arg-type]


def upgrade() -> None:
    op.create_table(
        "ledger_books",
        sa.Column("id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("producer", sa.String(), nullable=False),
        sa.Column("processor", sa.String(), nullable=False),
        sa.Column("currency", sa.String(), nullable=False),
        sa.Column("livemode", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="ledger_books_pkey"),
        if_not_exists=True,
    )
    op.create_table(
        "ledger_postings",
        _moment("at", nullable=False),
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        _moment("effective_at", nullable=False),
        sa.Column("amount", sa.BigInteger(), nullable=False),
        sa.Column("book", sa.BigInteger(), nullable=False),
        sa.Column("debit", sa.SmallInteger(), nullable=False),
        sa.Column("credit", sa.SmallInteger(), nullable=False),
        sa.Column("object_id", sa.String(), nullable=False),
        sa.CheckConstraint("amount > 0", name=op.f("ledger_postings_amount_positive_check")),
        sa.CheckConstraint("debit <> credit", name=op.f("ledger_postings_two_accounts_check")),
        sa.PrimaryKeyConstraint("at", "id", name="ledger_postings_pkey"),
        if_not_exists=True,
    )
    op.create_index(
        "ledger_postings_object_idx",
        "ledger_postings",
        ["object_id"],
        postgresql_using="hash",
        if_not_exists=True,
    )
    op.create_index(
        "ledger_postings_effective_idx",
        "ledger_postings",
        ["effective_at", "id"],
        if_not_exists=True,
    )
    op.create_table(
        "ledger_seals",
        _moment("until", nullable=False),
        sa.Column("postings", sa.BigInteger(), nullable=False),
        sa.Column("hash", sa.String(), nullable=False),
        _moment("sealed_at", server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("until", name="ledger_seals_pkey"),
        if_not_exists=True,
    )
    op.create_table(
        "ledger_balances",
        sa.Column("book", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("account", sa.SmallInteger(), autoincrement=False, nullable=False),
        _moment("until", nullable=False),
        sa.Column("balance", sa.BigInteger(), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("book", "account", "until", name="ledger_balances_pkey"),
        if_not_exists=True,
    )
    op.create_table(
        "ledger_filling",
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("walked", sa.String(), server_default="", nullable=False),
        _moment("started_at", server_default=sa.text("now()"), nullable=False),
        _moment("finished_at", nullable=True),
        sa.PrimaryKeyConstraint("name", name="ledger_filling_pkey"),
        if_not_exists=True,
    )
    op.execute(_REFUSE)
    for table in _APPEND_ONLY:
        op.execute(
            f"CREATE OR REPLACE TRIGGER {table}_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON {table}"
            " FOR EACH STATEMENT EXECUTE FUNCTION refuse_to_change_history()"
        )
    op.execute(_ENTRIES)
    op.execute(_FIRST_SEAL)
    op.execute(_FILLING)


# There is no way down: it would drop the books.
