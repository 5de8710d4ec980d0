"""Migrates a database to the tables that this version of the program needs.

`python -m service.database.migrate new "what it brings"` writes the next migration from the
difference between the models and the migrations so far.
"""

import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.resources import files
from pathlib import Path
from typing import Any

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import DBAPIError, OperationalError

from service import settings
from service.database import revisions, roles
from service.database.connecting import hang_up
from service.database.database_limits import MIGRATION
from service.database.diagnosis import Hopeless
from service.database.engine import open_engine

# Any number will do, as long as nothing else locks it: "billing!" in ASCII. Each schema has its
# own, so that two installations in one database don't wait for each other.
LOCK_KEY = 0x62696C6C696E6721
_LOCK = (
    f"{LOCK_KEY} # CASE current_schema() WHEN 'public' THEN 0"
    " ELSE hashtextextended(current_schema(), 0) END"
)
# Behind a statement that waits for a table, every other statement on it waits too: give up before
# they do (`limits`: `lock_s`), let them pass, try again. The limit is also below PostgreSQL's
# deadlock_timeout (a second): if a worker and a migration wait for each other, the migration gives
# up. So that no statement waits for two such waits, a migration locks one table at a time
# (models/migrations).
LOCK_TIMEOUT_MS = round(MIGRATION.lock_s * 1000)
LOCK_TRIES = 60
LOCK_PAUSE_S = 1.0
LOCKED = ("55P03", "40P01")  # lock_not_available, deadlock_detected: PostgreSQL, appendix A
# A migration may take hours, so its statements have no practical limit. Instead we watch whether
# the server still works on it: asked on other connections, this often, and given up after this many
# checks without a sign of it.
LOOK_EVERY_S = 10.0
LOOKS_MAX = 6
LOOK_ANSWER_S = 3.0
ALONE_S = 600.0  # another `billing migrate` may be building an index on a large table


def upgrade(
    engine: Engine, *, runs_as: str | None = None, patience_s: float = ALONE_S
) -> list[str]:
    """Bring the database up to date; returns the revisions applied, in order, [] if it already was.

    `runs_as` is the URL that the service connects to: if its role is another than the one that
    migrates, it gets the permissions that it needs, and is created if missing
    (`service.database.roles`). Two at once are harmless: the second waits, up to `patience_s`, and
    finds nothing to do. Raises TimeoutError, or sqlalchemy's OperationalError if a table stays
    locked; Hopeless if the role can't be created.
    """
    with _alone(engine, patience_s), engine.connect() as connection:
        connection.execute(text(f"SET lock_timeout = {LOCK_TIMEOUT_MS}"))
        connection.execute(text("SET statement_timeout = 0"))  # a large index takes its time
        connection.commit()
        todo = revisions.missing_on(connection)
        connection.rollback()  # reading began a transaction, and Alembic wants to begin its own
        for tries_left in reversed(range(LOCK_TRIES)):
            try:
                with watched(engine, connection):
                    command.upgrade(_config(connection), "head")
                break
            except OperationalError as error:
                connection.rollback()
                if not tries_left or getattr(error.orig, "sqlstate", "") not in LOCKED:
                    raise
                time.sleep(LOCK_PAUSE_S)
        if runs_as is not None:
            roles.equip(connection, runs_as)
        connection.invalidate()  # never back into the pool with our lock_timeout
    return todo


def new(engine: Engine, what: str) -> Path:
    """Write the next migration from the difference to the models, to be read and corrected."""
    with engine.connect() as connection:
        config = _config(connection)
        # `service.database.revisions` reads them in the order of their numbers; there may be gaps.
        number = int(revisions.known()[-1]) + 1
        script = command.revision(config, what, autogenerate=True, rev_id=f"{number:04d}")
    if script is None or isinstance(script, list):
        raise RuntimeError("Alembic wrote no script")
    return Path(script.path)


@contextmanager
def watched(
    engine: Engine,
    connection: Connection,
    *,
    look_every_s: float = LOOK_EVERY_S,
    looks_max: int = LOOKS_MAX,
) -> Iterator[None]:
    """Close the connection if the server no longer works for it, or can't be asked: its answer will
    never come. What waits for it fails as with a lost connection."""
    driver: Any = connection.connection.driver_connection
    pid = connection.scalar(text("SELECT pg_backend_pid()"))
    connection.rollback()
    done = threading.Event()

    def watch() -> None:
        unseen = 0
        while unseen < looks_max:
            if done.wait(look_every_s):
                return
            unseen = 0 if _is_at_work(engine, pid, look_every_s * looks_max) else unseen + 1
        hang_up(driver)

    watcher = threading.Thread(target=watch, name="migration-watch", daemon=True)
    watcher.start()
    try:
        yield
    finally:
        done.set()
        watcher.join()


def _is_at_work(engine: Engine, pid: int, patience_s: float) -> bool:
    """Whether the server works for this process, or did a moment ago."""
    try:
        with engine.connect() as looking:
            looking.connection.driver_connection.answer_s = LOOK_ANSWER_S  # type: ignore[union-attr]
            at_work = looking.scalar(_AT_WORK, {"pid": pid, "patience_s": patience_s})
            looking.rollback()
            return bool(at_work)
    except DBAPIError:
        return False


_AT_WORK = text(
    "SELECT state = 'active' OR state_change > now() - :patience_s * interval '1 second'"
    " FROM pg_stat_activity WHERE pid = :pid"
)


@contextmanager
def _alone(engine: Engine, patience_s: float) -> Iterator[None]:
    """Hold the migration lock, on a connection that is idle and outside any transaction."""
    deadline = time.monotonic() + patience_s
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        # These take no time; the long ones run on another connection.
        connection.connection.driver_connection.answer_s = LOOK_ANSWER_S  # type: ignore[union-attr]
        if connection.scalar(text("SELECT current_schema()")) is None:
            path = connection.scalar(text("SHOW search_path"))
            raise Hopeless(f"there is no schema to migrate in: CREATE SCHEMA {path}, then again")
        # Polling, since one that waits inside pg_advisory_lock() holds a snapshot, and CREATE INDEX
        # CONCURRENTLY of the one it waits for would wait for that.
        while not connection.scalar(text(f"SELECT pg_try_advisory_lock({_LOCK})")):
            if time.monotonic() > deadline:
                raise TimeoutError("another migration has been running for too long")
            time.sleep(0.2)
        try:
            yield
        finally:
            connection.scalar(text(f"SELECT pg_advisory_unlock({_LOCK})"))


def _config(connection: Connection) -> Config:
    config = Config()
    config.set_main_option("script_location", str(files("models") / "migrations"))
    config.set_main_option("path_separator", "os")
    config.set_main_option("file_template", "%%(rev)s_%%(slug)s")
    config.attributes["connection"] = connection
    return config


def _main(arguments: list[str]) -> None:
    if len(arguments) != 2 or arguments[0] != "new":
        sys.exit('usage: python -m service.database.migrate new "what it brings"')
    engine = open_engine(settings.load().migrated_at, MIGRATION)
    upgrade(engine)
    sys.stdout.write(f"{new(engine, arguments[1])}\n")


if __name__ == "__main__":
    _main(sys.argv[1:])
