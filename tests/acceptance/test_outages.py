"""Brokers and databases that go away in mid-run: nobody has to restart a worker by hand."""

import time

import pytest

from local.embedded.throwaway import Servers
from tests.support.broker import Broker
from tests.support.house import House
from tests.support.waiting import slowness, wait_for


def _wait_until_no_dead_connection_is_left(town: House) -> None:
    """A connection that died with its server is only found when it is used: the sandbox's, in the
    midst of a call, whose outcome then is unknown. The next test finds a house without them."""

    def nothing_came_between() -> bool:
        charge_id = town.charge()
        town.witness.wait_until_final([charge_id])
        return town.witness.story(charge_id) == ["charge succeeded"]

    wait_for(nothing_came_between, what="a charge that no dead connection gets in the way of")


def test_a_broker_that_is_emptied_in_mid_run_loses_nothing_that_was_accepted(
    town: House, broker: Broker
) -> None:
    pids = town.pids()
    with town.asleep("worker"):
        sent = [town.charge() for _ in range(round(150 * slowness()))]
        accepted = [town.accept() for _ in range(50)]
    town.wait_until_some_succeeded(sent)

    assert broker.waiting() > 0
    broker.empty()

    late = town.charge()
    there = {row["id"] for row in town.witness.rows("SELECT id FROM charges")}
    town.witness.wait_until_final([*accepted, *(there & set(sent)), late])
    assert town.pids() == pids
    town.witness.testify()


def test_a_broker_that_crashes_in_mid_run_loses_nothing(town: House, broker: Broker) -> None:
    pids = town.pids()
    with town.asleep("worker"):
        sent = [town.charge() for _ in range(round(100 * slowness()))]
        accepted = [town.accept() for _ in range(30)]
    town.wait_until_some_succeeded(sent)

    assert broker.waiting() > 0
    broker.crash()

    late = town.charge()
    town.witness.wait_until_final([*accepted, *sent, late])
    assert town.pids() == pids
    town.witness.testify()


@pytest.mark.parametrize("down_s", [0.0, 3.0])
def test_a_database_that_crashes_in_mid_run_loses_nothing(
    down_s: float, town: House, houses: list[House], shaken: Servers
) -> None:
    pids = town.pids()
    with town.asleep("worker"):
        accepted = [town.accept() for _ in range(30)]
        sent = [town.charge() for _ in range(100)]
        refunds = [town.refund(charge_id, amount=5) for charge_id in sent[:10]]
    town.wait_until_some_succeeded(sent)

    shaken.postgres.crash()
    time.sleep(down_s)  # requests arrive and wait while there is no database
    shaken.postgres.start()

    town.witness.wait_until_final([*accepted, *sent, *refunds])
    for house in houses:  # that of the other broker stands on the same database server
        _wait_until_no_dead_connection_is_left(house)
    assert town.pids() == pids
    town.witness.testify()
