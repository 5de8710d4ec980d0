"""Two roles of PostgreSQL: one owns and migrates the tables, the other is the service.

The service may only read and write rows. In history tables (`models.base.APPEND_ONLY`) it may
insert rows, and never change or delete one: even with a bug, or a stolen password, the record
stays. With a single role, which is allowed, only a trigger prevents that, and the owner of a table
can remove its trigger.
"""

from typing import Any

from sqlalchemy import Connection, make_url, text
from sqlalchemy.exc import DBAPIError
from sqlmodel import SQLModel

from models.base import APPEND_ONLY, VIEWS
from service.database.diagnosis import Hopeless

_VERSIONS = "alembic_version"


def equip(connection: Connection, runs_as: str) -> None:
    """Grant the role of this URL what the service needs, as the role that owns the tables; nothing
    to do if they are the same. A missing role is created, with the password in the URL.

    Raises Hopeless if it can't be created.
    """
    url = make_url(runs_as)
    name, password = url.username, url.password
    owner = connection.scalar(text("SELECT current_user"))
    if name is None or name == owner:
        connection.rollback()
        return
    quote = connection.dialect.identifier_preparer.quote
    role = quote(name)
    if not connection.scalar(text("SELECT 1 FROM pg_roles WHERE rolname = :name"), {"name": name}):
        _require_may_create(connection, name, password, owner)
        _make(connection, role, name, str(password))
    schema = quote(str(connection.scalar(text("SELECT current_schema()"))))
    tables = ", ".join(f"{schema}.{quote(one)}" for one in SQLModel.metadata.tables)
    history = ", ".join(f"{schema}.{quote(one)}" for one in APPEND_ONLY)
    read = ", ".join(f"{schema}.{quote(one)}" for one in (*VIEWS, _VERSIONS))
    for statement in (
        f"GRANT USAGE ON SCHEMA {schema} TO {role}",
        f"GRANT SELECT, INSERT, UPDATE, DELETE ON {tables} TO {role}",
        f"REVOKE UPDATE, DELETE, TRUNCATE ON {history} FROM {role}",
        f"GRANT SELECT ON {read} TO {role}",
    ):
        connection.exec_driver_sql(statement)
    connection.commit()


def owns_history(connection: Connection) -> bool:
    """Whether the present role could change history: it owns the tables, or is a superuser."""
    return bool(connection.scalar(_OWNS, {"names": list(APPEND_ONLY)}))


def _require_may_create(
    connection: Connection, name: str, password: str | None, owner: str
) -> None:
    may = connection.scalar(
        text("SELECT rolcreaterole OR rolsuper FROM pg_roles WHERE rolname = current_user")
    )
    if may and password is not None:
        return
    connection.rollback()
    lacks = f"{owner} may not create roles" if not may else "its URL has no password"
    raise Hopeless(
        f"there is no role {name}, which BILLING_DATABASE_URL names, and {lacks}: as a role that"
        f" may, CREATE ROLE {name} LOGIN PASSWORD '…'; then `billing migrate` again"
    )


def _make(connection: Connection, role: str, name: str, password: str) -> None:
    driver: Any = connection.connection.driver_connection
    # Hashed as the server would: the password itself is in no statement, and so in no log.
    hashed = driver.pgconn.encrypt_password(password.encode(), name.encode(), b"scram-sha-256")
    try:
        connection.exec_driver_sql(f"CREATE ROLE {role} LOGIN PASSWORD '{hashed.decode()}'")
    except DBAPIError as refused:
        if refused.connection_invalidated:
            raise
        connection.rollback()
        diag = getattr(refused.orig, "diag", None)
        said = getattr(diag, "message_primary", None) or type(refused.orig).__name__
        # Without the statement, which contains the hash: for a weak password that is as good as the
        # password.
        raise Hopeless(
            f"the role {name}, which BILLING_DATABASE_URL names, can't be made: {said}"
        ) from None


_OWNS = text("""
    SELECT coalesce(bool_or(pg_has_role(current_user, c.relowner, 'USAGE')), false)
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE n.nspname = current_schema() AND c.relkind = 'r' AND c.relname = ANY(:names)
""")
