"""How Alembic sees us: on the connection it is given, one transaction per migration."""

from typing import Any, Literal

from alembic import context
from sqlmodel import AutoString, SQLModel

import models  # noqa: F401  # registers every table with the metadata


def in_plain_sqlalchemy(kind: str, item: Any, _context: Any) -> str | Literal[False]:
    """SQLModel's text type by the name that a migration, which imports no models, knows."""
    return "sa.String()" if kind == "type" and isinstance(item, AutoString) else False


connection = context.config.attributes["connection"]
schema = connection.dialect.default_schema_name
context.configure(
    connection=connection,
    # Ours, though another installation's be further along the search path.
    version_table_schema=None if schema == "public" else schema,
    target_metadata=SQLModel.metadata,
    # One that fails leaves those before it done, and `autocommit_block` may build an index
    # without holding up writers.
    transaction_per_migration=True,
    compare_server_default=True,
    render_item=in_plain_sqlalchemy,
)
with context.begin_transaction():
    context.run_migrations()
