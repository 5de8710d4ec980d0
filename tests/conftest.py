"""What tests stand on: real throwaway servers, a fresh database each, real processes."""

import os
import signal
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import hypothesis
import pytest
import pytest_timeout
import redis
from hypothesis.internal.conjecture import providers
from sqlalchemy import Engine, event
from sqlmodel import Session

from local.embedded import throwaway
from local.embedded.throwaway import Servers
from service.settings import Settings
from service.wiring import open_database
from tests.support import databases, rabbitmq
from tests.support import sdk as sdk_of_tests
from tests.support.both_clients import CLIENTS, awaiting
from tests.support.nursery import Nursery
from tests.support.nursery import nursery as forks
from tests.support.programs import Program, Programs
from tests.support.sdk import unconfigured
from tests.support.sink import Sink, webhook_sink
from tests.support.turns import Turns, turn
from tests.support.vault import KEY
from tests.support.waiting import slowness

LOOPBACK = "127.0.0.0/8,::1/128"


def pytest_configure() -> None:
    """Hypothesis for a machine that may be busy: no example is late by the clock, and none is drawn
    too slowly. And it draws the same examples each time, so that nobody's change fails by a draw
    that it has nothing to do with; others with BILLING_TEST_RANDOM=1.

    By itself it mixes in the constants of all our modules that are imported, and which these are
    differs with what else has run in the process.
    """
    none = providers._local_constants
    assert not len(none), "too late: some are gathered already"
    providers._get_local_constants = lambda: none
    hypothesis.settings.register_profile(
        "patient",
        deadline=None,
        derandomize=not os.environ.get("BILLING_TEST_RANDOM"),
        suppress_health_check=[hypothesis.HealthCheck.too_slow],
    )
    hypothesis.settings.load_profile("patient")
    # A shell that starts us in the background has SIGINT ignored, and so would all that we start.
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.hookimpl(tryfirst=True)
def pytest_timeout_set_timer(item: pytest.Item, settings: pytest_timeout.Settings) -> object:
    """What ends a test that hangs is as patient as the tests are."""
    patient = settings._replace(timeout=settings.timeout * slowness())
    return pytest_timeout.pytest_timeout_set_timer(item, patient)


@pytest.hookimpl(trylast=True)  # after pytest-randomly, whose order stays within a turn
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest first."""
    items.sort(key=turn)


@pytest.hookimpl(optionalhook=True)  # without xdist nobody asks
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Turns | None:
    """Files that share a house go to one process."""
    return Turns(config, log) if config.getoption("dist") == "loadfile" else None


@pytest.fixture(scope="session", autouse=True)
def _no_settings_from_outside() -> Iterator[None]:
    """Tests decide every setting; a developer's BILLING_… variables must not."""
    with pytest.MonkeyPatch.context() as patch:
        for name in list(os.environ):
            if name.startswith("BILLING_") and not name.startswith("BILLING_TEST_"):
                patch.delenv(name)
        yield


@pytest.fixture(name="unconfigured")
def _unconfigured() -> Iterator[None]:
    """The SDK, as this test configures it, and no other."""
    with unconfigured():
        yield


