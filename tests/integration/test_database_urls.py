"""What operators write into the database's URL is obeyed by everything alike."""

import asyncio
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import Engine, create_engine, text

from api.database import Database as WebDatabase
from cli.doctor.postgres_checks import connected
from payments.catalog.price_locks import lock_lookup_keys
from payments.transaction import Transaction, wakes_nothing
from service.database import migrate, revisions
from service.database.database_limits import MIGRATION
from service.database.diagnosis import Hopeless
from service.database.engine import open_engine
from service.execution.executors import make_executor
from service.settings import Settings
from service.wiring import open_database, open_sandbox, services
from tests.support.acting import Database
from tests.support.factories import Till, a_charge
from tests.support.ports import free_port


@pytest.fixture
def schemas(empty_database_url: str) -> Iterator[Callable[[str], str]]:
    """Makes a schema, and the URL that leads to it."""
    engine = create_engine(empty_database_url)

    def make(name: str) -> str:
        with engine.begin() as connection:
            connection.execute(text(f"CREATE SCHEMA IF NOT EXISTS {name}"))
        return f"{empty_database_url}?options=-csearch_path%3D{name},public"

    yield make
    engine.dispose()


def migrated(url: str) -> list[str]:
    engine = open_engine(url, MIGRATION)
    try:
        return migrate.upgrade(engine)
    finally:
        engine.dispose()


def test_two_installations_in_one_database_see_nothing_of_each_other(
    schemas: Callable[[str], str], empty_database_url: str, make_settings: Callable[..., Settings]
) -> None:
    urls = [empty_database_url, schemas("shop"), schemas("cafe")]
    for url in urls:
        assert migrated(url) == revisions.known()  # also with another's tables on the search path
        assert migrated(url) == []
    request = a_charge()
    for url in urls:
        ours = services(make_settings(database_url=url), wakes_nothing)
        assert make_executor(ours).create(request).state == "succeeded"
        tills = {"worker": ours.engine, "sandbox": ours.processors["sandbox"]._engine}  # type: ignore[attr-defined]
        for engine in tills.values():
            assert Till(engine).query("SELECT count(*) AS n FROM charges") == [{"n": 1}]
            assert Till(engine).query("SELECT count(*) AS n FROM sandbox_ledger") == [{"n": 1}]
            engine.dispose()
        with connected(url) as connection:
            assert connection.execute(text("SELECT count(*) FROM charges")).scalar_one() == 1
        assert asyncio.run(seen_by_the_web(url)) == 1


async def seen_by_the_web(url: str) -> int:
    database = WebDatabase(url, wakes_nothing)
    try:
        return await database.read(
            lambda connection: int(connection.scalar(text("SELECT count(*) FROM charges")) or 0)
        )
    finally:
        await database.close()


def test_a_lookup_key_of_another_installation_is_not_waited_for(
    schemas: Callable[[str], str], empty_database_url: str
) -> None:
    shop = schemas("shop")
    for url in (empty_database_url, shop):
        migrated(url)
    one, other = open_database(empty_database_url), open_database(shop)
    with Database(one).transaction() as first:
        lock_lookup_keys(first, ["gold"])
        with Database(other).transaction() as second, ThreadPoolExecutor(1) as threads:
            threads.submit(lock_lookup_keys, second, ["gold"]).result(
                20
            )  # fails after 2 s if it waits
        with pytest.raises(Exception, match="lock timeout"), Database(one).transaction() as third:
            lock_lookup_keys(third, ["gold"])
    one.dispose()
    other.dispose()


def test_a_schema_that_is_not_there_is_told_when_migrating(empty_database_url: str) -> None:
    with pytest.raises(Hopeless, match="CREATE SCHEMA nowhere"):
        migrated(f"{empty_database_url}?options=-csearch_path%3Dnowhere")


def test_what_the_url_says_wins_over_what_we_would_say(database_url: str) -> None:
    url = f"{database_url}?application_name=shop&options=-c%20statement_timeout%3D7s"
    for engine in (open_database(url), open_sandbox(url)):
        assert shown(engine, "statement_timeout", "application_name") == ("7s", "shop")
        assert shown(engine, "lock_timeout", "TimeZone") == ("2s", "UTC")  # ours beside it
        with engine.connect() as connection:
            driver = connection.connection.driver_connection
            assert driver.answer_s > 7  # type: ignore[union-attr]
        engine.dispose()


def shown(engine: Engine, *names: str) -> tuple[str, ...]:
    with engine.connect() as connection:
        return tuple(connection.execute(text(f"SHOW {name}")).scalar_one() for name in names)


def test_of_several_hosts_the_one_that_answers_is_found_and_asked_first_from_then_on(
    database_url: str,
) -> None:
    url = Settings(
        database_url=database_url.replace("@", f"@127.0.0.1:{free_port()},", 1)
    ).database_url
    engine = open_database(url)
    port = create_engine(database_url).url.port
    for _ in range(2):
        with engine.connect() as connection:
            driver = connection.connection.driver_connection
            assert driver.info.port == port  # type: ignore[union-attr]
            connection.invalidate()
    assert asyncio.run(answers(url))
    engine.dispose()


async def answers(url: str) -> bool:
    database = WebDatabase(url, wakes_nothing)
    try:
        return await database.transaction(can_write)
    finally:
        await database.close()


def can_write(transaction: Transaction) -> bool:
    return transaction.execute(text("SHOW transaction_read_only")).scalar_one() == "off"
