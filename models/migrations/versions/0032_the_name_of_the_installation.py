"""The name under which the objects of this installation stand at a processor."""

import sqlalchemy as sa
from alembic import op

revision = "0032"
down_revision = "0031"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "installation",
        sa.Column("one", sa.Boolean(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("named_from", sa.DateTime(timezone=True), nullable=False),
        sa.Column("used_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("one", name=op.f("installation_is_one_check")),
        sa.PrimaryKeyConstraint("one", name=op.f("installation_pkey")),
        if_not_exists=True,
    )
    # Workers of the version before go on for a while, and send without a name. What they have sent
    # is sent again by others under the same key only if those know of it.
    op.execute("""
        INSERT INTO installation (one, name, named_from)
        SELECT true, 'i-' || left(md5(random()::text || clock_timestamp()::text), 12),
               now() + interval '1 hour'
        WHERE EXISTS (SELECT FROM charges) ON CONFLICT DO NOTHING
    """)


# There is no way down: it would drop what stands at the processor.
