"""Behind a PgBouncer in transaction mode: nothing prepared, limits that hold, or a refusal."""

import asyncio
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import Engine, create_engine, text
from sqlalchemy.exc import DBAPIError

from api.database import Database
from api.edge.problems import DatabaseUnavailable
from cli.doctor import postgres_checks
from cli.doctor.postgres_checks import connected
from local.embedded.throwaway import Servers
from payments.transaction import wakes_nothing
from service.database import migrate
from service.database.database_limits import MIGRATION, WORK
from service.database.diagnosis import Hopeless
from service.database.engine import open_engine
from service.database.retrying import is_held_up
from service.execution.executors import make_executor
from service.settings import Settings
from service.wiring import open_database, services
from tests.support import databases
from tests.support.factories import Till, a_charge
from tests.support.pair import run
from tests.support.pgbouncer import pgbouncer
from tests.support.sink import Sink
from tests.support.waiting import slowness, wait_for
from tests.support.webhooks import a_deliverer, an_endpoint, events_happen, rows


@pytest.fixture
def pooled_url(database_url: str) -> Iterator[str]:
    with pgbouncer(database_url) as url:
        yield url


@pytest.fixture
def pooled(pooled_url: str) -> Iterator[Engine]:
    engine = open_database(pooled_url)
    yield engine
    engine.dispose()


def test_limits_hold_and_leave_nothing_behind_in_a_session_of_others(
    pooled: Engine, engine: Engine
) -> None:
    shown = "SELECT current_setting('statement_timeout'), current_setting('lock_timeout')"
    with pooled.begin() as connection:
        assert connection.execute(text(shown)).one() == ("5s", "2s")
        assert connection.execute(text("SHOW TimeZone")).scalar_one() == "UTC"
    with pooled.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        # The same session as somebody else finds it.
        assert connection.execute(text(shown)).one() == ("0", "0")
    with engine.begin() as holder:
        holder.execute(text("CREATE TABLE held AS SELECT 1 AS n"))
        holder.execute(text("LOCK TABLE charges"))
        with pytest.raises(DBAPIError) as refused, pooled.begin() as connection:
            connection.execute(text("SELECT 1 FROM charges"))
        assert is_held_up(refused.value)
        holder.rollback()


def test_a_statement_that_gets_no_answer_is_ended_at_the_server_too(
    pooled: Engine, engine: Engine
) -> None:
    """Outside a transaction only our own clock watches; PgBouncer is asked to cancel."""
    with pooled.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        driver = connection.connection.driver_connection
        driver.answer_s = 0.5  # type: ignore[union-attr]
        with pytest.raises(DBAPIError, match="no answer within") as lost:
            connection.execute(text("SELECT pg_sleep(60)"))
        assert lost.value.connection_invalidated
    asleep = "SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'SELECT pg_sleep(60)%'"
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        still = text(asleep + " AND state = 'active'")
        wait_for(lambda: connection.execute(still).scalar_one() == 0, what="it to end")


def test_a_commit_that_waits_for_a_standby_is_hung_up_on_and_never_canceled(
    own_servers: Servers,
) -> None:
    """Canceled, it would show everybody a row that is on no standby, and that a failover takes
    back."""
    server = own_servers.postgres
    names = "ALTER SYSTEM {} synchronous_standby_names", "SELECT pg_reload_conf()"
    with databases.fresh(server) as url, pgbouncer(url) as pooled_url:
        made = create_engine(url)
        with made.begin() as connection:
            connection.execute(text("CREATE TABLE kept (n int)"))
        run(server, names[0].format("SET") + " = 'nobody'", names[1])
        one, other = text("INSERT INTO kept VALUES (1)"), text("INSERT INTO kept VALUES (2)")

        pooled = open_database(pooled_url)
        patient_s = 0.5 * slowness()  # in which the COMMIT must have been sent
        with pooled.connect() as connection:
            connection.execute(one)
            connection.connection.driver_connection.answer_s = patient_s  # type: ignore[union-attr]
            with pytest.raises(DBAPIError, match="no answer within"):
                connection.commit()
        pooled.dispose()

        async def ask() -> None:
            web = Database(pooled_url, wakes_nothing, deadline_s=patient_s)
            with pytest.raises(DatabaseUnavailable):
                await web.transaction(lambda t: t.execute(other), idempotent=False)
            await web.close()

        asyncio.run(ask())
        waiting = "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'SyncRep'"
        looking = made.execution_options(isolation_level="AUTOCOMMIT")
        with looking.connect() as connection:
            wait_for(
                lambda: connection.execute(text(waiting)).scalar_one(),
                until=lambda count: count == 2,
                what="both to wait for a standby",
            )
            assert connection.execute(text("SELECT count(*) FROM kept")).scalar_one() == 0
        run(server, names[0].format("RESET"), names[1])

        def kept() -> int:
            with made.connect() as connection:
                return int(connection.execute(text("SELECT count(*) FROM kept")).scalar_one())

        wait_for(kept, until=lambda count: count == 2, what="what was safe to be seen")
        made.dispose()


