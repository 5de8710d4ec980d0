"""A list of RabbitMQ's addresses of which the first is dead: everybody goes on to the next."""

import asyncio
import socket
import sys
from collections.abc import Iterator

import pytest

from infra import billing
from infra.billing.aio import Billing
from local.embedded.throwaway import Servers
from tests.conftest import FAILED, tell_the_last_of
from tests.support import children, databases
from tests.support.house import House, house
from tests.support.nursery import Nursery
from tests.support.programs import ROOT
from tests.support.waiting import patience_s, wait_for

pytestmark = pytest.mark.rabbitmq


@pytest.fixture
def dead() -> Iterator[str]:
    """An address at which nobody listens, and that nobody else gets meanwhile."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield f"127.0.0.1:{taken.getsockname()[1]}"


@pytest.fixture
def both(rabbitmq_url: str, dead: str) -> str:
    scheme, _, rest = rabbitmq_url.partition("://")
    login, _, place = rest.rpartition("@")
    host = place.partition("/")[2]
    return f"{scheme}://{login}@{dead}/{host};{rabbitmq_url}"


@pytest.fixture
def home(
    request: pytest.FixtureRequest,
    shaken: Servers,
    rabbitmq_url: str,
    both: str,
    nursery: Nursery,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[House]:
    folder = tmp_path_factory.mktemp("home")
    with (
        databases.fresh(shaken.postgres) as database_url,
        house(database_url, rabbitmq_url, folder, nursery, BILLING_BROKER_URL=both) as running,
    ):
        running.start()
        yield running
        if request.node.stash.get(FAILED, False):
            tell_the_last_of(running.started)


def test_everybody_gets_past_an_address_that_is_dead(home: House, both: str, dead: str) -> None:
    fields: dict[str, object] = {"amount": 5, "currency": "JPY"}
    with home.caller() as caller:
        asked = [home.accept(), home.charge()]
        by_http = caller.post("/charges", json=fields, headers={"idempotency-key": "by-http"})
        asked.append(by_http.json()["charge_id"])
        billing.configure(url=both)
        asked.append(str(billing.charge.create(**fields).charge_id))
        asked.append(asyncio.run(_awaited(both, fields)))
        home.witness.wait_until_final(asked)
        wait_for(lambda: home.readiness().json()["checks"]["broker"]["ok"], what="/readyz to agree")
    doctor = children.run(
        [sys.executable, "-m", "cli", "doctor"],
        cwd=ROOT,
        env=home.environ,
        capture_output=True,
        text=True,
        timeout=patience_s(),
        check=False,
    )
    told = doctor.stdout + doctor.stderr
    assert dead in told
    assert "guest:guest" not in told
    home.witness.testify()


async def _awaited(url: str, fields: dict[str, object]) -> str:
    async with Billing(url=url) as client:
        return str((await client.charge.create(**fields)).charge_id)