@pytest.fixture(params=CLIENTS)
def both(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Each of the SDK's two clients as the `billing` of a test's module."""
    if request.param == "threads":
        yield
        return
    with awaiting() as billing:
        for module in (request.module, sdk_of_tests):
            monkeypatch.setattr(module, "billing", billing)
        yield


@pytest.fixture(scope="session")
def servers() -> Iterator[Servers]:
    """A PostgreSQL (without fsync) and a Redis, one pair per pytest process.

    Shared by all tests of the process: who crashes servers asks for `own_servers`.
    """
    with throwaway.servers(durable=False) as running:
        databases.make_template(running.postgres)
        yield running


@pytest.fixture
def own_servers() -> Iterator[Servers]:
    """A pair that is this test's alone, durable as in production, to crash and start again."""
    with throwaway.servers() as running:
        databases.make_template(running.postgres)
        yield running


@pytest.fixture
def database_url(servers: Servers) -> Iterator[str]:
    """A migrated database that is this test's alone."""
    with databases.fresh(servers.postgres) as url:
        yield url


@pytest.fixture
def empty_database_url(servers: Servers) -> Iterator[str]:
    """A database without any table."""
    with databases.fresh(servers.postgres, migrated=False) as url:
        yield url


@pytest.fixture
def engine(database_url: str) -> Iterator[Engine]:
    """An engine on this test's database, opened as in production."""
    engine = open_database(database_url)
    yield engine
    engine.dispose()


@pytest.fixture
def unhurried_engine(database_url: str) -> Iterator[Engine]:
    """An engine on this test's database whose waits for locks end only in a deadlock: for storms,
    in which everybody waits for everybody for as long as a busy machine makes them."""
    engine = open_database(database_url)
    event.listen(engine, "connect", _wait_for_locks)
    yield engine
    engine.dispose()


def _wait_for_locks(connection: Any, _: Any) -> None:
    connection.execute("SET lock_timeout = '60s'")
    connection.execute("SET statement_timeout = '60s'")
    connection.commit()


@pytest.fixture
def session(engine: Engine) -> Iterator[Session]:
    """A session on this test's database, rolled back at the end unless the test commits."""
    with Session(engine) as session:
        yield session


@pytest.fixture
def redis_url(servers: Servers) -> str:
    """The first database of the Redis, emptied."""
    client = redis.Redis.from_url(servers.redis.admin_url)
    client.flushdb()
    client.close()
    return servers.redis.url


@pytest.fixture
def redis_admin_url(redis_url: str, servers: Servers) -> str:
    """The same for who may do everything: set limits, cut connections, empty it."""
    return servers.redis.admin_url


@pytest.fixture(scope="session")
def _rabbitmq_host() -> Iterator[str]:
    with rabbitmq.virtual_host(f"billing-test-{uuid.uuid4().hex[:12]}") as url:
        yield url


@pytest.fixture
def rabbitmq_url(_rabbitmq_host: str) -> str:
    """A RabbitMQ virtual host of this pytest process, without queues."""
    rabbitmq.remove_queues(_rabbitmq_host)
    return _rabbitmq_host


@pytest.fixture(
    params=["redis", pytest.param("rabbitmq", marks=pytest.mark.rabbitmq)],
)
def broker_url(request: pytest.FixtureRequest) -> str:
    """Each broker in turn: what holds for one must hold for the other."""
    url: str = request.getfixturevalue(f"{request.param}_url")
    return url


@pytest.fixture
def make_settings(database_url: str, tmp_path: Path) -> Callable[..., Settings]:
    """Settings on this test's database and, unless `broker_url` is given, on the Redis."""

    def make(**fields: object) -> Settings:
        given: dict[str, object] = {
            "database_url": database_url,
            "data_dir": tmp_path / "data",
            "webhook_allow_private": LOOPBACK,
            "encryption_keys": KEY,
            **fields,
        }
        return Settings(**given)  # type: ignore[arg-type]

    return make


@pytest.fixture
def environ(database_url: str, redis_url: str, tmp_path: Path) -> dict[str, str]:
    """The environment for processes of ours on this test's database and the Redis."""
    return environ_for(database_url, redis_url, tmp_path)


@pytest.fixture
def start_programs(request: pytest.FixtureRequest) -> Iterator[Callable[..., Programs]]:
    """Makes `Programs` for any environment; what they started ends with the test.

    When the test fails, the last that each process said is part of the report.
    """
    with ExitStack() as stack:

        def make(environ: dict[str, str]) -> Programs:
            programs = Programs(environ)
            stack.callback(programs.end)
            stack.callback(_report, request, programs)
            return programs

        yield make


@pytest.fixture
def programs(start_programs: Callable[..., Programs], environ: dict[str, str]) -> Programs:
    """Our processes, on this test's database and the Redis: `programs.start("worker")`."""
    return start_programs(environ)


@pytest.fixture(scope="session")
def nursery() -> Iterator[Nursery]:
    """Where suites that start many of our processes get them from, in a fraction of a second."""
    with forks() as mother:
        yield mother


@pytest.fixture
def sink() -> Iterator[Sink]:
    """A webhook receiver: `sink.url`, `sink.requests`, `sink.answer`, `sink.wait_for(3)`."""
    with webhook_sink() as running:
        yield running


def environ_for(database_url: str, broker_url: str, folder: Path) -> dict[str, str]:
    """The environment for processes of ours on these two."""
    inherited = {name: value for name, value in os.environ.items() if "BILLING_" not in name}
    return inherited | {
        "BILLING_DATABASE_URL": database_url,
        "BILLING_BROKER_URL": broker_url,
        "BILLING_DATA_DIR": str(folder / "data"),
        "BILLING_WEBHOOK_ALLOW_PRIVATE": LOOPBACK,
        "BILLING_ENCRYPTION_KEYS": KEY,
        # All tests come from one address, and many with a wrong key.
        "BILLING_HTTP_REFUSED_RATE": "0",
        "PYTHONUNBUFFERED": "1",
    }


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Iterator[None]:
    """Let fixtures know whether their test failed."""
    report = yield
    if call.when == "call":
        item.stash[FAILED] = report.failed  # type: ignore[attr-defined]
    return report


FAILED = pytest.StashKey[bool]()


def _report(request: pytest.FixtureRequest, programs: Programs) -> None:
    if request.node.stash.get(FAILED, False):
        tell_the_last_of(programs.started)


def tell_the_last_of(programs: Sequence[Program]) -> None:
    """Make what each process said last part of the report."""
    for program in programs:
        print(f"\n----- {program.name} (pid {program.pid}) -----\n{program.output[-6000:]}")  # noqa: T201
