"""What is worth another try: the database's own codes, as a table."""

import threading
from collections.abc import Sequence

import psycopg
import pytest
from psycopg import errors
from sqlalchemy import exc

from service.database.retrying import DatabaseUnavailable, Retrying, is_held_up, is_transient
from service.running import register
from tests.support.every import every
from tests.support.waiting import patience_s, wait_for


def wrapped(orig: Exception, kind: type[exc.DBAPIError] = exc.OperationalError) -> Exception:
    return kind("SELECT 1", {}, orig)


AWAY = wrapped(psycopg.OperationalError("connection refused"))


@every(
    "error",
    [
        AWAY,
        wrapped(errors.AdminShutdown()),
        wrapped(errors.CrashShutdown()),
        wrapped(errors.CannotConnectNow()),
        wrapped(errors.TooManyConnections()),
        wrapped(errors.DiskFull()),
        wrapped(errors.DeadlockDetected()),
        wrapped(errors.SerializationFailure()),
        wrapped(errors.ReadOnlySqlTransaction(), exc.InternalError),
        wrapped(errors.IdleInTransactionSessionTimeout(), exc.InternalError),
        wrapped(psycopg.InterfaceError("the connection is closed"), exc.InterfaceError),
        exc.TimeoutError("QueuePool limit"),
    ],
)
def test_a_database_that_is_away_or_busy_is_worth_another_try(error: Exception) -> None:
    assert is_transient(error)


@every(
    "error",
    [
        wrapped(errors.UniqueViolation(), exc.IntegrityError),
        wrapped(errors.CheckViolation(), exc.IntegrityError),
        wrapped(errors.UndefinedTable(), exc.ProgrammingError),
        wrapped(errors.NumericValueOutOfRange(), exc.DataError),
        wrapped(psycopg.DataError("NUL"), exc.DataError),
        ValueError("a bug"),
        KeyError("a bug"),
    ],
)
def test_a_bug_is_not(error: Exception) -> None:
    assert not is_transient(error)


@pytest.mark.parametrize("error", [errors.LockNotAvailable(), errors.QueryCanceled()])
def test_a_row_that_somebody_holds_is_no_matter_of_patience(error: Exception) -> None:
    assert is_held_up(wrapped(error))
    assert not is_transient(wrapped(error))
    assert not is_held_up(AWAY)


class Flaky:
    """Work that fails so many times before it succeeds."""

    def __init__(self, *failures: Exception) -> None:
        self.failures = list(failures)
        self.calls = 0

    def __call__(self, items: Sequence[int]) -> list[int]:
        self.calls += 1
        if self.failures:
            raise self.failures.pop(0)
        return list(items)


def test_work_is_run_again_as_a_whole_until_the_database_takes_it() -> None:
    work = Flaky(AWAY, AWAY)
    assert Retrying(threading.Event())(work)([1, 2]) == [1, 2]
    assert work.calls == 3


@pytest.mark.parametrize("failures", [[ValueError("bug")], [AWAY, ValueError("bug")]])
def test_a_bug_is_raised_at_once(failures: list[Exception]) -> None:
    with pytest.raises(ValueError, match="bug"):
        Retrying(threading.Event())(Flaky(*failures))([1])


def test_a_process_that_stops_does_not_wait_for_the_database() -> None:
    stopping = threading.Event()
    stopping.set()
    with pytest.raises(DatabaseUnavailable):
        Retrying(stopping)(Flaky(AWAY))([1])


def test_a_process_that_stops_still_writes_while_the_database_is_there() -> None:
    stopping = threading.Event()
    stopping.set()
    assert Retrying(stopping)(Flaky())([1]) == [1]


def test_no_tasks_clock_runs_while_the_database_is_away() -> None:
    stopping = threading.Event()
    away = Flaky(*[AWAY] * 1000)

    def run() -> None:
        with pytest.raises(DatabaseUnavailable):
            Retrying(stopping)(away)([1])

    before = register.waited_s()
    thread = threading.Thread(target=run)
    thread.start()
    wait_for(lambda: register.waited_s() > before, what="its clock to stand")
    stopping.set()
    thread.join(patience_s())
    after = register.waited_s()
    assert after > before
    assert register.waited_s() == after
