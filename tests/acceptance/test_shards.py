"""Two shards behind one address, as docs/scale.md says: each caller is sent to their own."""

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from string import Template

import httpx
import pytest

from infra.billing.contract.ids import id_from_key
from local.embedded.throwaway import Servers
from payments.access import keys
from tests.storm.servers import RedisServer
from tests.support import children, databases
from tests.support.acting import Database
from tests.support.house import House, house
from tests.support.nursery import Nursery
from tests.support.ports import free_port
from tests.support.programs import ROOT
from tests.support.promised import program
from tests.support.waiting import patience_s, wait_for
from tests.support.web import Caller, a_key, ask, insist, made_once

SHARDS = ROOT / "deploy" / "shards"


@pytest.fixture
def shards(shaken: Servers, nursery: Nursery, tmp_path: Path) -> Iterator[dict[str, House]]:
    """Each with a database, a broker and processes of its own."""
    with ExitStack() as stack:
        made = {}
        for name in ("one", "two"):
            folder = tmp_path / name
            database_url = stack.enter_context(databases.fresh(shaken.postgres))
            broker = RedisServer(folder / "redis")
            stack.callback(broker.end)
            made[name] = stack.enter_context(house(database_url, broker.url, folder, nursery))
            made[name].start("worker", "webhooks", "beat", "web")
        yield made


def written(shards: dict[str, House], folder: Path) -> "subprocess.CompletedProcess[str]":
    """What deploy/shards/keys.py says of all keys of all shards."""
    for name, shard in shards.items():
        listed = children.run(
            [sys.executable, "-m", "cli", "keys", "list", "--json"],
            cwd=ROOT, env=shard.environ, capture_output=True, text=True, timeout=patience_s(),
            check=True,
        )  # fmt: skip
        (folder / f"{name}.json").write_text(listed.stdout)
    files = [str(folder / f"{name}.json") for name in shards]
    return children.run(
        [sys.executable, str(SHARDS / "keys.py"), *files],
        capture_output=True, text=True, timeout=patience_s(), check=False,
    )  # fmt: skip


def listens(url: str) -> bool:
    with suppress(httpx.TransportError):
        return ask(f"{url}/healthz").status_code == 200
    return False


@contextmanager
def router(shards: dict[str, House], keys: str, folder: Path) -> Iterator[str]:
    """HAProxy as deploy/shards configures it; its address."""
    (folder / "keys.map").write_text(keys)
    address = f"127.0.0.1:{free_port()}"
    given = {
        "ROUTER": address,
        "KEYS": str(folder / "keys.map"),
        "SHARD_ONE": f"127.0.0.1:{shards['one'].port}",
        "SHARD_TWO": f"127.0.0.1:{shards['two'].port}",
    }
    config = folder / "haproxy.cfg"
    config.write_text(Template((SHARDS / "haproxy.cfg").read_text()).substitute(given))
    process = children.start([program("haproxy"), "-f", str(config)], stdout=subprocess.DEVNULL)
    try:
        url = f"http://{address}"
        # One that could not start is found here, and no caller waits for it.
        wait_for(lambda: listens(url) or process.poll() is not None, what="HAProxy to listen")
        assert process.poll() is None, "HAProxy has ended"
        yield url
    finally:
        process.kill()
        process.wait()


def final(caller: Caller, charge_id: str) -> str:
    def state() -> str:
        answer = caller.get(f"/charges/{charge_id}")
        assert answer.status_code == 200, answer.text  # else it is not there yet, or its shard busy
        return str(answer.json()["state"])

    return wait_for(state, until=lambda found: found != "pending", what=f"{charge_id} to end")


def test_each_request_is_carried_out_where_its_producer_lives(
    shards: dict[str, House], tmp_path: Path
) -> None:
    homes = {"shop": "one", "app": "two"}
    keys = {who: a_key(shards[where].witness.engine, who) for who, where in homes.items()}
    listed = written(shards, tmp_path)
    assert listed.returncode == 0, listed.stderr
    assert len(listed.stdout.splitlines()) == 2
    with router(shards, listed.stdout, tmp_path) as url, ExitStack() as stack:
        callers = {who: stack.enter_context(Caller(url, who, key)) for who, key in keys.items()}
        for caller in callers.values():
            wait_for(lambda c=caller: c.get("/charges").status_code == 200, what="its shard")
        # The same key of two producers, many at once: two charges, each at home.
        made: dict[str, list[str]] = {who: [] for who in homes}
        for number in range(30):
            for who, caller in callers.items():
                answer = insist(lambda c=caller, n=number: c.charge(f"order-{n}"))
                assert made_once([answer]), answer.text
                made[who].append(answer.json()["charge_id"])
        for who, where in homes.items():
            assert made[who] == [
                id_from_key("charge", producer=who, key=f"order-{n}") for n in range(30)
            ]
            assert {final(callers[who], id_) for id_ in made[who]} == {"succeeded"}
            (there,) = shards[where].witness.rows("SELECT count(*) AS n FROM charges")
            assert there["n"] == 30
        # By id it is found by whose it is, and by nobody else, wherever they ask.
        others = insist(lambda: callers["shop"].get(f"/charges/{made['app'][0]}"))
        assert others.status_code == 404
        again = insist(lambda: callers["app"].charge("order-0"))
        assert (again.status_code, again.headers["idempotent-replayed"]) == (200, "true")
        # By message, the producer's broker is its shard's.
        id_ = shards["two"].charge(key="by-message", producer="app")
        assert final(callers["app"], id_) == "succeeded"
        stranger = Caller(url, "nobody", keys["app"].replace("key_", "key_z"))
        assert insist(lambda: stranger.get("/charges")).status_code == 401
        # What befalls one shard is nothing to the other.
        shards["two"].running["web"].kill()
        wait_for(lambda: callers["app"].get("/charges").status_code == 503, what="two to be away")
        assert made_once([insist(lambda: callers["shop"].charge("order-31"))])
        assert insist(lambda: ask(f"{url}/healthz")).status_code == 200


def test_a_producer_with_keys_on_two_shards_is_refused(
    shards: dict[str, House], tmp_path: Path
) -> None:
    for shard in shards.values():
        a_key(shard.witness.engine, "shop")
    listed = written(shards, tmp_path)
    assert (listed.returncode, listed.stdout) == (1, "")
    assert "shop has keys on one and on two" in listed.stderr
    assert json.loads((tmp_path / "one.json").read_text())
    # As the error says; and who operates both is nobody's producer.
    with Database(shards["two"].witness.engine).transaction() as transaction:
        for key in keys.every(transaction.connection):
            keys.revoke(transaction, key["id"])
    for shard in shards.values():
        a_key(shard.witness.engine, "ann", scopes=["operator"])
    assert written(shards, tmp_path).stdout.endswith(" one\n")
    assert len(written(shards, tmp_path).stdout.splitlines()) == 1
