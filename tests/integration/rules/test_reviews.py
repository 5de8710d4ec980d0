"""What a person decides, when nobody else can tell."""

from datetime import timedelta
from typing import Any

import pytest

from payments.access.audit_log import NobodyActs
from payments.acting import person
from payments.approval_policy import NOTHING
from payments.lifecycle import reviews
from payments.payment_errors import InvalidRequest, MoveNotAllowed, Refused
from payments.payment_errors import NotFound as NoSuchObject
from payments.processors.outcomes import NotFound
from tests.support.acting import Database
from tests.support.factories import SUCCEEDED, TIMEOUT, Till, a_charge, a_refund


def in_review(till: Till, request: Any) -> str:
    """The id of a charge or refund that nobody can tell the outcome of."""
    claimed = till.claim(request)
    till.settle(claimed, TIMEOUT)
    till.time_passes(timedelta(days=1), claimed.id)
    till.settle(till.claim(claimed.id), NotFound())
    assert till.stand(claimed.id) == "needs_review"
    return claimed.id


@pytest.mark.parametrize(("decision", "state"), [("succeeded", "succeeded"), ("failed", "failed")])
def test_a_person_settles_it_and_the_history_says_who_and_why(
    till: Till, decision: str, state: str
) -> None:
    id_ = in_review(till, a_charge())
    row = till.resolve(id_, decision)
    assert row["state"] == state
    why = ("resolved_failed", "A person found that no money had moved.")
    told = (row["failure_code"], row["failure_message"])
    assert told == (why if state == "failed" else (None, None))
    assert till.events(id_) == ["charge.needs_review", f"charge.{state}"]
    last = till.query("SELECT * FROM attempts WHERE object_id = :id ORDER BY number", id=id_)[-1]
    assert (last["verb"], last["outcome"], last["worker"], last["detail"]) == (
        "resolve", decision, "ada", "I looked",
    )  # fmt: skip


def test_a_person_sends_it_again(till: Till) -> None:
    id_ = in_review(till, a_charge())
    assert till.resolve(id_, "retry")["phase"] == "queued"
    assert id_ in till.wakes.charges
    again = till.claim(id_)
    assert not again.in_doubt
    till.settle(again, SUCCEEDED)
    assert till.events(id_) == ["charge.needs_review", "charge.succeeded"]


def test_what_is_sent_again_and_lost_again_comes_back_to_a_person(till: Till) -> None:
    id_ = in_review(till, a_charge())
    till.resolve(id_, "retry")
    till.settle(till.claim(id_), TIMEOUT)
    till.time_passes(timedelta(minutes=1), id_)
    asking = till.claim(id_)
    assert not till.policy.may_resend(asking.row, asking.now)
    till.settle(asking, NotFound())
    assert till.events(id_) == ["charge.needs_review", "charge.needs_review"]


@pytest.mark.parametrize(("decision", "left"), [("succeeded", 0), ("failed", 1000)])
def test_a_person_settles_a_refund_and_the_charge_counts_it(
    till: Till, decision: str, left: int
) -> None:
    charge_id = till.charged(amount=1000)
    till.resolve(in_review(till, a_refund(charge_id)), decision)
    row = till.row(charge_id)
    assert row["amount"] - row["refund_reserved"] == left
    assert row["refunded_amount"] == 1000 - left


def test_a_charge_that_a_person_failed_frees_its_waiting_refunds(till: Till) -> None:
    charge_id = in_review(till, a_charge())
    refund = a_refund(charge_id)
    till.accept(refund)
    till.resolve(charge_id, "failed")
    assert refund.id in till.wakes.refunds
    till.submit(refund.id)
    assert till.row(refund.id)["failure_code"] == "charge_failed"


def test_only_what_needs_review_can_be_resolved(till: Till) -> None:
    claimed = till.claim(a_charge())
    for _ in range(2):
        with pytest.raises(MoveNotAllowed):
            till.resolve(claimed.id, "failed")
        till.settle(claimed, SUCCEEDED)
    assert till.stand(claimed.id) == "succeeded"


def test_of_two_people_who_decide_one_comes_too_late(till: Till) -> None:
    id_ = in_review(till, a_charge())
    till.resolve(id_, "failed")
    with pytest.raises(MoveNotAllowed, match="it is failed"):
        till.resolve(id_, "succeeded")


@pytest.mark.parametrize(
    ("id_", "error"),
    [("ch_nobody", NoSuchObject), ("re_nobody", NoSuchObject), ("evt_1", InvalidRequest)],
)
def test_what_is_not_there_cannot_be_resolved(till: Till, id_: str, error: type[Refused]) -> None:
    with pytest.raises(error) as refused:
        till.resolve(id_, "failed")
    assert refused.value.param == "id"


@pytest.mark.parametrize(("who", "why"), [("", "x"), ("ada", " "), ("ada", None)])
def test_nobody_decides_for_no_reason(till: Till, who: str, why: str | None) -> None:
    id_ = in_review(till, a_charge())

    def decide() -> None:
        acting = person(who, why=why)
        with Database(till.engine, acting=acting).transaction() as transaction:
            reviews.resolve(transaction, id_, "failed", approvals=NOTHING)

    with pytest.raises(InvalidRequest):
        decide()


def test_in_a_transaction_of_nobodys_nothing_is_decided(till: Till) -> None:
    id_ = in_review(till, a_charge())
    with pytest.raises(NobodyActs), Database(till.engine, acting=None).transaction() as transaction:
        reviews.resolve(transaction, id_, "failed", approvals=NOTHING)
    assert till.row(id_)["phase"] == "needs_review"
