"""DB-API connections (PEP 249): what they have in common, and their differences in parameters and
autocommit."""

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

from infra.billing.errors import InvalidRequest

STYLES = ("qmark", "format", "pyformat", "numeric", "named")


def paramstyle_of(connection: Any) -> str:
    """How a connection's module marks parameters. Raises InvalidRequest.

    SQLAlchemy's wrapper passes on what it wraps; Django has its own style.
    """
    if hasattr(connection, "in_atomic_block"):
        return "format"
    made = getattr(connection, "dbapi_connection", None) or connection
    for kind in type(made).__mro__:
        module = sys.modules.get(kind.__module__.partition(".")[0])
        style = getattr(module, "paramstyle", None)
        if style in STYLES:
            return str(style)
    raise InvalidRequest(
        "the connection's module does not say its paramstyle: pass paramstyle= to Inbox, one of"
        f" {', '.join(STYLES)}",
        param="store",
    )


def execute(connection: Any, statement: str, values: Sequence[object], *, paramstyle: str) -> Any:
    """A cursor on which a statement with `?` for each value was executed."""
    written, given = _written(statement, values, paramstyle)
    cursor = connection.cursor()
    try:
        cursor.execute(written, given) if values else cursor.execute(written)
    except BaseException:
        with suppress(Exception):
            cursor.close()
        raise
    return cursor


def _written(statement: str, values: Sequence[object], paramstyle: str) -> tuple[str, Any]:
    parts = statement.split("?")
    if paramstyle == "qmark":
        return statement, tuple(values)
    if paramstyle in ("format", "pyformat"):
        return "%s".join(parts), tuple(values)
    named = [f":{'p' if paramstyle == 'named' else ''}{n}" for n in range(1, len(parts))]
    marked = "".join(a + b for a, b in zip(parts, [*named, ""], strict=True))
    if paramstyle == "named":
        return marked, {f"p{n}": value for n, value in enumerate(values, 1)}
    return marked, tuple(values)


@contextmanager
def transaction(connection: Any) -> Iterator[None]:
    """Commit the context's work, or roll it back. A transaction that is open already is joined, and
    ended with it."""
    if hasattr(connection, "in_atomic_block"):
        with _of_django(connection):
            yield
        return
    begun = _commits_by_itself(connection) and not _is_open(connection)
    if begun:
        # SQLite's lock is taken now, as two transactions that have read would wait for each other
        # to write.
        _plain(connection, "BEGIN IMMEDIATE" if hasattr(connection, "in_transaction") else "BEGIN")
    try:
        yield
        # Not commit(): with autocommit, sqlite3's does nothing.
        _plain(connection, "COMMIT") if begun else connection.commit()
    except BaseException:
        with suppress(Exception):  # if the connection is gone, nothing is kept either
            _plain(connection, "ROLLBACK") if begun else connection.rollback()
        raise


@contextmanager
def _of_django(connection: Any) -> Iterator[None]:
    if connection.in_atomic_block:
        raise InvalidRequest(
            "within Django's atomic() call receive(), or note(): atomic() ends the transaction",
            param="store",
        )
    was = connection.get_autocommit()
    connection.set_autocommit(False)
    try:
        yield
        connection.commit()
    except BaseException:
        with suppress(Exception):
            connection.rollback()
        raise
    finally:
        with suppress(Exception):
            connection.set_autocommit(was)


def require_transaction(connection: Any) -> None:
    """Raise InvalidRequest if each statement would be committed by itself."""
    if _commits_by_itself(connection) and _is_open(connection) is False:
        raise InvalidRequest(
            "the connection commits each statement by itself: begin a transaction first, or let"
            " handle() begin and end it",
            param="store",
        )


def _commits_by_itself(connection: Any) -> bool:
    if hasattr(connection, "in_atomic_block"):
        return bool(connection.get_autocommit())
    # sqlite3 before 3.12, and after it by default: -1 is its old way, which isolation_level tells.
    if getattr(connection, "autocommit", None) is True:
        return True
    return hasattr(connection, "in_transaction") and connection.isolation_level is None


def _is_open(connection: Any) -> bool | None:
    """Whether a transaction is open; None if that is not known."""
    for name in ("in_transaction", "in_atomic_block"):
        if hasattr(connection, name):
            return bool(getattr(connection, name))
    status = getattr(getattr(connection, "info", None), "transaction_status", None)
    return None if status is None else bool(status)


def _plain(connection: Any, statement: str) -> None:
    cursor = connection.cursor()
    try:
        cursor.execute(statement)
    finally:
        with suppress(Exception):
            cursor.close()
