"""kill -9 of what is not a worker in the middle of a message: of beat, of several, of everybody."""

from datetime import timedelta

import pytest

from local.embedded.throwaway import Servers
from tests.support import databases
from tests.support.house import House, house
from tests.support.nursery import Nursery
from tests.support.waiting import slowness, wait_for


@pytest.mark.parametrize("point", ["received", "claiming", "answered", "done"])
def test_a_charge_that_waits_in_the_database_outlives_the_worker_that_was_woken_for_it(
    point: str, town: House
) -> None:
    town.arm("worker", point)
    charge_id = town.accept()
    town.wait_for_death("worker", point)
    town.leases_end()

    town.start("worker")

    town.witness.wait_until_final([charge_id])
    assert town.witness.state(charge_id) == "succeeded"
    town.witness.testify()


def test_what_a_dead_worker_held_waits_for_beat_and_is_found_when_it_is_back(town: House) -> None:
    town.running["beat"].kill()
    town.arm("worker", "answered")
    charge_id = town.charge()
    town.wait_for_death("worker", "answered")
    town.start("worker")
    town.leases_end()
    assert town.witness.rows(
        "SELECT FROM charges WHERE id = :id AND lease_expires_at < now()", id=charge_id
    )
    assert town.witness.story(charge_id) == []

    town.start("beat")

    town.witness.wait_until_final([charge_id])
    assert town.witness.story(charge_id) == ["charge lease_expired", "look_up succeeded"]
    town.witness.testify()


def test_a_sweep_that_dies_before_it_wakes_anybody_loses_nothing(town: House) -> None:
    charge_id = town.accept(wakes=False)
    town.arm("beat", "waking")
    town.witness.rows("UPDATE charges SET woken_at = NULL WHERE id = :id RETURNING 1", id=charge_id)
    town.wait_for_death("beat", "waking")

    town.start("beat")

    town.witness.wait_until_final([charge_id])
    assert town.witness.story(charge_id) == ["charge succeeded"]
    town.witness.testify()


def test_everybody_is_killed_at_once(
    own_servers: Servers, nursery: Nursery, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """As in a power cut: workers, beat, Redis and PostgreSQL; then all of it is started again."""
    with (
        databases.fresh(own_servers.postgres) as database_url,
        house(
            database_url,
            own_servers.redis.url,
            tmp_path_factory.mktemp("all"),
            nursery,
            BILLING_SANDBOX_LATENCY_MS="200",
        ) as town,
    ):
        town.start()
        with town.asleep("worker"):
            accepted = [town.accept() for _ in range(40)]
            sent = [town.charge() for _ in range(120)]
            refunds = [town.refund(charge_id, amount=100) for charge_id in sent[:20]]
        wait_for(
            lambda: town.witness.rows("SELECT FROM charges WHERE state = 'succeeded' OFFSET 30"),
            what="some to be done, and others not",
            every_s=0.005,
        )

        for program in town.started:
            program.child.kill()
        own_servers.redis.crash()
        own_servers.postgres.crash()
        own_servers.postgres.start()
        own_servers.redis.start()
        town.leases_end()
        town.start()

        in_rows = {row["id"] for row in town.witness.rows("SELECT id FROM charges")}
        assert in_rows >= set(accepted)
        town.witness.wait_until_final(in_rows)
        assert in_rows <= set(accepted + sent)
        assert refunds
        town.witness.testify()


def test_with_the_default_settings_a_killed_worker_is_made_up_for_within_30_s(
    servers: Servers, nursery: Nursery, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Both processes that work are killed in the middle of it, and started again. The times are
    those that the database has written down, and longer where others want the machine."""
    slow = slowness()
    with (
        databases.fresh(servers.postgres) as database_url,
        house(
            database_url,
            servers.redis.url_of(8),
            tmp_path_factory.mktemp("defaults"),
            nursery,
            defaults=True,
            # Long calls and few of them at once, so that some wait, some fly and some are done when
            # it happens, also where webhooks take seconds to come.
            BILLING_SANDBOX_LATENCY_MS="1000",
            BILLING_SLOTS="16",
        ) as town,
    ):
        town.start()
        with town.asleep("worker"):
            charge_ids = [town.charge() for _ in range(100)]
        wait_for(
            lambda: len(town.witness.sink.requests) > 10,
            what="some webhooks, with more under way",
            every_s=0.005,
        )

        for name in ("worker", "webhooks"):
            town.running[name].kill()
        town.start("worker", "webhooks")

        town.witness.wait_until_final(charge_ids)
        stories = {tuple(town.witness.story(id_)) for id_ in charge_ids}
        assert any("charge lease_expired" in story for story in stories)
        bound = timedelta(seconds=30 * max(slow, slowness()))
        assert [took for took in made_up_for_after(town) if took > bound] == []
        town.witness.testify()


def made_up_for_after(town: House) -> list[timedelta]:
    """How long after the attempt that died began the next one did, for each that died."""
    rows = town.witness.rows(
        "SELECT again.started_at - died.started_at AS took FROM attempts died"
        " JOIN attempts again ON again.object_id = died.object_id"
        " AND again.number = died.number + 1 WHERE died.outcome = 'lease_expired'"
    )
    assert rows
    return [row["took"] for row in rows]
