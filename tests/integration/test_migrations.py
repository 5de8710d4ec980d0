"""Migrations: they make what the models say, alone or two at once, without holding anybody up."""

import sys
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from psycopg.errors import LockNotAvailable
from sqlalchemy import Connection, Engine, create_engine, event, inspect, text
from sqlalchemy.exc import DBAPIError, OperationalError
from sqlmodel import SQLModel

from service.database import database_limits, migrate, revisions
from service.database.database_limits import MIGRATION, Limits
from service.database.engine import open_engine
from service.database.revisions import Behind
from tests.support.programs import ROOT
from tests.support.silent_proxy import before
from tests.support.waiting import patience_s, wait_for


@pytest.fixture
def empty(empty_database_url: str) -> Iterator[Engine]:
    engine = create_engine(empty_database_url)
    yield engine
    engine.dispose()


def test_they_make_exactly_the_tables_of_the_models(engine: Engine) -> None:
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_server_default": True})
        assert compare_metadata(context, SQLModel.metadata) == []


def test_a_second_run_finds_nothing_to_do(empty: Engine) -> None:
    applied = migrate.upgrade(empty)
    assert applied == revisions.known()
    assert migrate.upgrade(empty) == []
    revisions.require_current(empty)


def test_a_worker_on_old_tables_is_refused(empty: Engine) -> None:
    with pytest.raises(Behind, match="run `billing migrate`"):
        revisions.require_current(empty)


def test_two_at_once_do_the_work_once(empty: Engine, empty_database_url: str) -> None:
    other = create_engine(empty_database_url)
    applied: list[list[str]] = []
    runs = [
        threading.Thread(target=lambda e=engine: applied.append(migrate.upgrade(e)))
        for engine in (empty, other)
    ]
    for run in runs:
        run.start()
    for run in runs:
        run.join(patience_s())
    other.dispose()
    assert sorted(map(len, applied)) == [0, len(migrate_all())]


def test_one_that_waits_too_long_for_another_gives_up(empty: Engine) -> None:
    with empty.connect() as holder:
        holder.execute(text("SELECT pg_advisory_lock(:key)"), {"key": migrate.LOCK_KEY})
        with pytest.raises(TimeoutError):
            migrate.upgrade(empty, patience_s=0.1)
    assert inspect(empty).get_table_names() == []


