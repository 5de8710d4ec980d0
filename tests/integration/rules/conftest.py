"""One database for all tests of the rules: every request has a key of its own."""

from collections.abc import Iterator

import pytest
from sqlalchemy import Engine

from local.embedded.throwaway import Servers
from payments.audit.stocktaking import STOCK
from payments.audit.verify import verify
from service.wiring import open_database
from tests.support import databases
from tests.support.factories import Till


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


@pytest.fixture
def stock_adds_up(till: Till) -> Iterator[None]:
    """Whatever a test did: nothing of what is counted is missing."""
    yield
    findings = verify(till.engine, statements={}, invariants=STOCK)
    assert [one.view() for one in findings if not one.is_kept] == []
