"""A database error in one line without secrets, and whether waiting can help."""

import re

from sqlalchemy import Engine, ExceptionContext, event
from sqlalchemy.exc import DBAPIError, OperationalError

from service.log import scrub

# SQLSTATE (PostgreSQL, appendix A) of errors that only a person can fix, by the server's message.
# While connecting, libpq passes on only the message. A server with another language is waited for.
HOPELESS = {
    "3D000": re.compile(r'FATAL: +database ".*" does not exist'),
    "28P01": re.compile(r"FATAL: +password authentication failed"),
    "28000": re.compile(r'FATAL: +(role ".*" does not exist|no pg_hba\.conf entry)'),
}
# Missing tables or columns, which a later migration creates.
LACKING = ("42P01", "42703", "3F000")


class Hopeless(Exception):
    """The database refuses us, and will until the settings or the database are changed."""


def reason(error: Exception) -> str:
    """The first line of the server's or the driver's error: where it was, and what is wrong.

    Never its details, which may quote a row, nor a password.
    """
    if not isinstance(error, DBAPIError):
        return type(error).__name__
    primary = getattr(getattr(error.orig, "diag", None), "message_primary", None)
    lines = (primary or str(error.orig)).strip().splitlines() or [type(error.orig).__name__]
    line = lines[0].removeprefix("connection failed: ").removeprefix("connection to ")
    where = "" if line.startswith("server at ") else "".join(getattr(error, "__notes__", []))
    return scrub(re.sub(r"FATAL: +", "", line)) + where


def note_where(engine: Engine, address: str) -> None:
    """Add hosts, ports and database (`service.database.database_url.address`) to errors of the
    engine: a timeout of the driver names none."""

    @event.listens_for(engine, "handle_error")
    def note(context: ExceptionContext) -> None:
        if isinstance(context.sqlalchemy_exception, OperationalError):
            context.sqlalchemy_exception.add_note(f" ({address})")


def is_hopeless(error: DBAPIError) -> bool:
    """Whether waiting won't help: no such database, or not with this name and password."""
    code, words = getattr(error.orig, "sqlstate", None), str(error.orig)
    return code in HOPELESS or (code is None and any(w.search(words) for w in HOPELESS.values()))


def is_lacking(error: DBAPIError) -> bool:
    """Whether a table or a column is missing: perhaps a migration has not been applied."""
    return getattr(error.orig, "sqlstate", None) in LACKING
