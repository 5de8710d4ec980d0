"""What an old version accepts, the new one carries out, and the reverse; `make upgrade` is more."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import urllib3

from tests.conftest import environ_for
from tests.support.every import every
from tests.support.nursery import Nursery
from tests.support.nursery import nursery as forks
from tests.support.ports import free_port
from tests.support.programs import ROOT
from tests.support.vault import KEY
from tests.support.waiting import patience_s, wait_for
from tests.upgrade.balancer import balanced
from tests.upgrade.fleet import Fleet, Version
from tests.upgrade.releases import RELEASES, Release

pytestmark = pytest.mark.timeout(400)


@pytest.fixture(params=[*RELEASES])
def release(request: pytest.FixtureRequest) -> Release:
    """Each version that one may come from."""
    found = RELEASES[request.param]
    if not found.is_known:
        pytest.skip(f"this clone has no {found.commit[:12]}: git fetch --unshallow")
    return found


@pytest.fixture
def fleet(
    release: Release, nursery: Nursery, database_url: str, redis_url: str, tmp_path: Path
) -> Iterator[Fleet]:
    """Processes of both versions, on the new one's tables."""
    old = release.unpack(tmp_path / "old")
    environ = environ_for(database_url, redis_url, tmp_path) | {"BILLING_ENCRYPTION_KEYS": KEY}
    with forks(old) as before:
        versions = {
            name: Version(source, checkout, {**environ, "BILLING_HTTP_PORT": str(free_port())})
            for name, source, checkout in (("old", before, old), ("new", nursery, ROOT))
        }
        made = Fleet(versions, tmp_path / "logs", "test")
        made.roles = {}
        made.start()
        yield made
        made.dismiss()


@every("web", ["old", "new"])
def test_what_one_version_accepts_the_other_carries_out(fleet: Fleet, web: str) -> None:
    worker = {"old": "new", "new": "old"}[web]
    environ = fleet.environ_of(web)
    fleet.begin(f"{web}-web")
    fleet.begin(f"{worker}-worker")
    made = fleet.command(web, "keys", "create", f"{web}-shop", "--json")
    url = f"http://127.0.0.1:{environ['BILLING_HTTP_PORT']}/v1/billing"
    headers = {"authorization": f"Bearer {made['key']}"}

    def ask(path: str, **fields: object) -> dict[str, object]:
        answer = urllib3.request(
            "POST", f"{url}/{path}", json=fields, headers=headers, timeout=patience_s()
        )
        assert answer.status == 202, answer.data
        found: dict[str, object] = answer.json()
        return found

    def ends(path: str) -> str:
        def state() -> str:
            return str(urllib3.request("GET", f"{url}/{path}", headers=headers).json()["state"])

        return wait_for(state, until=lambda found: found != "pending", what=f"the end of {path}")

    charge = ask("charges", amount=500, currency="JPY", idempotency_key=f"{web}-order")
    assert ends(f"charges/{charge['charge_id']}") == "succeeded"
    refund = ask("refunds", charge_id=charge["charge_id"], idempotency_key=f"{web}-refund")
    assert ends(f"refunds/{refund['refund_id']}") == "succeeded"
    declined = ask(
        "charges", amount=500, currency="JPY", payment_method_id="pm_card_chargeDeclined"
    )
    assert ends(f"charges/{declined['charge_id']}") == "failed"
    fleet.retire(f"{web}-web")
    fleet.retire(f"{worker}-worker")


def test_a_balancer_turns_to_whoever_listens(fleet: Fleet) -> None:
    fleet.begin("new-web")
    there = int(fleet.environ_of("new")["BILLING_HTTP_PORT"])
    with balanced(lambda: [free_port(), there], "test") as port:
        for _ in range(8):
            assert urllib3.request("GET", f"http://127.0.0.1:{port}/healthz").status == 200