def test_two_hundred_charges_of_two_workers_none_of_which_is_unknown(
    pooled_url: str, engine: Engine, make_settings: Callable[..., Settings]
) -> None:
    """With prepared statements, one worker's would run with the other's parameters."""
    ours = [services(make_settings(database_url=pooled_url), wakes_nothing) for _ in range(2)]
    executors = [make_executor(one) for one in ours]
    requests = [a_charge(amount=100 + n) for n in range(200)]
    try:
        with ThreadPoolExecutor(16) as threads:
            rows = list(threads.map(lambda n: executors[n % 2].create(requests[n]), range(200)))
    finally:
        for one in ours:
            one.stopping.set()
            one.engine.dispose()
            one.processors["sandbox"]._engine.dispose()  # type: ignore[attr-defined]
    assert [(row.state, row.amount) for row in rows] == [
        ("succeeded", request.amount) for request in requests
    ]
    tried = "SELECT outcome, count(*) AS n FROM attempts GROUP BY outcome"
    assert Till(engine).query(tried) == [{"outcome": "succeeded", "n": 200}]
    moved = "SELECT count(*) AS n, sum(amount) AS total FROM sandbox_ledger"
    assert Till(engine).query(moved) == [
        {"n": 200, "total": sum(request.amount or 0 for request in requests)}
    ]


def test_migrations_are_refused_with_the_setting_that_mends_it(
    empty_database_url: str,
) -> None:
    with pgbouncer(empty_database_url) as url:
        engine = open_engine(url, MIGRATION)
        with pytest.raises(Hopeless, match="BILLING_DATABASE_DIRECT_URL"):
            migrate.upgrade(engine)
        engine.dispose()
    settings = Settings(database_url=url, database_direct_url=empty_database_url)
    engine = open_engine(settings.migrated_at, MIGRATION)
    assert migrate.upgrade(engine)
    engine.dispose()


def test_a_schema_that_the_pooler_drops_is_refused_and_one_of_the_role_is_not(
    database_url: str,
) -> None:
    schema = "options=-csearch_path%3Dshop"
    strict, lax = "", "ignore_startup_parameters = options"
    for more in (strict, lax):
        with pgbouncer(database_url, more=more) as url:
            engine = open_engine(f"{url}?{schema}", WORK)
            with pytest.raises(Hopeless, match="search_path"):
                engine.connect()
            engine.dispose()
    admin = create_engine(database_url)
    name = admin.url.database
    with admin.begin() as connection:
        connection.execute(text(f"ALTER DATABASE {name} SET search_path = 'shop'"))
    admin.dispose()
    with pgbouncer(database_url, more=lax) as url:
        engine = open_engine(f"{url}?{schema}", WORK)
        with engine.connect() as connection:
            assert connection.execute(text("SHOW search_path")).scalar_one() == "shop"
        engine.dispose()


def test_the_doctor_tells_of_the_pooler_and_what_it_lacks(pooled_url: str, engine: Engine) -> None:
    with connected(pooled_url) as connection:
        (found,) = postgres_checks.pooler(connection)
    assert (found.level, found.subject) == ("warn", "pooler")
    with connected(engine.url.render_as_string(hide_password=False)) as connection:
        assert list(postgres_checks.pooler(connection)) == []


def test_without_a_pooler_statements_are_prepared_and_limits_are_the_session_s(
    engine: Engine,
) -> None:
    with engine.connect() as connection:
        driver = connection.connection.driver_connection
        assert not driver.is_pooled  # type: ignore[union-attr]
        assert driver.prepare_threshold == 5  # type: ignore[union-attr]
        assert connection.execute(text("SHOW lock_timeout")).scalar_one() == "2s"


def test_a_read_of_the_web_service_that_gets_no_answer_is_ended_at_the_server_too(
    pooled_url: str, engine: Engine
) -> None:
    """Its event loop hangs up, of which a server at work learns nothing; so it is told."""
    asleep = text(
        "SELECT count(*) FROM pg_stat_activity"
        " WHERE query LIKE 'SELECT pg_sleep(60)%' AND state = 'active'"
    )

    async def ask() -> None:
        database = Database(pooled_url, wakes_nothing, deadline_s=0.5)
        try:
            for ask in (database.read, database.snapshot):
                with pytest.raises(DatabaseUnavailable):
                    await ask(lambda connection: connection.execute(text("SELECT pg_sleep(60)")))
        finally:
            await database.close()

    asyncio.run(ask())
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        wait_for(lambda: connection.execute(asleep).scalar_one() == 0, what="both to end")


def test_nobody_listens_behind_it(pooled: Engine, engine: Engine, sink: Sink) -> None:
    """LISTEN would be somebody else's session's: messages say what is due, as ever."""
    endpoint = an_endpoint(engine, sink.url)
    with a_deliverer(pooled, linger_s=600.0) as deliverer:
        for number in (1, 2):
            events_happen(engine)
            assert deliverer.drain(endpoint.id).delivered == 1
            assert len(sink.requests) == number
        assert not deliverer._listener.is_listening
        sessions = rows(engine, "SELECT FROM pg_stat_activity WHERE query LIKE 'LISTEN%'")
        assert not sessions
