"""kill -9 of the worker at every point of an authorization, a capture, and letting go."""

import pytest

from tests.support.house import House

SENT_ONCE = ["capture succeeded"]
# Nobody knows what came of the first call: it is looked up, and sent again when the processor
# has never heard of it.
SENT_AGAIN = ["capture lease_expired", "capture succeeded"]
LOOKED_UP = ["capture lease_expired", "look_up succeeded"]

POINTS = {
    "received": SENT_ONCE,
    "recording_capture": SENT_ONCE,
    "claiming": SENT_ONCE,
    "capturing": SENT_AGAIN,
    "calling": SENT_AGAIN,
    "moved": LOOKED_UP,
    "captured": LOOKED_UP,
    "settling": LOOKED_UP,
    "done": SENT_ONCE,
}


def authorized(town: House, **fields: object) -> str:
    """A charge whose money is set aside."""
    charge_id = town.charge(capture="manual", **fields)
    town.wait_for_phase(charge_id, "authorized")
    return charge_id


@pytest.mark.parametrize(
    ("point", "story"),
    [
        ("claiming", ["charge authorized"]),
        ("calling", ["charge lease_expired", "charge authorized"]),
        ("moved", ["charge lease_expired", "look_up authorized"]),
        ("settling", ["charge lease_expired", "look_up authorized"]),
        ("done", ["charge authorized"]),
    ],
)
def test_a_charge_is_authorized_once_though_the_worker_dies(
    point: str, story: list[str], town: House
) -> None:
    town.arm("worker", point)
    charge_id = town.charge(capture="manual")
    town.wait_for_death("worker", point)
    town.leases_end()

    town.start("worker")

    town.wait_for_phase(charge_id, "authorized")
    assert town.witness.story(charge_id) == story
    assert town.witness.movements(charge_id) == []
    town.cancel(charge_id)
    town.witness.wait_until_final([charge_id])
    assert town.witness.state(charge_id) == "failed"
    town.witness.testify()


@pytest.mark.parametrize("point", POINTS)
def test_a_charge_is_captured_once_though_the_worker_dies(point: str, town: House) -> None:
    charge_id = authorized(town)
    town.arm("worker", point)
    town.capture(charge_id, amount=1500)
    town.wait_for_death("worker", point)
    town.leases_end()

    town.start("worker")

    town.witness.wait_until_final([charge_id])
    assert town.witness.state(charge_id) == "succeeded"
    assert town.witness.story(charge_id) == [
        "charge authorized",
        "capture requested",
        *POINTS[point],
    ]
    assert town.witness.captured(charge_id) == [1500]
    town.witness.testify()


@pytest.mark.parametrize("point", ["capturing", "moved", "captured", "settling"])
def test_a_part_is_captured_once_and_the_rest_is_let_go_of(point: str, town: House) -> None:
    charge_id = authorized(town)
    town.arm("worker", point)
    town.capture(charge_id, amount=500, final=False)
    town.wait_for_death("worker", point)
    town.leases_end()

    town.start("worker")

    town.wait_for_phase(charge_id, "authorized")
    assert town.witness.captured(charge_id) == [500]
    town.cancel(charge_id)
    town.witness.wait_until_final([charge_id])
    assert town.witness.state(charge_id) == "succeeded"
    town.witness.testify()


@pytest.mark.parametrize(
    ("point", "state", "captured"),
    [
        ("capturing", "failed", []),
        ("moved", "succeeded", [1999]),
        ("settling", "succeeded", [1999]),
    ],
)
def test_a_cancellation_after_the_worker_died_is_second_to_money_that_moved(
    point: str, state: str, captured: list[int], town: House
) -> None:
    charge_id = authorized(town)
    town.arm("worker", point)
    town.capture(charge_id)
    town.wait_for_death("worker", point)
    town.cancel(charge_id)

    town.start("worker")
    town.wait_until_the_end_is_asked_for(charge_id)
    town.leases_end()

    town.witness.wait_until_final([charge_id])
    assert town.witness.state(charge_id) == state
    assert town.witness.captured(charge_id) == captured
    town.witness.testify()
