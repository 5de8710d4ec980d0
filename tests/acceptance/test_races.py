"""Many who want the same, many who want something at once, and one who comes back from the dead."""

import json
import re
import signal
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from infra.billing.contract.ids import id_from_key
from tests.support.house import House
from tests.support.waiting import slowness, wait_for


def _ask_at_once(town: House, folder: Path, fields: Mapping[str, Any]) -> list[str]:
    """A hundred times, from four processes; returns the answers of those that hear one."""
    gun = folder / "gun"
    processes = [
        town.run(how, "tests.support.asker", how, "25", str(gun), json.dumps(fields))
        for how in ("queue", "direct", "queue", "direct")
    ]
    for process in processes:
        process.wait_until("ready")
    gun.touch()
    assert [process.end_of_itself() for process in processes] == [0, 0, 0, 0]
    said = "".join(process.output for process in processes)
    answers = re.findall(r"^answer (.*)$", said, re.MULTILINE)
    assert len(answers) == 100
    return [answer for answer in answers if answer != "sent"]


def test_one_key_a_hundred_times_at_once_is_one_charge(town: House, tmp_path: Path) -> None:
    fields = {"amount": 4200, "currency": "EUR", "idempotency_key": f"race-{tmp_path.name}"}
    charge_id = id_from_key("charge", producer="default", key=str(fields["idempotency_key"]))
    rival = town.launch("worker", hostname="rival")
    rival.wait_until("ready")

    answers = _ask_at_once(town, tmp_path, fields)

    assert set(answers) == {charge_id}
    assert len(answers) == 50
    town.witness.wait_until_final([charge_id])
    rival.stop()
    assert town.witness.story(charge_id) == ["charge succeeded"]
    assert town.witness.movements(charge_id) == [("charge", 4200)]
    town.witness.testify()


def test_the_same_key_with_another_amount_is_refused_and_told(town: House) -> None:
    charge_id = town.charge(key=f"conflict-{town.environ['BILLING_DATA_DIR']}", amount=100)
    town.witness.wait_until_final([charge_id])
    before = town.witness.object(charge_id)

    again = town.charge(key=f"conflict-{town.environ['BILLING_DATA_DIR']}", amount=200)

    assert again == charge_id
    (rejection,) = wait_for(
        lambda: town.witness.rows(
            "SELECT * FROM rejected_requests WHERE object_id = :id", id=charge_id
        ),
        what="the rejection",
    )
    assert (rejection["code"], rejection["param"]) == ("idempotency_key_reused", "idempotency_key")
    told = wait_for(
        lambda: [
            request.json()["data"]
            for request in list(town.witness.sink.requests)
            if request.json()["type"] == "request.rejected"
            and request.json()["data"]["object_id"] == charge_id
        ],
        what="the webhook that tells it",
    )
    assert [one["id"] for one in told] == [rejection["id"]]
    town.witness.wait_until_quiet()
    assert town.witness.object(charge_id) == before
    assert town.witness.movements(charge_id) == [("charge", 100)]
    town.witness.testify()


def test_a_zombie_changes_nothing(town: House) -> None:
    """Stopped in the middle of its call, past its lease; another has settled it when it wakes."""
    zombie = town.running["worker"]
    # Most of what a call may last in this house: it has to be stopped meanwhile.
    slow_ms = 750 * float(town.environ["BILLING_CALL_DEADLINE_S"])
    charge_id = town.charge(payment_method_id=f"pm_sandbox_slow_{slow_ms:.0f}")
    wait_for(
        lambda: town.witness.rows(
            "SELECT FROM sandbox_requests WHERE object_id = :id", id=charge_id
        ),
        what="the money to move",
        every_s=0.002,
    )
    zombie.signal(signal.SIGSTOP)
    try:
        town.leases_end()
        town.start("worker")
        town.witness.wait_until_final([charge_id])
        settled, story = town.witness.object(charge_id), town.witness.story(charge_id)
        assert story == ["charge lease_expired", "look_up succeeded"]
    finally:
        zombie.signal(signal.SIGCONT)

    # It works on, so it has had its say on the old one by the time it stops.
    assert zombie.stop() == 0
    assert town.witness.object(charge_id) == settled
    assert town.witness.story(charge_id) == story
    town.witness.testify()


def test_64_charges_wait_for_the_processor_at_once_in_one_process(town: House) -> None:
    town.running["worker"].stop()
    call_s = 2 * slowness()  # the last must have begun before the first has ended
    town.start(
        "worker",
        BILLING_SLOTS="64",
        BILLING_SANDBOX_LATENCY_MS=f"{call_s * 1000:.0f}",
        BILLING_CALL_DEADLINE_S=f"{2 * call_s:.1f}",
        BILLING_LEASE_S=f"{6 * call_s:.1f}",
    )
    with town.asleep("worker"):
        charge_ids = [town.charge() for _ in range(64)]

    town.witness.wait_until_final(charge_ids)

    calls = town.witness.rows(
        "SELECT worker, started_at, ended_at FROM attempts WHERE object_id = ANY(:ids)",
        ids=charge_ids,
    )
    assert len(calls) == 64
    assert len({call["worker"] for call in calls}) == 1
    assert max(call["started_at"] for call in calls) < min(call["ended_at"] for call in calls)
    town.witness.testify()
    town.running["worker"].stop()  # The next test gets a worker of the usual kind.
