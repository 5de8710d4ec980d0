"""One database for all tests of the rules: every request has a key of its own."""

from collections.abc import Iterator

import pytest
from sqlalchemy import Engine

from tests.support import databases
from tests.support.factories import Till
from worker.embedded.throwaway import Servers
from worker.wiring import open_database


@pytest.fixture(scope="session")
def shared_engine(servers: Servers) -> Iterator[Engine]:
    """An engine on a migrated database that lasts as long as the pytest process."""
    with databases.fresh(servers.postgres) as url:
        engine = open_database(url)
        yield engine
        engine.dispose()


@pytest.fixture
def till(shared_engine: Engine) -> Till:
    return Till(shared_engine)
