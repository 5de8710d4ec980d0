"""Who did what by hand, in rows that are never changed."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0040"
down_revision = "0038"
branch_labels = None
depends_on = None

# For the owner of the tables, whom no missing right holds up.
_REFUSE = """
CREATE OR REPLACE FUNCTION refuse_to_change_history() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% is append-only: what was written stays', TG_TABLE_NAME
        USING ERRCODE = 'insufficient_privilege';
END
$$
"""
_NO_TRIGGER = "DROP TRIGGER IF EXISTS audit_log_append_only ON audit_log"
_TRIGGER = """
CREATE TRIGGER audit_log_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_log
FOR EACH STATEMENT EXECUTE FUNCTION refuse_to_change_history()
"""


def upgrade() -> None:
    op.create_table(
        "audit_log",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("clock_timestamp()"),
            nullable=False,
        ),
        sa.Column("actor", sa.String(), nullable=False),
        sa.Column("actor_kind", sa.String(), nullable=False),
        sa.Column("account", sa.String(), nullable=True),
        sa.Column("producer", sa.String(), nullable=True),
        sa.Column("door", sa.String(), nullable=False),
        sa.Column("action", sa.String(), nullable=False),
        sa.Column("object_id", sa.String(), nullable=False),
        sa.Column("reason", sa.String(), nullable=True),
        sa.Column("before", postgresql.JSONB(none_as_null=True), nullable=True),
        sa.Column("after", postgresql.JSONB(none_as_null=True), nullable=True),
        sa.Column("request_id", sa.String(), nullable=True),
        sa.CheckConstraint(
            "actor_kind IN ('person', 'key', 'producer', 'billing')",
            name=op.f("audit_log_kind_check"),
        ),
        sa.CheckConstraint(
            "door IN ('command', 'http', 'console', 'broker', 'sweep')",
            name=op.f("audit_log_door_check"),
        ),
        sa.PrimaryKeyConstraint("id", name="audit_log_pkey"),
        if_not_exists=True,
    )
    op.create_index("audit_log_created_idx", "audit_log", ["created_at", "id"], if_not_exists=True)
    op.create_index(
        "audit_log_actor_idx", "audit_log", ["actor", "created_at", "id"], if_not_exists=True
    )
    op.create_index(
        "audit_log_action_idx", "audit_log", ["action", "created_at", "id"], if_not_exists=True
    )
    op.create_index(
        "audit_log_object_idx", "audit_log", ["object_id", "created_at", "id"], if_not_exists=True
    )
    op.create_index(
        "audit_log_request_idx",
        "audit_log",
        ["request_id"],
        postgresql_using="hash",
        postgresql_where=sa.text("request_id IS NOT NULL"),
        if_not_exists=True,
    )
    op.execute(_REFUSE)
    op.execute(_NO_TRIGGER)
    op.execute(_TRIGGER)


# There is no way down: it would drop who did what.
