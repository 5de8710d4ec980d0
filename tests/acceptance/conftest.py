"""The house of the acceptance tests: one on each broker, kept from test to test."""

import uuid
from collections.abc import Iterator

import pytest

from local.embedded import throwaway
from local.embedded.throwaway import Servers
from tests.conftest import FAILED, tell_the_last_of
from tests.support import databases, rabbitmq
from tests.support.broker import Broker, RabbitBroker, RedisBroker
from tests.support.house import House, house
from tests.support.nursery import Nursery
from tests.support.web import Caller


@pytest.fixture(scope="session")
def shaken() -> Iterator[Servers]:
    """A pair that is these tests' alone: durable, and often killed."""
    with throwaway.servers() as running:
        databases.make_template(running.postgres)
        yield running


@pytest.fixture(scope="session")
def redis_broker(shaken: Servers) -> Broker:
    return RedisBroker(shaken.redis)


@pytest.fixture(scope="session")
def rabbitmq_broker() -> Iterator[Broker]:
    with rabbitmq.virtual_host(f"billing-acceptance-{uuid.uuid4().hex[:12]}") as url:
        yield RabbitBroker(url)


@pytest.fixture(scope="session")
def houses() -> list[House]:
    """Those that stand so far."""
    return []


def _house(
    shaken: Servers,
    broker: Broker,
    nursery: Nursery,
    folders: pytest.TempPathFactory,
    houses: list[House],
) -> Iterator[House]:
    with (
        databases.fresh(shaken.postgres) as database_url,
        # Long enough for a request to be under way when something happens.
        house(
            database_url,
            broker.url,
            folders.mktemp("acceptance"),
            nursery,
            BILLING_SANDBOX_LATENCY_MS="200",
            BILLING_SLOTS="16",
        ) as running,
    ):
        running.start()
        houses.append(running)
        yield running
        houses.remove(running)


@pytest.fixture(scope="session")
def redis_house(
    shaken: Servers,
    redis_broker: Broker,
    nursery: Nursery,
    tmp_path_factory: pytest.TempPathFactory,
    houses: list[House],
) -> Iterator[House]:
    yield from _house(shaken, redis_broker, nursery, tmp_path_factory, houses)


@pytest.fixture(scope="session")
def rabbitmq_house(
    shaken: Servers,
    rabbitmq_broker: Broker,
    nursery: Nursery,
    tmp_path_factory: pytest.TempPathFactory,
    houses: list[House],
) -> Iterator[House]:
    yield from _house(shaken, rabbitmq_broker, nursery, tmp_path_factory, houses)


@pytest.fixture(params=["redis", pytest.param("rabbitmq", marks=pytest.mark.rabbitmq)])
def kind(request: pytest.FixtureRequest) -> str:
    """Each broker in turn: what holds for one must hold for the other."""
    return str(request.param)


@pytest.fixture
def broker(kind: str, request: pytest.FixtureRequest) -> Broker:
    """The broker that `town` stands on."""
    found: Broker = request.getfixturevalue(f"{kind}_broker")
    return found


@pytest.fixture
def town(kind: str, request: pytest.FixtureRequest) -> Iterator[House]:
    """The house, with everybody alive."""
    found: House = request.getfixturevalue(f"{kind}_house")
    dead = [name for name, program in found.running.items() if not program.alive]
    if dead:
        found.start(*dead)
    yield found
    if request.node.stash.get(FAILED, False):
        tell_the_last_of(found.started)


@pytest.fixture
def caller(town: House) -> Iterator[Caller]:
    """Somebody who asks over HTTP."""
    with town.caller() as client:
        yield client
