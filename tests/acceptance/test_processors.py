"""The processor of new charges changes while charges of the old one are under way."""

import json
import os
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from local.embedded.throwaway import Servers
from tests.support import children, databases
from tests.support.house import House, house
from tests.support.nursery import Nursery
from tests.support.programs import ROOT
from tests.support.second import PLUGINS, open_books
from tests.support.waiting import wait_for

# Other tests of this pytest process use the other databases of the same Redis.
REDIS_DATABASE = 8


@pytest.fixture
def town(
    servers: Servers, nursery: Nursery, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[House]:
    """A house of its own, since its processes are started with other settings again and again."""
    with (
        databases.fresh(servers.postgres) as database_url,
        house(
            database_url,
            servers.redis.url_of(REDIS_DATABASE),
            tmp_path_factory.mktemp("processors"),
            nursery,
        ) as running,
    ):
        open_books(running.witness.engine)
        yield running


def begin(town: House, processors: str) -> None:
    """Worker and beat with these processors; new charges go to the first."""
    town.start("worker", "beat", BILLING_PROCESSORS=processors)


def end(town: House) -> None:
    for name in ("beat", "worker"):
        town.running.pop(name).kill()


def is_due(town: House, id_: str) -> None:
    """Its time has come, and nobody was told of it yet."""
    town.witness.rows(
        "UPDATE charges SET next_attempt_at = now(), woken_at = NULL WHERE id = :id RETURNING 1",
        id=id_,
    )


def moved(town: House) -> dict[str, list[tuple[str, str]]]:
    """What moved for which charge or refund, by the books of each processor."""
    return {
        name: [
            (row["object_id"], row["direction"])
            for row in town.witness.rows(f"SELECT * FROM {schema}.sandbox_ledger ORDER BY id")
        ]
        for name, schema in (("sandbox", "public"), ("second", "second"))
    }


def billing(town: House, *command: str, processors: str) -> Any:
    """What a command says as JSON."""
    path = os.pathsep.join([str(PLUGINS), str(ROOT)])
    said = children.run(
        [sys.executable, "-m", "cli", *command, "--json"],
        env={**town.environ, "BILLING_PROCESSORS": processors, "PYTHONPATH": path},
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    return json.loads(said.stdout)


def test_money_moves_where_it_was_begun_whatever_takes_new_charges(town: House) -> None:
    witness = town.witness
    begin(town, "sandbox")
    paid, lost = town.charge(), town.charge(payment_method_id="pm_sandbox_timeout_after")
    wait_for(lambda: witness.state(paid) == "succeeded", what="a charge that succeeded")
    wait_for(lambda: (witness.object(lost) or {}).get("phase") == "unknown", what="an unknown one")
    end(town)

    # Another one takes new charges, and nobody knows the old one.
    before = witness.object(lost)
    begin(town, "second")
    fresh, refund = town.charge(), town.refund(paid, amount=500)
    is_due(town, lost)
    town.producer.send("billing.charge.submit", id=lost)
    wait_for(lambda: witness.state(fresh) == "succeeded", what="a charge at the new processor")
    wait_for(lambda: witness.state(refund) == "pending", what="a refund that waits")
    town.running["worker"].wait_until("no processor 'sandbox'")
    after = witness.object(lost)
    assert before is not None
    assert after is not None
    left_alone = ("phase", "attempts", "retries", "lease_token", "first_called_at", "processor")
    assert [after[name] for name in left_alone] == [before[name] for name in left_alone]
    found = billing(town, "doctor", processors="second")["findings"]
    (told,) = [one for one in found if one["subject"] == "processors"]
    assert told["level"] == "fail"
    assert told["seen"].startswith("1 charge and 1 refund left alone, ")
    assert told["seen"].endswith("no processor is named sandbox")
    books = moved(town)
    assert sorted(books["sandbox"]) == sorted([(paid, "charge"), (lost, "charge")])
    assert books["second"] == [(fresh, "charge")]
    end(town)

    # The old one is back, and still takes no new charges.
    is_due(town, lost)
    begin(town, "second,sandbox")
    back = town.refund(lost, amount=700)
    newer = town.charge()
    for id_ in (lost, refund, back, newer):
        wait_for(lambda id_=id_: witness.state(id_) == "succeeded", what=f"{id_} to succeed")
    assert witness.story(lost) == ["charge unknown", "look_up succeeded"]
    books = moved(town)
    assert sorted(books["sandbox"]) == sorted(
        [(paid, "charge"), (lost, "charge"), (refund, "refund"), (back, "refund")]
    )
    assert books["second"] == [(fresh, "charge"), (newer, "charge")]
    assert billing(town, "verify", processors="second,sandbox")["sound"]
    told = [one["text"] for one in billing(town, "explain", newer, processors="second,sandbox")]
    assert [one for one in told if one.startswith("second: 19.99 USD moved")]
    end(town)
