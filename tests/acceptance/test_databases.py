"""PostgreSQL behind what operators put before it: a hung balancer, a failover pair, a pooler."""

import re
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from local.embedded.redis import Redis
from local.embedded.throwaway import Servers
from service.database.database_url import normalised
from tests.conftest import tell_the_last_of
from tests.support import databases
from tests.support.house import House, house
from tests.support.nursery import Nursery
from tests.support.pair import Standby, again_as_standby, promote, run, switch_over
from tests.support.pgbouncer import pgbouncer
from tests.support.silent_proxy import before
from tests.support.waiting import wait_for
from tests.support.web import Caller, insist

FOLLOWERS = "SELECT count(*) FROM pg_stat_replication WHERE sync_state = 'sync'"
EVERYBODY = ("worker", "webhooks", "beat", "web")


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[Redis]:
    with Redis(tmp_path / "redis") as server:
        yield server


@contextmanager
def settled_in(
    witness_url: str,
    url: str,
    redis: Redis,
    nursery: Nursery,
    folder: Path,
) -> Iterator[House]:
    """Everybody at work on `url`; the witness has a way of its own."""
    settings = {"BILLING_DATABASE_URL": url, "BILLING_SANDBOX_LATENCY_MS": "200"}
    with house(witness_url, redis.url, folder, nursery, **settings) as town:
        town.start(*EVERYBODY)
        try:
            yield town
        except BaseException:
            tell_the_last_of(town.started)
            raise


def test_a_database_that_is_open_and_silent_is_given_up_by_everybody_and_found_again(
    shaken: Servers,
    redis: Redis,
    nursery: Nursery,
    tmp_path: Path,
) -> None:
    with (
        databases.fresh(shaken.postgres) as url,
        before(url) as proxy,
        settled_in(url, proxy.url(url), redis, nursery, tmp_path) as town,
        town.caller() as caller,
    ):
        pids = town.pids()
        first = town.charge()
        town.witness.wait_until_final([first])
        wait_for(lambda: town.readiness().json()["status"] == "ready", what="all to be ready")

        under_way = [town.charge() for _ in range(20)]
        proxy.fall_silent()
        during = [town.charge() for _ in range(5)]
        wait_for(lambda: town.readiness().status_code == 503, what="it to be told")
        assert town.readiness().json()["status"] == "not_ready"
        assert caller.charge("order-1").status_code == 503
        # Each of them has noticed by itself: none waits for the other end.
        town.running["worker"].wait_until("database unavailable, waiting")
        town.running["beat"].wait_until("sweep failed")
        by_row = [town.accept(wakes=False) for _ in range(5)]  # by another way
        proxy.speak()

        town.witness.wait_until_final([*under_way, *during, *by_row])
        town.witness.wait_until_final([accepted(caller, "order-1")])
        town.witness.wait_until_quiet()
        assert town.pids() == pids
        town.witness.testify()


def test_sweeps_that_have_stopped_are_told_and_take_nobody_s_door_away(
    shaken: Servers,
    redis: Redis,
    nursery: Nursery,
    tmp_path: Path,
) -> None:
    with (
        databases.fresh(shaken.postgres) as url,
        settled_in(url, url, redis, nursery, tmp_path) as town,
    ):
        wait_for(lambda: town.readiness().json()["status"] == "ready", what="all to be ready")
        town.running["beat"].kill()
        town.running["worker"].kill()
        moved = "UPDATE heartbeats SET at = at - interval '1 minute' RETURNING 1"
        assert town.witness.rows(moved)

        def told() -> bool:
            ready = town.readiness()
            assert ready.status_code == 200
            reasons = " ".join(ready.json()["reasons"])
            assert ready.json()["status"] == "degraded"
            return re.search(r"sweeps: .* last looked for \d+ s ago", reasons) is not None

        wait_for(told, what="it to be told")
        wait_for(
            lambda: any(one.startswith("worker: ") for one in town.readiness().json()["reasons"]),
            what="the missing worker to be told",
        )


def test_a_failover_is_survived_with_nothing_lost_and_nobody_restarted(
    redis: Redis,
    own_servers: Servers,
    nursery: Nursery,
    tmp_path: Path,
) -> None:
    """There and back: first in good order, with all connections left open; then by a crash."""
    one = own_servers.postgres
    run(one, f"CREATE DATABASE town TEMPLATE {databases.TEMPLATE}")
    with Standby(own_servers.folder / "other", one) as other, ExitStack() as stack:
        hosts = f"127.0.0.1:{one.port},127.0.0.1:{other.port}"
        url = normalised(f"postgresql://billing:{one.password}@{hosts}/town")
        witness_url = f"{url}&target_session_attrs=read-write"
        town = stack.enter_context(settled_in(witness_url, url, redis, nursery, tmp_path))
        caller = stack.enter_context(town.caller())
        pids = town.pids()
        sent = [town.charge() for _ in range(20)]
        sent += [accepted(caller, f"before-{n}") for n in range(5)]
        switch_over(one, other)
        town.witness.engine.dispose()  # its own connections still lead to the old one, to read
        sent += [accepted(caller, f"after-{n}") for n in range(5)]
        sent += [town.charge() for _ in range(20)]
        town.witness.wait_until_final(sent)

        back = stack.enter_context(again_as_standby(one, other))
        run(other, "ALTER SYSTEM SET synchronous_standby_names = '*'", "SELECT pg_reload_conf()")
        wait_for(lambda: run(other, FOLLOWERS) == 1, what="the standby to follow")
        sent += [town.charge() for _ in range(20)]
        sent += [accepted(caller, f"then-{n}") for n in range(5)]
        other.crash()
        promote(back)
        run(back, "ALTER SYSTEM RESET synchronous_standby_names", "SELECT pg_reload_conf()")
        sent += [accepted(caller, f"last-{n}") for n in range(5)]
        town.witness.wait_until_final(sent)
        assert town.pids() == pids
        town.witness.testify()


def accepted(caller: Caller, key: str) -> str:
    """The id of a charge that is accepted within the seconds that a failover may take; the caller
    repeats it meanwhile, as it is told to."""
    answer = insist(lambda: caller.charge(key))
    assert answer.status_code in (200, 202), answer.text
    return str(answer.json()["charge_id"])


def test_behind_a_pooler_by_transaction_two_hundred_charges_are_made_and_none_is_unknown(
    shaken: Servers,
    redis: Redis,
    nursery: Nursery,
    tmp_path: Path,
) -> None:
    with (
        databases.fresh(shaken.postgres) as url,
        pgbouncer(url) as pooled,
        settled_in(url, pooled, redis, nursery, tmp_path) as town,
        town.caller() as caller,
    ):
        sent = [town.charge(amount=100 + n) for n in range(150)]
        sent += [accepted(caller, f"web-{n}") for n in range(50)]
        town.witness.wait_until_final(sent)
        tried = town.witness.rows("SELECT DISTINCT outcome FROM attempts")
        assert tried == [{"outcome": "succeeded"}]
        town.witness.wait_until_final([town.refund(sent[0], amount=5)])
        wait_for(lambda: town.readiness().json()["status"] == "ready", what="all to be ready")
        town.witness.testify()
