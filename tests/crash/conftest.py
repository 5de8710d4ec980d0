"""The house of the crash tests: real processes, of which one is about to die."""

from collections.abc import Iterator

import pytest

from local.embedded.throwaway import Servers
from tests.conftest import FAILED, tell_the_last_of
from tests.support import databases
from tests.support.house import CRASHING, House, hasty, house
from tests.support.nursery import Nursery
from tests.support.web import Caller

# Other tests of this pytest process use the first database of the same Redis.
REDIS_DATABASE = 7


@pytest.fixture(scope="session")
def crashing(
    servers: Servers, nursery: Nursery, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[House]:
    """Workers that die where a test says. What died is started again before the next test.

    One house for all crash tests of a pytest process: three processes that wait cost nothing.
    """
    with (
        databases.fresh(servers.postgres) as database_url,
        house(
            database_url,
            servers.redis.url_of(REDIS_DATABASE),
            tmp_path_factory.mktemp("crash"),
            nursery,
            app=CRASHING,
            **hasty(lease_s=10.0),
        ) as running,
    ):
        running.start()
        yield running


@pytest.fixture
def town(crashing: House, request: pytest.FixtureRequest) -> Iterator[House]:
    """The house, with everybody alive and nothing going on."""
    dead = [name for name, program in crashing.running.items() if not program.alive]
    if dead:
        crashing.start(*dead)
    yield crashing
    if request.node.stash.get(FAILED, False):
        tell_the_last_of(crashing.started)
    for point in crashing.points.glob("*/*"):
        point.unlink()


@pytest.fixture
def caller(town: House) -> Iterator[Caller]:
    """Somebody who asks over HTTP."""
    with town.caller() as client:
        yield client
