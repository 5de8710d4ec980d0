"""The doctor's look at standbys, dead rows, long transactions, and at whom it talks to."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from sqlalchemy import Connection, Engine, text

from cli.doctor import postgres_checks, replication, vacuum
from cli.doctor.findings import Finding
from local.embedded.postgres import Postgres
from tests.support.pair import Standby, run
from tests.support.waiting import wait_for

STREAMING = "SELECT count(*) FROM pg_stat_replication WHERE state = 'streaming'"
RELOAD = "SELECT pg_reload_conf()"
WAIT_FOR_ANY = "ALTER SYSTEM SET synchronous_standby_names = 'ANY 1 (*)'"


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[tuple[Postgres, Standby]]:
    """A primary and a standby that has just caught up."""
    with (
        Postgres(tmp_path / "one") as one,
        Standby(tmp_path / "other", one) as other,
    ):
        wait_for(lambda: run(one, STREAMING) == 1, what="the standby to follow")
        yield one, other


@contextmanager
def asked(server: Postgres, **query: str) -> Iterator[Connection]:
    """The doctor's own connection to a server."""
    url = server.url_of("postgres") + "".join(f"?{name}={value}" for name, value in query.items())
    with postgres_checks.connected(url) as connection:
        yield connection


def found(server: Postgres) -> list[Finding]:
    with asked(server) as connection:
        return list(replication.standbys(connection))


def one_of(findings: list[Finding], level: str) -> Finding:
    (finding,) = findings
    assert finding.level == level, finding
    return finding


def test_standbys_that_nobody_waits_for_are_behind_or_gone_are_told(
    pair: tuple[Postgres, Standby],
) -> None:
    one, other = pair
    unwaited = one_of(found(one), "warn")
    assert unwaited.seen == "1 standby follows, and COMMIT waits for none"
    assert "synchronous_standby_names" in unwaited.advice

    run(one, WAIT_FOR_ANY, RELOAD)
    wait_for(lambda: found(one)[0].level == "ok", what="the standby to count")
    assert found(one)[0].seen == "1 standby follows; COMMIT waits for 1 (ANY 1 (*))"

    run(one, "ALTER DATABASE postgres SET synchronous_commit = 'local'")
    assert one_of(found(one), "warn").seen == (
        "synchronous_commit is local: COMMIT waits for no standby"
    )
    run(one, "ALTER DATABASE postgres RESET synchronous_commit")

    run(other, "SELECT pg_wal_replay_pause()")
    # Two segments more, though next to nothing is written.
    run(one, *["SELECT pg_logical_emit_message(false, '', '')", "SELECT pg_switch_wal()"] * 2)
    behind = wait_for(lambda: found(one)[1:], what="the standby to be behind")
    assert "MB and" in one_of(behind, "warn").seen
    run(other, "SELECT pg_wal_replay_resume()")

    run(one, "CREATE ROLE clerk LOGIN PASSWORD 'x'")
    with asked(one, options="-crole%3Dclerk") as connection:
        untold = list(replication.standbys(connection))
    assert [finding.level for finding in untold] == ["ok", "warn"]
    assert "GRANT pg_monitor" in untold[1].advice

    # No standby decides anything: whoever asks one is told so.
    with asked(other) as connection:
        (standby,) = postgres_checks.server(connection, other.url)
        assert list(replication.standbys(connection)) == []
    assert (standby.level, standby.seen.endswith("is a standby")) == ("fail", True)
    assert "db1:5432,db2:5432" in standby.advice

    other.stop()
    gone = wait_for(
        lambda: found(one), until=lambda told: told[0].level == "fail", what="it to be missed"
    )
    assert gone[0].seen == "COMMIT waits for 1 of ANY 1 (*), and 0 of them follow"


def test_one_server_by_itself_is_no_fault_and_says_what_it_is(database_url: str) -> None:
    with postgres_checks.connected(database_url) as connection:
        alone = one_of(list(replication.standbys(connection)), "ok")
    assert alone.seen == "no standby: what is committed is on one server only"


def test_a_primary_that_takes_no_writes_is_told(engine: Engine, database_url: str) -> None:
    with engine.begin() as connection:
        name = connection.execute(text("SELECT current_database()")).scalar_one()
        connection.execute(text(f"ALTER DATABASE {name} SET default_transaction_read_only = on"))
    with postgres_checks.connected(database_url) as connection:
        told = one_of(list(postgres_checks.server(connection, database_url)), "fail")
    assert told.seen.endswith("takes no writes")


def test_a_transaction_that_stays_open_is_told(engine: Engine, database_url: str) -> None:
    with postgres_checks.connected(database_url) as connection:
        assert one_of(list(vacuum.transactions(connection)), "ok")
        with engine.connect() as other:
            other.execute(text("SELECT 1"))  # and is still open
            told = one_of(list(vacuum.transactions(connection, warn_s=0.0)), "warn")
    assert told.seen.startswith("one has been open for ")
    assert "pg_stat_activity" in told.advice


def test_a_table_that_vacuum_does_not_keep_up_with_is_told(
    engine: Engine, database_url: str
) -> None:
    with engine.begin() as connection:
        connection.execute(text("ALTER TABLE attempts SET (autovacuum_enabled = false)"))
        connection.execute(
            text(
                "INSERT INTO attempts (object_id, number, verb, outcome)"
                " SELECT 'ch_x', n, 'charge', 'declined' FROM generate_series(1, 20001) n"
            )
        )
    with postgres_checks.connected(database_url) as connection:
        assert one_of(list(vacuum.dead_rows(connection)), "ok")
        with engine.begin() as other:
            other.execute(text("DELETE FROM attempts"))

        def told() -> Finding:
            return one_of(list(vacuum.dead_rows(connection)), "warn")

        finding = wait_for(told, what="the statistics to have them")
    assert finding.seen == "attempts has 20001 dead rows, 0 live"
    assert finding.advice.startswith("`VACUUM attempts`")