def test_a_locked_table_is_waited_for_in_short_turns(
    empty: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(migrate, "LOCK_TIMEOUT_MS", 200)
    waiting = text("SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'")
    autocommit = empty.execution_options(isolation_level="AUTOCOMMIT")
    with empty.connect() as holder, autocommit.connect() as witness:
        # The first migration wants this name; whoever makes it first is waited for.
        holder.execute(text("CREATE TABLE alembic_version (version_num varchar(32) NOT NULL)"))
        run = threading.Thread(target=migrate.upgrade, args=(empty,))
        run.start()
        wait_for(lambda: witness.scalar(waiting) == 1, what="the migration to wait")
        wait_for(lambda: witness.scalar(waiting) == 0, what="the migration to let others pass")
        holder.rollback()
        run.join(patience_s())
    assert "charges" in inspect(empty).get_table_names()


def test_the_pool_gets_no_connection_with_settings_of_a_migration(empty: Engine) -> None:
    migrate.upgrade(empty)
    with empty.connect() as connection:
        assert connection.scalar(text("SHOW lock_timeout")) == "0"


def migrate_all() -> list[str]:
    return [path.name for path in (ROOT / "models/migrations/versions").glob("[0-9]*.py")]


def test_a_migration_that_the_server_knows_nothing_of_any_more_is_given_up(
    database_url: str,
) -> None:
    with before(database_url) as proxy:
        engine = open_engine(proxy.url(database_url), replace(MIGRATION, connect_s=2))
        with engine.connect() as connection:
            # Long for the watch, and at work all the time.
            with migrate.watched(engine, connection, look_every_s=0.05, looks_max=2):
                connection.execute(text("SELECT pg_sleep(1)"))
            silence = threading.Timer(0.2, proxy.fall_silent)
            silence.start()
            watch = migrate.watched(engine, connection, look_every_s=0.05, looks_max=2)
            with pytest.raises(DBAPIError) as lost, watch:
                connection.execute(text("SELECT pg_sleep(0.5)"))  # done, and nobody says so
            assert lost.value.connection_invalidated
            silence.join()
        engine.dispose()


# Modes of a table's lock for which writers wait.
_LOCKED = text(
    "SELECT relation::regclass::text FROM pg_locks JOIN pg_class ON pg_class.oid = relation"
    " WHERE pid = pg_backend_pid() AND relkind = 'r'"
    " AND relnamespace = current_schema()::regnamespace"
    " AND mode IN ('ShareLock', 'ShareRowExclusiveLock', 'ExclusiveLock', 'AccessExclusiveLock')"
)
_TABLES = text(
    "SELECT oid::regclass::text FROM pg_class"
    " WHERE relkind = 'r' AND relnamespace = current_schema()::regnamespace"
)


def test_no_migration_holds_two_tables_that_others_use(empty: Engine) -> None:
    """In one order or the other they are held by some writer: each would wait for the other."""
    there: set[str] = set()
    held: list[set[str]] = []

    def look(connection: Connection) -> None:
        held.append({*connection.execute(_LOCKED).scalars()} & there)
        there.update(connection.execute(_TABLES).scalars())

    event.listen(empty, "commit", look)
    migrate.upgrade(empty)
    assert {"charges", "prices"} < there
    assert [tables for tables in held if len(tables - {"alembic_version"}) > 1] == []


def test_what_waits_behind_a_migration_that_waits_gives_up_later_than_it() -> None:
    waiting = [one for one in vars(database_limits).values() if isinstance(one, Limits)]
    assert min(one.lock_s for one in waiting if one != MIGRATION) > MIGRATION.lock_s
    assert MIGRATION.lock_s * 1000 == migrate.LOCK_TIMEOUT_MS


def test_a_migration_that_is_cut_off_after_a_commit_is_made_again(
    empty: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever stands before the place at which a table turned out to be locked: another one, or
    one whose rows were to be read beside everybody who writes."""
    cut: set[tuple[str, int]] = set()
    steps: Counter[str] = Counter()
    autocommit_block = MigrationContext.autocommit_block

    @contextmanager
    def cut_off(context: MigrationContext) -> Iterator[None]:
        with autocommit_block(context):
            revision = _revision_that_runs()
            steps[revision] += 1
            place = (revision, steps[revision])
            if place not in cut:
                cut.add(place)
                steps.clear()
                raise OperationalError("ALTER TABLE", {}, LockNotAvailable())
            yield

    monkeypatch.setattr(MigrationContext, "autocommit_block", cut_off)
    monkeypatch.setattr(migrate, "LOCK_PAUSE_S", 0.0)
    migrate.upgrade(empty)
    assert len(cut) > 20
    with empty.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_server_default": True})
        assert compare_metadata(context, SQLModel.metadata) == []


def test_what_endpoints_had_by_default_is_what_they_have_by_default(empty: Engine) -> None:
    migrate.upgrade(empty)
    with empty.begin() as connection:
        for id_, most in (("we_default", 16), ("we_other", 15)):
            connection.execute(
                text(
                    "INSERT INTO webhook_endpoints (id, url, secrets, max_in_flight)"
                    " VALUES (:id, 'https://example.com/', '{whsec_x}', :most)"
                ),
                {"id": id_, "most": most},
            )
        connection.execute(text("UPDATE alembic_version SET version_num = '0026'"))
    assert "0027" in migrate.upgrade(empty)
    with empty.connect() as connection:
        read = text("SELECT id, max_in_flight FROM webhook_endpoints ORDER BY id")
        assert [tuple(row) for row in connection.execute(read)] == [
            ("we_default", 256),
            ("we_other", 15),
        ]


def _revision_that_runs() -> str:
    frame = sys._getframe()
    while "down_revision" not in frame.f_globals:
        assert frame.f_back is not None, "no migration runs"
        frame = frame.f_back
    return str(frame.f_globals["revision"])
