"""kill -9 while something waits for a second person: who asks, who decides, and who goes on."""

import uuid
from collections.abc import Iterator

import httpx
import pytest

from infra.billing.contract.ids import id_from_key
from payments.audit.invariants import OURS
from payments.audit.verify import is_sound, verify
from tests.support.approvals import an_approval
from tests.support.house import House
from tests.support.sandbox import STATEMENTS
from tests.support.web import Caller

# Whether it is committed when the process dies, without anybody knowing.
DOOR_POINTS = {"accepting": False, "accepted": True, "woken": True}
# Nobody is woken for what waits.
ASKING_POINTS = {"accepting": False, "committed": True}
VERDICTS = {"approve": "approved", "reject": "rejected"}
WHY = {"reason": "seen the mail"}

SENT_ONCE = ["refund succeeded"]
SENT_AGAIN = ["refund lease_expired", "refund succeeded"]
LOOKED_UP = ["refund lease_expired", "look_up succeeded"]
WORKER_POINTS = {
    "received": SENT_ONCE,
    "claiming": SENT_ONCE,
    "claimed": SENT_AGAIN,
    "calling": SENT_AGAIN,
    "moved": LOOKED_UP,
    "answered": LOOKED_UP,
    "settling": LOOKED_UP,
    "done": SENT_ONCE,
}
EVERY_REFUND = {"BILLING_APPROVE_REFUNDS_ABOVE": "*:0"}


@pytest.fixture
def operator(town: House) -> Iterator[Caller]:
    """Somebody who may decide, and has asked for nothing."""
    with town.caller(scopes=["operator"], all_producers=True) as client:
        yield client


@pytest.fixture
def charge_id(town: House) -> str:
    """A charge of 19.99 that has succeeded."""
    charge_id = town.charge()
    town.witness.wait_until_final([charge_id])
    return charge_id


@pytest.fixture
def waiting(town: House, charge_id: str) -> tuple[str, str]:
    """A refund of all of it that waits, and what is asked about it."""
    approval_id = an_approval(town.witness.engine, charge_id)
    (one,) = town.witness.rows("SELECT object_id FROM approvals WHERE id = :id", id=approval_id)
    return one["object_id"], approval_id


@pytest.fixture
def strict(town: House) -> Iterator[House]:
    """The house while each refund must be approved."""
    for name in ("worker", "web"):
        if name in town.running:
            town.running[name].end()
    town.start("worker", "web", **EVERY_REFUND)
    yield town
    for name in ("worker", "web"):
        town.running[name].end()
    town.start("worker", "web")


def audited(town: House, refund_id: str) -> list[str]:
    found = town.witness.rows("SELECT action FROM audit_log WHERE object_id = :id", id=refund_id)
    return [row["action"] for row in found]


def approvals(town: House, refund_id: str) -> list[tuple[str, str]]:
    found = town.witness.rows("SELECT id, state FROM approvals WHERE object_id = :id", id=refund_id)
    return [(row["id"], row["state"]) for row in found]


def nothing_is_amiss(town: House) -> None:
    town.witness.testify()
    found = verify(town.witness.engine, statements=STATEMENTS, invariants=OURS)
    assert is_sound(list(found))


def decide(operator: Caller, approval_id: str, verb: str) -> httpx.Response:
    return operator.post(f"/approvals/{approval_id}/{verb}", json=WHY)


def dies_deciding(town: House, point: str, operator: Caller, approval_id: str, verb: str) -> None:
    town.arm("web", point)
    with pytest.raises(httpx.TransportError):
        decide(operator, approval_id, verb)
    town.wait_for_death("web", point)


@pytest.mark.parametrize("verb", VERDICTS)
@pytest.mark.parametrize("point", DOOR_POINTS)
def test_who_decides_again_is_answered_and_it_is_decided_once(
    point: str, verb: str, town: House, operator: Caller, waiting: tuple[str, str]
) -> None:
    refund_id, approval_id = waiting
    dies_deciding(town, point, operator, approval_id, verb)
    is_decided = DOOR_POINTS[point]
    assert audited(town, refund_id) == ([f"approval.{verb}"] if is_decided else [])
    state = VERDICTS[verb]
    assert approvals(town, refund_id) == [(approval_id, state if is_decided else "pending")]

    town.start("web")
    answer = decide(operator, approval_id, verb)

    assert (answer.status_code, answer.json()["state"]) == (200, state)
    (other,) = VERDICTS.keys() - {verb}
    late = decide(operator, approval_id, other)
    assert (late.status_code, late.json()["code"]) == (409, "move_not_allowed")
    assert f"it was {state} by {answer.json()['decided_by']} already" in late.json()["detail"]
    town.witness.wait_until_final([refund_id])
    moved = [("refund", 1999)] if verb == "approve" else []
    assert town.witness.movements(refund_id) == moved
    assert audited(town, refund_id) == [f"approval.{verb}"]
    nothing_is_amiss(town)


