"""What workers bear: broken messages, being stopped, and more of a kind than one needs."""

import json

from tests.support.broker import Broker, RedisBroker
from tests.support.house import House
from tests.support.waiting import slowness, wait_for

# One of each kind that has ended or stopped workers; tests/integration has all of them.
POISON = [
    (b"{", {}),
    (b"\xff\xfe\x00", {}),
    (b"[[], {}, {}]", {"task": "billing.charge.create"}),
    (b"[[], {}, {}]", {"task": "no.such.task", "id": "a", "lang": "go"}),
    (b'"text"', {"task": "billing.charge.create", "id": "b", "lang": "go"}),
    (b"[" * 5000, {"task": "billing.charge.create", "id": "c", "lang": "go"}),
    (b"[[], {}, {}]", {"task": 7, "id": "d", "lang": "go"}),
    (b"[[], {}, {}]", {"task": "a\x00b", "id": "f\x00", "lang": "go"}),
    (b"[[], {}, {}]", {"task": "billing.charge.create", "id": "e", "eta": "soon"}),
]


def _quarantined(town: House) -> int:
    (row,) = town.witness.rows("SELECT count(*) AS n FROM quarantined_messages")
    return int(row["n"])


def test_broken_messages_among_good_ones_are_set_aside_and_the_worker_goes_on(town: House) -> None:
    pids, before = town.pids(), _quarantined(town)
    charge_ids = []
    for body, headers in POISON:
        town.producer.send_raw(body, headers=headers)
        charge_ids.append(town.charge())

    town.witness.wait_until_final(charge_ids)
    wait_for(lambda: _quarantined(town) - before == len(POISON), what="all to be in quarantine")
    assert town.pids() == pids
    town.witness.testify()


# kombu's reader makes objects of what is tagged, and raises anything when it can't: in the worker
# that takes it, and in every worker that would give it back after a crash.
TAGGED = {"__type__": "decimal", "__value__": "x"}


def test_poison_among_good_ones_holds_up_nothing_when_its_worker_is_killed(
    town: House, broker: Broker
) -> None:
    before, charge_ids = _quarantined(town), []
    killed = town.running["worker"]
    for number in range(30):
        charge_ids.append(town.charge())
        if number % 10 == 9:
            town.producer.send_raw(
                f'[[], {{"n": {number}}}, {{}}]'.encode(), headers={"task": TAGGED, "id": TAGGED}
            )
            if isinstance(broker, RedisBroker):
                broker.push(json.dumps({**TAGGED, "n": number}).encode())
                # As a worker leaves behind what it had taken.
                broker.abandon(json.dumps({**TAGGED, "held": number}).encode())
        if number == 15:
            killed.kill()
            town.leases_end()
    town.start("worker")
    town.witness.wait_until_final(charge_ids)
    poison = 9 if isinstance(broker, RedisBroker) else 3
    wait_for(lambda: _quarantined(town) - before == poison, what="all poison to be in quarantine")
    town.witness.testify()


def test_a_request_that_makes_no_sense_is_recorded_and_told(town: House) -> None:
    task_id = town.producer.send("billing.charge.create", amount="12", currency="USD")

    (rejection,) = wait_for(
        lambda: town.witness.rows(
            "SELECT * FROM rejected_requests WHERE task_id = :id", id=task_id
        ),
        what="the rejection",
    )
    assert (rejection["code"], rejection["param"]) == ("invalid_request", "amount")
    town.witness.wait_until_quiet()
    bodies = [request.json() for request in list(town.witness.sink.requests)]
    told = [body["data"] for body in bodies if body["type"] == "request.rejected"]
    assert [one["detail"] for one in told if one["task_id"] == task_id] == [rejection["detail"]]
    town.witness.testify()


def test_a_worker_that_is_told_to_stop_finishes_what_it_holds(town: House, broker: Broker) -> None:
    with town.asleep("worker"):
        charge_ids = [town.charge() for _ in range(round(150 * slowness()))]
    town.wait_until_some_succeeded(charge_ids)

    assert town.running["worker"].stop() == 0

    assert [r["id"] for r in town.witness.rows("SELECT id FROM charges WHERE worker <> ''")] == []
    assert broker.waiting() > 0
    town.start("worker")
    town.witness.wait_until_final(charge_ids)
    stories = [town.witness.story(id_) for id_ in charge_ids]
    assert not [story for story in stories if "charge lease_expired" in story]
    town.witness.testify()


def test_two_beats_are_harmless(town: House) -> None:
    """They sweep up after the same dead worker."""
    second = town.launch("beat")
    second.wait_until("(?i)sweeper")
    with town.asleep("worker"):
        charge_ids = [town.charge() for _ in range(60)]
    town.wait_until_some_succeeded(charge_ids)
    town.running["worker"].kill()
    town.leases_end()
    town.start("worker")

    town.witness.wait_until_final(charge_ids)

    second.stop()
    for id_ in charge_ids:
        assert town.witness.story(id_).count("charge lease_expired") <= 1
    town.witness.testify()


def test_a_request_without_a_key_is_made_once_though_it_is_delivered_twice(town: House) -> None:
    fields = {"amount": 700, "currency": "USD", "metadata": {"order": "7"}}
    task_id = town.producer.send("billing.charge.create", **fields)
    town.producer.send("billing.charge.create", task_id=task_id, **fields)

    def made() -> object:
        return town.witness.rows(
            "SELECT id FROM charges WHERE idempotency_key = :key AND state = 'succeeded'",
            key=task_id,
        )

    (charge,) = wait_for(made, what="the charge")  # type: ignore[misc]
    town.witness.wait_until_quiet()
    assert town.witness.movements(charge["id"]) == [("charge", 700)]
    assert town.witness.story(charge["id"]) == ["charge succeeded"]
    town.witness.testify()
