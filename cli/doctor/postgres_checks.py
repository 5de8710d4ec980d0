"""The database: whether it is reachable, keeps what is committed, and agrees about the time."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, text

from cli.doctor.findings import Finding, fail, ok, warn
from service.database import revisions
from service.database.database_limits import DOCTOR
from service.database.database_url import place
from service.database.engine import open_engine
from service.database.roles import owns_history

VERSION_MIN = 14
# Receivers of webhooks refuse what is signed five minutes off (Standard Webhooks), and workers sign
# by their own clock.
SKEW_WARN_S, SKEW_FAIL_S = 5.0, 150.0
CONNECTIONS_FULL = 0.9

# What a crash may lose, by the settings that make a database faster.
DURABILITY = {
    "fsync": "a crash of its machine may destroy the database",
    "full_page_writes": "a crash of its machine may destroy the database",
    "synchronous_commit": "a crash may lose payments that were accepted a moment before",
}


@contextmanager
def connected(url: str) -> Iterator[Connection]:
    """A connection that can only read, with short waits."""
    engine = open_engine(url, DOCTOR, pooled=False)
    options = {"isolation_level": "AUTOCOMMIT", "postgresql_readonly": True}
    with engine.connect().execution_options(**options) as connection:
        yield connection


def server(connection: Connection, url: str) -> Iterable[Finding]:
    """Which one it is, and whether one can write to it."""
    number = int(connection.execute(text("SHOW server_version_num")).scalar_one())
    version = str(connection.execute(text("SHOW server_version")).scalar_one()).split()[0]
    if number < VERSION_MIN * 10_000:
        yield fail("database", f"PostgreSQL {version}", f"upgrade it to {VERSION_MIN} or later")
    elif connection.execute(text("SELECT pg_is_in_recovery()")).scalar_one():
        advice = (
            "let BILLING_DATABASE_URL point to the primary, or name all hosts of the cluster:"
            " …@db1:5432,db2:5432/name finds the one that can be written to"
        )
        yield fail("database", f"PostgreSQL {version} at {place(url)} is a standby", advice)
    elif connection.execute(text("SHOW default_transaction_read_only")).scalar_one() == "on":
        seen = f"PostgreSQL {version} at {place(url)} takes no writes"
        advice = "see why default_transaction_read_only is on: an operator, or a full disk"
        yield fail("database", seen, advice)
    else:
        yield ok("database", f"PostgreSQL {version} at {place(url)}")


def migrations(connection: Connection) -> Iterable[Finding]:
    """Whether its tables are those of this version of the program."""
    known, lacking = revisions.known(), revisions.missing_on(connection)
    if lacking:
        yield fail("migrations", f"lacking: {', '.join(lacking)}", "run `billing migrate`")
        return
    has = connection.execute(text("SELECT version_num FROM alembic_version")).scalar_one()
    if has > known[-1]:
        seen = f"the database has {has}, and this version of the program knows {known[-1]}"
        yield warn("migrations", seen, "run the newest version everywhere")
    else:
        yield ok("migrations", f"up to date ({has})")


def clock(connection: Connection) -> Iterable[Finding]:
    """Whether this machine and the database agree about the time."""
    before = datetime.now(UTC)
    there = connection.execute(text("SELECT clock_timestamp()")).scalar_one()
    here = before + (datetime.now(UTC) - before) / 2
    skew_s = (there - here).total_seconds()
    seen = f"the database's clock is {abs(skew_s):.1f} s {'ahead of' if skew_s > 0 else 'behind'}"
    advice = "let both follow NTP: receivers refuse webhooks that are signed minutes off"
    if abs(skew_s) > SKEW_FAIL_S:
        yield fail("clock", f"{seen} this machine's", advice)
    elif abs(skew_s) > SKEW_WARN_S:
        yield warn("clock", f"{seen} this machine's", advice)
    else:
        yield ok("clock", "this machine and the database agree")


def durability(connection: Connection) -> Iterable[Finding]:
    """Whether what is committed stays."""
    off = [
        name
        for name in DURABILITY
        if connection.execute(text(f"SHOW {name}")).scalar_one() == "off"  # our own name
    ]
    for name in off:
        yield warn("durability", f"{name} is off", f"set it to on: {DURABILITY[name]}")
    if not off:
        yield ok("durability", "what is committed survives a crash")


def roles(connection: Connection) -> Iterable[Finding]:
    """Whether the role that the service runs as could change history."""
    if owns_history(connection):
        yield warn(
            "roles",
            "the role that the service runs as owns the tables: it could change the audit log",
            "give the owner's URL as BILLING_DATABASE_DIRECT_URL and another role's as"
            " BILLING_DATABASE_URL, then `billing migrate` (docs/how-to/audit.md)",
        )
    else:
        yield ok("roles", "the service may not change history")


def pooler(connection: Connection) -> Iterable[Finding]:
    """Whether a connection pooler is in between, and what it lacks."""
    driver: Any = connection.connection.driver_connection
    if not driver.is_pooled:
        return
    seen = "a connection pooler is in between: nothing is prepared, limits hold per transaction"
    if connection.execute(text("SHOW statement_timeout")).scalar_one() == "0":
        advice = "for statements outside of one: ALTER ROLE … SET statement_timeout = '5s'"
        yield warn("pooler", seen, advice)
    else:
        yield ok("pooler", seen)


def connections(connection: Connection) -> Iterable[Finding]:
    """Whether there is room for more of us."""
    used, most = connection.execute(
        text(
            "SELECT (SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend'),"
            " current_setting('max_connections')::int"
        )
    ).one()
    seen = f"{used} of {most} are in use"
    if used >= CONNECTIONS_FULL * most:
        yield warn("connections", seen, "raise max_connections, or put a pooler in front")
    else:
        yield ok("connections", seen)