@pytest.mark.parametrize("verb", VERDICTS)
@pytest.mark.parametrize("point", ["accepted", "woken"])
def test_what_was_decided_is_done_though_nobody_asks_again(
    point: str, verb: str, town: House, operator: Caller, waiting: tuple[str, str]
) -> None:
    refund_id, approval_id = waiting
    dies_deciding(town, point, operator, approval_id, verb)

    town.witness.wait_until_final([refund_id])
    state = {"approve": "succeeded", "reject": "failed"}[verb]
    assert town.witness.state(refund_id) == state
    assert audited(town, refund_id) == [f"approval.{verb}"]
    town.start("web")
    nothing_is_amiss(town)


@pytest.mark.parametrize("point", WORKER_POINTS)
def test_an_approved_refund_is_made_once_though_the_worker_dies(
    point: str, town: House, operator: Caller, waiting: tuple[str, str]
) -> None:
    refund_id, approval_id = waiting
    town.arm("worker", point)
    assert decide(operator, approval_id, "approve").status_code == 200
    town.wait_for_death("worker", point)
    town.leases_end()

    town.start("worker")

    town.witness.wait_until_final([refund_id])
    asked_and_approved = ["approve asked", "approve approved"]
    assert town.witness.story(refund_id) == [*asked_and_approved, *WORKER_POINTS[point]]
    assert town.witness.movements(refund_id) == [("refund", 1999)]
    assert approvals(town, refund_id) == [(approval_id, "approved")]
    assert audited(town, refund_id) == ["approval.approve"]
    nothing_is_amiss(town)


@pytest.mark.parametrize("point", ASKING_POINTS)
def test_it_is_asked_once_though_the_door_dies_that_accepts_the_refund(
    point: str, strict: House, operator: Caller, charge_id: str
) -> None:
    key = uuid.uuid4().hex
    refund_id = id_from_key("refund", producer=operator.producer, key=key)
    strict.arm("web", point)
    with pytest.raises(httpx.TransportError):
        operator.refund(charge_id, key)
    strict.wait_for_death("web", point)
    there = [state for _, state in approvals(strict, refund_id)]
    assert there == (["pending"] if ASKING_POINTS[point] else [])

    strict.start("web", **EVERY_REFUND)
    answer = operator.refund(charge_id, key)

    assert answer.json()["phase"] == "awaiting_approval"
    ((approval_id, state),) = approvals(strict, refund_id)
    assert state == "pending"
    assert strict.witness.movements(refund_id) == []
    own = decide(operator, approval_id, "approve")
    assert own.json()["code"] == "second_person_required"
    with strict.caller(scopes=["operator"], all_producers=True) as other:
        assert decide(other, approval_id, "approve").status_code == 200
    strict.witness.wait_until_final([refund_id])
    assert strict.witness.movements(refund_id) == [("refund", 1999)]
    nothing_is_amiss(strict)


@pytest.mark.parametrize("point", ["received", "claiming", "done"])
def test_it_is_asked_once_though_the_worker_dies_that_takes_the_message(
    point: str, strict: House, operator: Caller, charge_id: str
) -> None:
    strict.arm("worker", point)
    refund_id = strict.refund(charge_id)
    strict.wait_for_death("worker", point)
    strict.leases_end()  # of the message, too

    strict.start("worker", **EVERY_REFUND)

    strict.wait_for_phase(refund_id, "awaiting_approval")
    ((approval_id, state),) = approvals(strict, refund_id)
    assert state == "pending"
    assert decide(operator, approval_id, "approve").status_code == 200
    strict.witness.wait_until_final([refund_id])
    assert strict.witness.movements(refund_id) == [("refund", 1999)]
    assert audited(strict, refund_id) == ["approval.approve"]
    nothing_is_amiss(strict)
