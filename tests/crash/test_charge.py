"""kill -9 of the worker at every point between receiving a charge and acknowledging it."""

import pytest

from tests.support.house import House

SENT_ONCE = ["charge succeeded"]
# Nobody knows what came of the first call: it is looked up, and sent again when the processor
# has never heard of it.
SENT_AGAIN = ["charge lease_expired", "charge succeeded"]
LOOKED_UP = ["charge lease_expired", "look_up succeeded"]

POINTS = {
    "received": SENT_ONCE,
    "claiming": SENT_ONCE,
    "claimed": SENT_AGAIN,
    "calling": SENT_AGAIN,
    "moved": LOOKED_UP,
    "answered": LOOKED_UP,
    "settling": LOOKED_UP,
    "waking": SENT_ONCE,
    "woken": SENT_ONCE,
    "done": SENT_ONCE,
}


@pytest.mark.parametrize("point", POINTS)
def test_a_charge_is_made_once_though_the_worker_dies(point: str, town: House) -> None:
    town.arm("worker", point)
    charge_id = town.charge()
    town.wait_for_death("worker", point)
    town.leases_end()

    town.start("worker")

    town.witness.wait_until_final([charge_id])
    assert town.witness.state(charge_id) == "succeeded"
    assert town.witness.story(charge_id) == POINTS[point]
    town.witness.testify()


@pytest.mark.parametrize("point", ["received", "answered", "done"])
def test_so_it_is_where_threads_carry_charges(point: str, town: House) -> None:
    """`BILLING_DISPATCH=threads`; the other points, with `BILLING_TEST_DISPATCH=threads`."""
    town.running["worker"].end()
    town.start("worker", BILLING_DISPATCH="threads")
    town.arm("worker", point)
    charge_id = town.charge()
    town.wait_for_death("worker", point)
    town.leases_end()
    town.start("worker", BILLING_DISPATCH="threads")

    town.witness.wait_until_final([charge_id])
    assert town.witness.story(charge_id) == POINTS[point]
    town.witness.testify()
    town.running["worker"].end()  # the next test starts the usual one
