"""A fresh, migrated database for each test, copied from a template in some ten milliseconds."""

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count

import psycopg
from sqlalchemy import Engine, create_engine

from local.embedded.postgres import Postgres
from service.database import migrate

TEMPLATE = "template_billing"
_numbers = count(1)


def make_template(postgres: Postgres) -> None:
    """Make the migrated database that the others are copies of."""
    _administer(postgres, f"CREATE DATABASE {TEMPLATE}")
    engine = create_engine(postgres.url_of(TEMPLATE))
    try:
        migrate.upgrade(engine)
        _grow_older(engine)
    finally:
        engine.dispose()  # a template with a connection can't be copied


def _grow_older(engine: Engine) -> None:
    """As if it had been migrated an hour ago: a run of all tests sees an hour end, and a test that
    takes the hour of the migration for its own fails at once, not only then."""
    with engine.begin() as connection:
        connection.exec_driver_sql("SET LOCAL session_replication_role = replica")
        for table in ("ledger_seals", "ledger_days_counted"):
            connection.exec_driver_sql(f"UPDATE {table} SET until = until - interval '1 hour'")


@contextmanager
def fresh(postgres: Postgres, *, migrated: bool = True) -> Iterator[str]:
    """The URL of a database of its own; dropped at the end, whoever is still connected."""
    name = f"test_{next(_numbers)}"
    template = TEMPLATE if migrated else "template0"
    # Copying files beats logging each page: these servers run without fsync.
    _administer(postgres, f"CREATE DATABASE {name} TEMPLATE {template} STRATEGY file_copy")
    try:
        yield postgres.url_of(name)
    finally:
        if postgres.alive:
            _administer(postgres, f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")


def _administer(postgres: Postgres, statement: str) -> None:
    url = postgres.url_of("postgres").replace("+psycopg", "")
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(statement.encode())
