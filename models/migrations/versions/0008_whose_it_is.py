"""Whose charges, refunds, events and endpoints are; what API keys may do; requests made once."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from models.migrations.one_at_a_time import let_go

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # Columns without a default, or with a constant one: no table is rewritten, whatever its size.
    for table in ("charges", "refunds"):
        # So far there was one processor, the sandbox.
        op.add_column(
            table,
            sa.Column("livemode", sa.Boolean(), server_default="false", nullable=False),
            if_not_exists=True,
        )
        let_go()
    op.add_column(
        "refunds", sa.Column("charge_producer", sa.String(), nullable=True), if_not_exists=True
    )
    # Those that are there were accepted when every producer could refund every charge.
    op.add_column(
        "refunds",
        sa.Column("any_charge", sa.Boolean(), server_default="true", nullable=False),
        if_not_exists=True,
    )
    op.alter_column("refunds", "any_charge", server_default="false")
    for table in ("events", "webhook_endpoints"):
        let_go()
        op.add_column(table, sa.Column("producer", sa.String(), nullable=True), if_not_exists=True)
    let_go()
    # Keys and endpoints that are there go on as they were: for all producers.
    op.add_column(
        "api_keys",
        sa.Column("all_producers", sa.Boolean(), server_default="true", nullable=False),
    )
    op.alter_column("api_keys", "all_producers", server_default="false")
    op.add_column("api_keys", sa.Column("signing_secret", sa.String(), nullable=True))
    op.drop_constraint(op.f("api_keys_scopes_check"), "api_keys", type_="check")
    op.create_check_constraint(
        op.f("api_keys_scopes_check"),
        "api_keys",
        "scopes <@ ARRAY['read', 'write', 'charges:read', 'charges:write', 'refunds:write',"
        " 'prices:read', 'prices:write', 'webhooks:write', 'operator', 'messages:sign']::varchar[]",
    )
    op.create_check_constraint(
        op.f("api_keys_signing_secret_check"),
        "api_keys",
        "(signing_secret IS NOT NULL) = (scopes = ARRAY['messages:sign']::varchar[])",
    )
    op.create_index(
        "api_keys_signing_idx",
        "api_keys",
        ["producer"],
        unique=False,
        postgresql_where=sa.text("signing_secret IS NOT NULL"),
    )

    op.create_table(
        "requests_made",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("producer", sa.String(), nullable=False),
        sa.Column("idempotency_key", sa.String(), nullable=False),
        sa.Column("operation", sa.String(), nullable=False),
        sa.Column("fingerprint", sa.String(), nullable=False),
        sa.Column("answer", postgresql.JSONB(astext_type=sa.Text()), nullable=True),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("requests_made_pkey")),
    )


# There is no way down: it would drop what was paid.
