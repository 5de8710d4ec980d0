"""A Redis behind Sentinels: its primary is killed, and what was accepted becomes final."""

import socket
import sys
import threading
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path

import pytest

from infra.billing.broker_publisher import Post
from infra.billing.contract.messages.message import message
from local.embedded.throwaway import Servers
from tests.conftest import FAILED, environ_for, tell_the_last_of
from tests.support import children, databases
from tests.support.house import House, house
from tests.support.nursery import Nursery
from tests.support.programs import ROOT
from tests.support.sentinel import PASSWORD, SENTINELS_PASSWORD, Sentinels, sentinels
from tests.support.waiting import patience_s, wait_for


@pytest.fixture(scope="module")
def redis_group(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sentinels]:
    with sentinels(tmp_path_factory.mktemp("sentinels")) as running:
        yield running


@pytest.fixture
def home(
    request: pytest.FixtureRequest,
    shaken: Servers,
    redis_group: Sentinels,
    nursery: Nursery,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[House]:
    folder = tmp_path_factory.mktemp("home")
    with (
        databases.fresh(shaken.postgres) as database_url,
        house(
            database_url,
            redis_group.url,
            folder,
            nursery,
            BILLING_SANDBOX_LATENCY_MS="200",
            BILLING_SLOTS="16",
        ) as running,
    ):
        running.start()
        yield running
        if request.node.stash.get(FAILED, False):
            tell_the_last_of(running.started)


def test_a_killed_primary_loses_nothing_that_was_accepted(
    home: House, redis_group: Sentinels
) -> None:
    pids = home.pids()
    sdk = Post(redis_group.url, timeout_s=10.0)

    def send(key: str) -> list[str | None]:
        fields = {"amount": 5, "currency": "JPY", "idempotency_key": key, "producer": "sdk"}
        return sdk.send([message("charge", fields)])

    with home.caller():
        assert send("before") == [None]
        sent = [home.charge() for _ in range(60)]
        accepted = [home.accept() for _ in range(30)]
        home.wait_until_some_succeeded(sent)

        redis_group.kill_primary()

        wait_for(lambda: send("after") == [None], what="the SDK to reach the new primary")
        late = home.charge()
        there = {row["id"] for row in home.witness.rows("SELECT id FROM charges")}
        home.witness.wait_until_final([*accepted, *(there & set(sent)), late])
        wait_for(lambda: home.readiness().json()["checks"]["broker"]["ok"], what="/readyz to agree")
    sdk.close()
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
    assert f"sentinel://127.0.0.1:{redis_group.ports[0]}" in told
    said = [told, *(program.output for program in home.started)]
    assert not [text for text in said if PASSWORD in text or SENTINELS_PASSWORD in text]
    home.witness.testify()
    assert home.pids() == {**pids, "web": home.pids()["web"]}


# As `web` does: over links of Celery's own, one after another.
ASKING = """
from api.__main__ import app
from service.broker.connections import Gauge
from service.broker.consumers import queues_read

for _ in range(3):
    assert queues_read(app, timeout_s=0.1).trouble is None
    gauge = Gauge(app)
    gauge.depth("payments")
    gauge.close()
"""


def test_web_asks_a_silent_sentinel_once(redis_group: Sentinels, tmp_path: Path) -> None:
    connections: list[socket.socket] = []

    def take(listener: socket.socket) -> None:
        with suppress(OSError):
            while True:
                connections.append(listener.accept()[0])

    with closing(socket.create_server(("127.0.0.1", 0))) as silent:
        threading.Thread(target=take, args=(silent,), daemon=True).start()
        first = f"127.0.0.1:{silent.getsockname()[1]};"
        url = redis_group.url.replace("@", f"@{first}", 1)
        asked = children.run(
            [sys.executable, "-c", ASKING],
            cwd=ROOT,
            env=environ_for("postgresql+psycopg://nobody@127.0.0.1:1/none", url, tmp_path),
            capture_output=True,
            text=True,
            timeout=patience_s(),
            check=False,
        )
        assert asked.returncode == 0, asked.stderr
        assert len(connections) == 1
    for connection in connections:
        connection.close()
