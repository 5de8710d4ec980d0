"""kill -9 of the worker at every point between receiving a refund and acknowledging it."""

import pytest

from tests.support.house import House

SENT_ONCE = ["refund succeeded"]
SENT_AGAIN = ["refund lease_expired", "refund succeeded"]
LOOKED_UP = ["refund lease_expired", "look_up succeeded"]

POINTS = {
    "received": SENT_ONCE,
    "claiming": SENT_ONCE,
    "claimed": SENT_AGAIN,
    "calling": SENT_AGAIN,
    "moved": LOOKED_UP,
    "answered": LOOKED_UP,
    "settling": LOOKED_UP,
    "done": SENT_ONCE,
}


@pytest.fixture
def charge_id(town: House) -> str:
    """A charge that has succeeded."""
    charge_id = town.charge()
    town.witness.wait_until_final([charge_id])
    return charge_id


@pytest.mark.parametrize("point", POINTS)
def test_a_refund_is_made_once_though_the_worker_dies(
    point: str, town: House, charge_id: str
) -> None:
    town.arm("worker", point)
    refund_id = town.refund(charge_id, amount=500)
    town.wait_for_death("worker", point)
    town.leases_end()

    town.start("worker")

    town.witness.wait_until_final([refund_id])
    assert town.witness.state(refund_id) == "succeeded"
    assert town.witness.story(refund_id) == POINTS[point]
    charge = town.witness.object(charge_id)
    assert charge
    assert (charge["refunded_amount"], charge["refund_reserved"]) == (500, 500)
    town.witness.testify()


def test_a_refund_that_waits_for_its_charge_outlives_the_worker(town: House) -> None:
    """The charge's worker dies before the charge is final; the refund is already reserved."""
    town.arm("worker", "answered")
    charge_id = town.charge(payment_method_id="pm_sandbox_slow_600")
    refund_id = town.refund(charge_id)
    town.wait_for_death("worker", "answered")
    town.leases_end()

    town.start("worker")

    town.witness.wait_until_final([charge_id, refund_id])
    assert town.witness.state(refund_id) == "succeeded"
    assert town.witness.movements(refund_id) == [("refund", 1999)]
    town.witness.testify()
