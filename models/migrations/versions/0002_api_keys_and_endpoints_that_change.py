"""API keys, and endpoints that rotate secrets, are replayed to, and are deleted."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from models.migrations.one_at_a_time import let_go

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # Columns with constant defaults: no table is rewritten, whatever its size.
    op.add_column(
        "deliveries",
        sa.Column("attempts_before", sa.Integer(), server_default="0", nullable=False),
        if_not_exists=True,
    )
    let_go()
    op.create_table(
        "api_keys",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("producer", sa.String(), nullable=False),
        sa.Column("secret_sha256", sa.LargeBinary(), nullable=False),
        sa.Column("scopes", postgresql.ARRAY(sa.String()), nullable=False),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.Column("revoked_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("cardinality(scopes) > 0", name=op.f("api_keys_has_a_scope_check")),
        sa.CheckConstraint(
            "octet_length(secret_sha256) = 32", name=op.f("api_keys_secret_sha256_size_check")
        ),
        sa.CheckConstraint(
            "scopes <@ ARRAY['read', 'write']::varchar[]", name=op.f("api_keys_scopes_check")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("api_keys_pkey")),
    )
    op.create_index("api_keys_created_idx", "api_keys", ["created_at", "id"], unique=False)

    op.add_column(
        "webhook_endpoints",
        sa.Column("older_secrets_until", sa.DateTime(timezone=True), nullable=True),
    )
    op.add_column(
        "webhook_endpoints", sa.Column("deleted_at", sa.DateTime(timezone=True), nullable=True)
    )
    op.create_check_constraint(
        op.f("webhook_endpoints_deleted_at_check"),
        "webhook_endpoints",
        "(state = 'deleted') = (deleted_at IS NOT NULL)",
    )
    # Endpoints are few: reading them all for a new constraint takes no time.
    op.drop_constraint(op.f("webhook_endpoints_state_check"), "webhook_endpoints", type_="check")
    op.create_check_constraint(
        op.f("webhook_endpoints_state_check"),
        "webhook_endpoints",
        "state IN ('enabled', 'disabled', 'deleted')",
    )
    op.drop_constraint(
        op.f("webhook_endpoints_has_a_secret_check"), "webhook_endpoints", type_="check"
    )
    op.create_check_constraint(
        op.f("webhook_endpoints_has_a_secret_check"),
        "webhook_endpoints",
        "(cardinality(secrets) = 0) = (state = 'deleted')",
    )


# There is no way down: it would drop what was paid.
