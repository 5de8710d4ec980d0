"""What is told of a database's errors: the reason, no secret, and whether to wait."""

import socket

import psycopg
import pytest
from psycopg import errors
from sqlalchemy import create_engine, exc

from service.database.diagnosis import is_hopeless, note_where, reason
from tests.support.every import every

# As libpq puts it.
AT = 'connection failed: connection to server at "db", port 5432 failed: '
REFUSED = f"{AT}Connection refused\n\tIs the server running on that host?"


def wrapped(orig: Exception) -> exc.DBAPIError:
    return exc.OperationalError("SELECT 1", {}, orig)


@every(
    "said, told",
    [
        (REFUSED, 'server at "db", port 5432 failed: Connection refused'),
        (
            f'{AT}FATAL:  database "x" does not exist',
            'server at "db", port 5432 failed: database "x" does not exist',
        ),
        ("can't use postgresql://u:hunter2@db/x", "can't use postgresql://u:***@db/x"),
        ("", "OperationalError"),
    ],
)
def test_the_reason_is_one_line_without_secrets(said: str, told: str) -> None:
    assert reason(wrapped(psycopg.OperationalError(said))) == told


def test_where_a_timeout_was_is_told() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:  # it takes calls, and says nothing
        port = silent.getsockname()[1]
        engine = create_engine(
            f"postgresql+psycopg://u:hunter2@127.0.0.1:{port}/name",
            connect_args={"connect_timeout": 2},
        )
        note_where(engine, f"127.0.0.1:{port}/name")
        with pytest.raises(exc.OperationalError) as failed:
            engine.connect()
    assert reason(failed.value) == f"connection timeout expired (127.0.0.1:{port}/name)"


@every(
    "error",
    [
        psycopg.OperationalError(f'{AT}FATAL:  database "x" does not exist'),
        psycopg.OperationalError(f'{AT}FATAL:  password authentication failed for user "u"'),
        psycopg.OperationalError(f'{AT}FATAL:  role "u" does not exist'),
        psycopg.OperationalError(f'{AT}FATAL:  no pg_hba.conf entry for host "h", user "u"'),
        errors.InvalidCatalogName(),
        errors.InvalidPassword(),
    ],
)
def test_waiting_does_not_help_where_nobody_lets_us_in(error: Exception) -> None:
    assert is_hopeless(wrapped(error))


@every(
    "error",
    [
        psycopg.OperationalError(REFUSED),
        psycopg.OperationalError(f"{AT}FATAL:  the database system is starting up"),
        psycopg.OperationalError(f"{AT}FATAL:  sorry, too many clients already"),
        errors.AdminShutdown(),
    ],
)
def test_waiting_helps_where_the_server_comes_back(error: Exception) -> None:
    assert not is_hopeless(wrapped(error))
