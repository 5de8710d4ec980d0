"""Plans are made again as a connection gets older, so none stays that was made for empty tables."""

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import Engine, event
from sqlalchemy.exc import DBAPIError

from service.database import engine as engines
from service.database import planning
from service.database.database_limits import WORK
from service.database.engine import open_async_engine, open_engine
from service.database.planning import FORGET
from tests.support.webhooks import rows


class Clock:
    """Seconds, as the test says."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """Of ours alone: drivers and pools have their own."""
    clock = Clock()
    for module in (engines, planning):
        monkeypatch.setattr(module, "monotonic", clock)
    return clock


@pytest.fixture
def one(database_url: str, clock: Clock) -> Iterator[Engine]:
    """An engine of one connection."""
    engine = open_engine(database_url, WORK, pool_size=1, max_overflow=0)
    yield engine
    engine.dispose()


def used(engine: Engine, clock: Clock, *moments: float) -> list[float]:
    """When its connection was made to plan again, of the moments at which it is used."""
    planned: list[float] = []

    def note(_c: Any, _cursor: Any, statement: str, *_: Any) -> None:
        if statement == FORGET:
            planned.append(clock.now)

    event.listen(engine, "before_cursor_execute", note)
    for clock.now in moments:
        rows(engine, "SELECT 1")
    event.remove(engine, "before_cursor_execute", note)
    return planned


def test_it_plans_again_when_its_age_has_quadrupled_and_then_once_a_minute(
    one: Engine, clock: Clock
) -> None:
    seconds = [n / 2 for n in range(500)]
    assert used(one, clock, *seconds) == [1, 4, 16, 64, 124, 184, 244]


def test_each_connection_has_an_age_of_its_own(database_url: str, clock: Clock) -> None:
    engine = open_engine(database_url, WORK, pool_size=2, max_overflow=0)
    first = engine.connect()
    clock.now = 1.5
    assert used(engine, clock, 1.5) == []  # a second one, made just now
    first.close()
    # The pool hands them out in turn: the second, then the first.
    assert used(engine, clock, 2.0, 2.25, 2.5, 2.75) == [2.25, 2.5]
    engine.dispose()


def test_a_plan_that_was_made_for_an_empty_table_does_not_stay(one: Engine, clock: Clock) -> None:
    find = "SELECT count(*) FROM grown WHERE id = ANY (ARRAY[1, 2, 3, 4, 5, 6, 7, 8]::int[])"
    rows(one, "CREATE TABLE grown (id int PRIMARY KEY, rest char(500) DEFAULT '')")
    rows(one, "ALTER TABLE grown SET (autovacuum_enabled = off)")
    for _ in range(20):
        rows(one, find)
    rows(one, "INSERT INTO grown SELECT generate_series(1, 5000)")
    assert "Seq Scan" in _plan(one, find)  # of all of it, as when it was empty
    clock.now = 1.0
    assert "Index" in _plan(one, find)


def _plan(engine: Engine, statement: str) -> str:
    """How the server would run it the next time, on the one connection."""
    named = "SELECT name FROM pg_prepared_statements WHERE statement = :text"
    ((name,),) = (one.values() for one in rows(engine, named, text=statement))
    return "\n".join(row["QUERY PLAN"] for row in rows(engine, f"EXPLAIN EXECUTE {name}"))


def test_a_connection_that_is_gone_is_found_out_and_replaced(
    one: Engine, clock: Clock, engine: Engine
) -> None:
    (mine,) = rows(one, "SELECT pg_backend_pid() AS pid")
    rows(engine, "SELECT pg_terminate_backend(:pid, 10000)", pid=mine["pid"])
    clock.now = 1.0
    with pytest.raises(DBAPIError) as lost:
        rows(one, "SELECT 1")
    assert lost.value.connection_invalidated  # so whoever retries does (service.database.retrying)
    assert rows(one, "SELECT 1 AS n")[0]["n"] == 1


def test_our_engines_plan_again_for_threads_and_on_a_loop(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(planning, "SOONEST_S", 0.0)
    planned: list[Any] = []

    def note(connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        if statement == planning.FORGET:
            planned.append(connection.engine)

    threads = open_engine(database_url, WORK, pool_size=1)
    event.listen(threads, "before_cursor_execute", note)
    rows(threads, "SELECT 1")
    threads.dispose()

    async def ask() -> None:
        loop = open_async_engine(database_url, WORK, pool_size=1, max_overflow=0)
        event.listen(loop.sync_engine, "before_cursor_execute", note)
        async with loop.begin() as connection:
            await connection.exec_driver_sql("SELECT 1")
        at_once = loop.execution_options(isolation_level="AUTOCOMMIT")
        async with at_once.connect() as connection:
            await connection.exec_driver_sql("SELECT 1")
        await loop.dispose()

    asyncio.run(ask())
    assert len(planned) == 3
