"""Which migrations exist, and which of them a database has.

Read from file names and one row, without Alembic, which would cost every worker a quarter of a
second at its start. `service.database.migrate` numbers the files in order.
"""

from importlib.resources import files

from sqlalchemy import Connection, Engine, text


class Behind(Exception):
    """The database lacks migrations: run `billing migrate`."""


def known() -> list[str]:
    """The revisions of this version of the program, in order: `0001`, `0002`, …"""
    scripts = (files("models") / "migrations" / "versions").iterdir()
    return sorted(name.split("_")[0] for s in scripts if (name := s.name).endswith(".py"))


def missing(engine: Engine) -> list[str]:
    """The revisions that the database lacks, in order."""
    with engine.connect() as connection:
        return missing_on(connection)


def missing_on(connection: Connection) -> list[str]:
    """Like `missing`, on an open connection."""
    there = connection.scalar(text(_THERE))
    has = connection.scalar(text("SELECT version_num FROM alembic_version")) if there else None
    return [revision for revision in known() if has is None or revision > has]


# In our own schema: another one in the search path may belong to another installation.
_THERE = "SELECT to_regclass(format('%I.alembic_version', current_schema()))"


def require_current(engine: Engine) -> None:
    """Raise Behind unless the database has every migration: a worker on old tables must not run."""
    if todo := missing(engine):
        lacking = "1 migration" if len(todo) == 1 else f"{len(todo)} migrations"
        raise Behind(f"the database lacks {lacking}: run `billing migrate`")
