"""kill -9 of the worker at every point of a cancellation."""

import pytest

from tests.support.house import House

ENDED = ["cancel canceled"]
# Who died with the lease is on record; the processor is asked once more, and says the same.
ASKED_AGAIN = ["cancel lease_expired", "cancel canceled"]

POINTS = {
    "received": ENDED,
    "recording": ENDED,
    "claiming": ENDED,
    "canceling": ASKED_AGAIN,
    "calling": ASKED_AGAIN,
    "moved": ASKED_AGAIN,
    "canceled": ASKED_AGAIN,
    "settling": ASKED_AGAIN,
    "done": ENDED,
}


def waiting(town: House, method: str = "pm_sandbox_requires_action", **fields: object) -> str:
    """A charge that waits for its customer."""
    charge_id = town.charge(payment_method_id=method, **fields)
    town.wait_for_phase(charge_id, "awaiting_customer")
    return charge_id


def cancellations(town: House, charge_id: str) -> list[str]:
    return [told for told in town.witness.story(charge_id) if told.startswith("cancel")]


@pytest.mark.parametrize("point", POINTS)
def test_a_charge_is_canceled_once_though_the_worker_dies(point: str, town: House) -> None:
    charge_id = waiting(town)
    town.arm("worker", point)
    town.cancel(charge_id)
    town.wait_for_death("worker", point)
    town.leases_end()

    town.start("worker")

    town.witness.wait_until_final([charge_id])
    row = town.witness.object(charge_id)
    assert row is not None
    assert (row["state"], row["failure_code"]) == ("failed", "canceled")
    assert cancellations(town, charge_id) == POINTS[point]
    assert town.witness.movements(charge_id) == []
    town.witness.testify()


@pytest.mark.parametrize("point", ["moved", "canceled"])
def test_money_that_moved_wins_though_the_worker_that_heard_of_it_dies(
    point: str, town: House
) -> None:
    charge_id = waiting(town, "pm_sandbox_cancel_too_late")
    town.arm("worker", point)
    town.cancel(charge_id)
    town.wait_for_death("worker", point)
    town.leases_end()

    town.start("worker")

    town.witness.wait_until_final([charge_id])
    assert town.witness.state(charge_id) == "succeeded"
    assert town.witness.movements(charge_id) == [("charge", 1999)]
    town.witness.testify()


@pytest.mark.parametrize(
    ("point", "state"), [("claimed", "failed"), ("calling", "failed"), ("moved", "succeeded")]
)
def test_a_charge_whose_worker_dies_in_flight_is_canceled_unless_money_had_moved(
    point: str, state: str, town: House
) -> None:
    town.arm("worker", point)
    charge_id = town.charge()
    town.wait_for_death("worker", point)
    town.cancel(charge_id)

    town.start("worker")
    town.wait_until_the_end_is_asked_for(charge_id)
    town.leases_end()

    town.witness.wait_until_final([charge_id])
    assert town.witness.state(charge_id) == state
    assert len(town.witness.movements(charge_id)) == (1 if state == "succeeded" else 0)
    # It is never sent again once its end was asked for.
    assert town.witness.story(charge_id)[0] == "charge lease_expired"
    assert not [told for told in town.witness.story(charge_id)[1:] if told.startswith("charge")]
    town.witness.testify()
