"""One web process for most tests of the door; each test has a producer of its own."""

from collections.abc import Iterator

import pytest
from sqlalchemy import Engine

from local.embedded.throwaway import Servers
from service.wiring import open_database
from tests.conftest import FAILED, environ_for, tell_the_last_of
from tests.support import databases
from tests.support.factories import Till
from tests.support.nursery import Nursery
from tests.support.web import Caller, Web, web


@pytest.fixture(scope="session")
def _shared_engine(servers: Servers) -> Iterator[Engine]:
    with databases.fresh(servers.postgres) as url:
        engine = open_database(url)
        yield engine
        engine.dispose()


@pytest.fixture(scope="session")
def _shared_web(
    servers: Servers,
    _shared_engine: Engine,
    nursery: Nursery,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Web]:
    url = _shared_engine.url.render_as_string(hide_password=False)
    environ = environ_for(url, servers.redis.url, tmp_path_factory.mktemp("web"))
    with web(nursery, environ, _shared_engine) as running:
        yield running


@pytest.fixture
def door(_shared_web: Web, request: pytest.FixtureRequest) -> Iterator[Web]:
    """The web process, which serves all tests; no worker runs."""
    yield _shared_web
    if request.node.stash.get(FAILED, False):
        tell_the_last_of([_shared_web.program])


@pytest.fixture(scope="module")
def strict(
    servers: Servers,
    _shared_engine: Engine,
    nursery: Nursery,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Web]:
    """A web process of an installation where two must agree."""
    url = _shared_engine.url.render_as_string(hide_password=False)
    environ = environ_for(url, servers.redis.url, tmp_path_factory.mktemp("strict"))
    environ |= {"BILLING_APPROVE_REFUNDS_ABOVE": "USD:500", "BILLING_APPROVE_RESOLVE": "on"}
    with web(nursery, environ, _shared_engine) as running:
        yield running


@pytest.fixture
def caller(door: Web) -> Iterator[Caller]:
    """A producer that no other test is."""
    with door.caller() as client:
        yield client


@pytest.fixture
def till(door: Web) -> Till:
    """What a worker would do to the charges of the door, by hand."""
    return Till(door.engine)
