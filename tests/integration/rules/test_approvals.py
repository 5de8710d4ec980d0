"""A second pair of eyes: what waits for it, who may give it, and what happens then."""

import json
import threading
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import Engine

from payments.acting import Acting, by_message, person
from payments.approval_policy import Approvals
from payments.audit.verify import verify
from payments.lifecycle import reviews
from payments.lifecycle.accepting.asked import Accepted, NewRefund
from payments.lifecycle.accepting.refunds import accept
from payments.lifecycle.approving import deciding, waiting
from payments.payment_errors import MoveNotAllowed, NotFound, Refused, SecondPersonRequired
from payments.processors.outcomes import Declined
from payments.processors.outcomes import NotFound as Unheard
from tests.support.acting import Database, by
from tests.support.every import every
from tests.support.factories import SUCCEEDED, TIMEOUT, Till, a_capture, a_charge, a_refund
from tests.support.waiting import answer_of

BEN = person("ben", account="ben", why="seen the mail")
POLICY = Approvals({"USD": 500}, resolve=True)


@pytest.fixture
def till(shared_engine: Engine) -> Till:
    return Till(shared_engine, approvals=POLICY)


def approval(till: Till, object_id: str) -> dict[str, Any]:
    """The newest of an object."""
    with till.engine.connect() as connection:
        return waiting.view(waiting.page(connection, filters={"object_id": object_id}).rows[0])


def decide(till: Till, id_: str, verdict: Any, acting: Acting = BEN) -> dict[str, Any]:
    with Database(till.engine, till._wake, acting=acting).transaction() as transaction:
        return waiting.view(deciding.decide(transaction, id_, verdict))


def asked(till: Till, charge_id: str, **changes: Any) -> str:
    """The id of a refund that was accepted."""
    (answer,) = till.accept(a_refund(charge_id, **changes))
    assert isinstance(answer, Accepted), answer
    return answer.row.id


def reserved(till: Till, charge_id: str) -> int:
    amount: int = till.row(charge_id)["refund_reserved"]
    return amount


# --- Refunds


def test_a_refund_above_the_amount_waits_and_is_told(till: Till) -> None:
    charge = till.charged(amount=1000)
    id_ = asked(till, charge, amount=501)
    assert till.stand(id_) == "awaiting_approval"
    assert till.events(id_) == ["refund.needs_approval"]
    assert reserved(till, charge) == 501
    assert id_ not in till.wakes.refunds
    one = approval(till, id_)
    assert (one["state"], one["action"], one["amount"], one["currency"]) == (
        "pending", "refund.create", 501, "USD",
    )  # fmt: skip
    assert (one["requested_by"], one["requested_account"]) == ("ada", "root")
    # Nobody sends it: no message, no sweep, and no time that passes.
    till.time_passes(timedelta(days=2), id_)
    till.submit(id_)
    till.sweep()
    assert till.stand(id_) == "awaiting_approval"


@every("amount, stands", [(500, "queued"), (501, "awaiting_approval"), (None, "awaiting_approval")])
def test_the_amount_is_of_all_that_is_given_back_of_a_charge(
    till: Till, amount: int | None, stands: str
) -> None:
    assert till.stand(asked(till, till.charged(amount=1000), amount=amount)) == stands


def test_two_halves_are_no_way_around_it(till: Till) -> None:
    charge = till.charged(amount=1000)
    assert till.stand(asked(till, charge, amount=300)) == "queued"
    assert till.stand(asked(till, charge, amount=300)) == "awaiting_approval"


@every(
    "policy, currency, stands",
    [
        ({"EUR": 1}, "USD", "queued"),
        ({"*": 0}, "USD", "awaiting_approval"),
        ({"*": 0, "USD": 5000}, "USD", "queued"),
        ({}, "USD", "queued"),
    ],
)
def test_the_amount_is_by_currency(
    shared_engine: Engine, policy: Mapping[str, int], currency: str, stands: str
) -> None:
    till = Till(shared_engine, approvals=Approvals(policy))
    assert till.stand(asked(till, till.charged(amount=1000, currency=currency))) == stands


def test_a_repeat_finds_the_one_that_waits(till: Till) -> None:
    request = a_refund(till.charged(amount=1000), amount=900)
    first, second = (till.accept(request)[0] for _ in range(2))
    assert isinstance(first, Accepted)
    assert isinstance(second, Accepted)
    assert (first.row.id, second.fresh) == (second.row.id, False)
    assert second.row.phase == "awaiting_approval"
    assert len(till.query("SELECT FROM approvals WHERE object_id = :id", id=first.row.id)) == 1


def test_one_that_comes_by_message_waits_in_the_same_step(till: Till) -> None:
    (begun,) = till.create(a_refund(till.charged(amount=1000), amount=900))
    assert begun.row.phase == "awaiting_approval"  # type: ignore[union-attr]


def test_what_somebody_else_approves_is_sent(till: Till) -> None:
    charge = till.charged(amount=1000)
    id_ = asked(till, charge, amount=900)
    done = decide(till, approval(till, id_)["id"], "approved")
    assert (done["state"], done["decided_by"], done["decision_reason"]) == (
        "approved", "ben", "seen the mail",
    )  # fmt: skip
    assert till.stand(id_) == "queued"
    assert id_ in till.wakes.refunds
    till.settle(till.claim(id_), SUCCEEDED)
    assert till.row(charge)["refunded_amount"] == 900
    assert till.events(id_) == ["refund.needs_approval", "refund.succeeded"]


def test_what_somebody_rejects_fails_and_frees_its_amount(till: Till) -> None:
    charge = till.charged(amount=1000)
    id_ = asked(till, charge, amount=900)
    decide(till, approval(till, id_)["id"], "rejected")
    row = till.row(id_)
    assert (row["state"], row["failure_code"]) == ("failed", "approval_rejected")
    assert reserved(till, charge) == 0
    assert till.events(id_)[-1] == "refund.failed"
    assert till.stand(asked(till, charge, amount=400)) == "queued"


@every(
    "acting",
    [
        person("ada", account="elsewhere", why="x"),
        person("ADA", account="elsewhere", why="x"),
        person("somebody", account="root", why="x"),
        person("root", account="elsewhere", why="x"),
    ],
    ids=lambda one: f"{one.actor} {one.account}",
)
def test_who_asked_may_not_approve_by_any_name(till: Till, acting: Acting) -> None:
    charge = till.charged(amount=1000)
    id_ = asked(till, charge, amount=900)
    one = approval(till, id_)["id"]
    with pytest.raises(SecondPersonRequired):
        decide(till, one, "approved", acting)
    assert till.stand(id_) == "awaiting_approval"
    # They may take it back.
    decide(till, one, "rejected", acting)
    assert till.stand(id_) == "failed"


def test_the_key_that_asked_is_not_somebody_else(till: Till) -> None:
    charge = till.charged(amount=1000)
    key = Acting(actor="key_a", kind="key", door="http", producer="tests", why="x")
    request = a_refund(charge, amount=900)
    with Database(till.engine, acting=key).transaction() as transaction:
        accept(transaction, [NewRefund(request, "sandbox", asked_by=key)], approvals=POLICY)
    one = approval(till, request.id)["id"]
    with pytest.raises(SecondPersonRequired):
        decide(till, one, "approved", key)
    with pytest.raises(SecondPersonRequired):  # signed in at the console with the same key
        decide(till, one, "approved", person("ben", door="console", account="key_a", why="x"))
    other = Acting(actor="key_b", kind="key", door="http", producer="tests", why="x")
    assert decide(till, one, "approved", other)["decided_by"] == "key_b"


def test_no_key_of_the_producer_whose_message_asked_is_somebody_else(till: Till) -> None:
    request = a_refund(till.charged(amount=1000), amount=900)
    by_it = by_message("tests", "task")
    with Database(till.engine, acting=by_it).transaction() as transaction:
        accept(transaction, [NewRefund(request, "sandbox", asked_by=by_it)], approvals=POLICY)
    one = approval(till, request.id)["id"]
    key = Acting(actor="key_a", kind="key", door="http", producer="tests", why="x")
    with pytest.raises(SecondPersonRequired):
        decide(till, one, "approved", key)
    assert decide(till, one, "approved", replace(key, producer="desk"))["state"] == "approved"


def test_what_a_version_without_approvals_left_is_over_when_it_is_asked_about_again(
    till: Till,
) -> None:
    id_ = in_review(till)
    resolve(till, id_, "retry")
    one = approval(till, id_)["id"]
    # It was moved, and nobody was told that the question is over.
    till.put("UPDATE charges SET phase = 'unknown', next_attempt_at = now() WHERE id = :id", id=id_)
    till.settle(till.claim(id_), Unheard())
    assert till.stand(id_) == "needs_review"
    assert approval(till, id_)["state"] == "overtaken"
    with pytest.raises(MoveNotAllowed):
        decide(till, one, "approved")


def test_to_decide_twice_is_to_decide_once_and_otherwise_is_refused(till: Till) -> None:
    id_ = asked(till, till.charged(amount=1000), amount=900)
    one = approval(till, id_)["id"]
    first = decide(till, one, "approved")
    assert decide(till, one, "approved", by("cleo")) == first
    with pytest.raises(MoveNotAllowed, match="approved by ben"):
        decide(till, one, "rejected")
    with pytest.raises(NotFound):
        decide(till, "apr_" + "a" * 32, "approved")


def test_two_who_decide_at_once_decide_once(till: Till) -> None:
    id_ = asked(till, till.charged(amount=1000), amount=900)
    one, told = approval(till, id_)["id"], []

    def say(verdict: str, who: str) -> None:
        try:
            told.append(decide(till, one, verdict, person(who, account=who, why="x"))["state"])
        except Refused as refused:
            told.append(refused.code)

    pair = [
        threading.Thread(target=say, args=args)
        for args in (("approved", "ben"), ("rejected", "cleo"))
    ]
    for thread in pair:
        thread.start()
    for thread in pair:
        answer_of(thread.join)
    assert sorted(told) in (["approved", "move_not_allowed"], ["move_not_allowed", "rejected"])
    assert till.stand(id_) in ("queued", "failed")


# --- What becomes known later


def test_a_refund_whose_charge_is_not_there_yet_waits_once_its_amount_is_known(till: Till) -> None:
    request = a_charge(amount=1000)
    id_ = asked(till, request.id, amount=900)
    assert till.stand(id_) == "queued"
    till.settle(till.claim(request), SUCCEEDED)
    till.time_passes(timedelta(minutes=1), id_)
    till.submit(id_)
    assert till.stand(id_) == "awaiting_approval"
    assert approval(till, id_)["requested_by"] == "ada"
    assert reserved(till, request.id) == 900
    decide(till, approval(till, id_)["id"], "approved")
    till.settle(till.claim(id_), SUCCEEDED)


def test_so_does_one_of_what_is_still_to_be_captured(till: Till) -> None:
    charge = till.authorized()
    id_ = asked(till, charge, amount=900)
    till.capture(a_capture(charge))
    till.settle(till.claim(charge), SUCCEEDED)
    till.submit(id_)
    assert till.stand(id_) == "awaiting_approval"


def test_one_that_waits_fails_with_its_charge_in_the_same_transaction(till: Till) -> None:
    claimed = till.claim(a_charge(amount=1000))
    id_ = asked(till, claimed.id, amount=900)
    assert till.stand(id_) == "awaiting_approval"
    till.settle(claimed, Declined("card_declined", "no", "no"))
    assert till.row(id_)["failure_code"] == "charge_failed"
    assert till.events(id_) == ["refund.needs_approval", "refund.failed"]
    assert reserved(till, claimed.id) == 0
    # What is told of the charge is how it stands without the refund.
    (told,) = till.query("SELECT body FROM events WHERE object_id = :id", id=claimed.id)
    assert json.loads(told["body"])["data"]["refund_pending_amount"] == 0
    one = approval(till, id_)
    assert (one["state"], one["decided_by"]) == ("overtaken", None)
    for verdict in ("approved", "rejected"):
        with pytest.raises(MoveNotAllowed, match="overtaken"):
            decide(till, one["id"], verdict)


def test_so_does_one_whose_charge_is_canceled(till: Till) -> None:
    charge = till.accept(a_charge(amount=1000))[0].row.id  # type: ignore[union-attr]
    ids = [asked(till, charge, amount=amount) for amount in (400, 600)]
    assert [till.stand(id_) for id_ in ids] == ["queued", "awaiting_approval"]
    till.cancel(charge)
    assert till.row(ids[1])["failure_code"] == "charge_failed"
    # The one that needs nobody is woken, and finds it out as ever.
    till.submit(ids[0])
    assert till.row(ids[0])["failure_code"] == "charge_failed"
    assert reserved(till, charge) == 0


def test_one_that_a_version_without_this_left_fails_when_it_is_approved(till: Till) -> None:
    claimed = till.claim(a_charge(amount=1000))
    id_ = asked(till, claimed.id, amount=900)
    till.put(
        "UPDATE charges SET state = 'failed', phase = NULL, lease_token = NULL, settled_at = now(),"
        " lease_expires_at = NULL, failure_code = 'card_declined' WHERE id = :id",
        id=claimed.id,
    )
    decide(till, approval(till, id_)["id"], "approved")
    till.submit(id_)
    assert till.row(id_)["failure_code"] == "charge_failed"


# --- Decisions about what needs review


def in_review(till: Till) -> str:
    claimed = till.claim(a_charge(amount=1000))
    till.settle(claimed, TIMEOUT)
    till.time_passes(timedelta(days=1), claimed.id)
    till.settle(till.claim(claimed.id), Unheard())
    assert till.stand(claimed.id) == "needs_review"
    return claimed.id


def resolve(till: Till, id_: str, decision: Any, acting: Acting | None = None) -> None:
    database = Database(till.engine, till._wake, acting=acting or by("ada"))
    with database.transaction() as transaction:
        reviews.resolve(transaction, id_, decision, approvals=till.approvals)


@every("decision, stands", [("succeeded", "succeeded"), ("failed", "failed"), ("retry", "queued")])
def test_a_decision_is_carried_out_once_somebody_else_approves(
    till: Till, decision: str, stands: str
) -> None:
    id_ = in_review(till)
    for _ in range(2):  # a repeat finds the same
        resolve(till, id_, decision)
    assert till.stand(id_) == "needs_review"
    one = approval(till, id_)
    assert (one["action"], one["decision"]) == ("charge.resolve", decision)
    assert len(till.query("SELECT FROM approvals WHERE object_id = :id", id=id_)) == 1
    with pytest.raises(SecondPersonRequired):
        decide(till, one["id"], "approved", by("ada"))
    decide(till, one["id"], "approved")
    assert till.stand(id_) == stands
    last = till.query("SELECT * FROM attempts WHERE object_id = :id ORDER BY number", id=id_)[-1]
    assert (last["worker"], last["detail"]) == ("ada and ben", "I looked; approved: seen the mail")


def test_another_decision_waits_for_the_first_one(till: Till) -> None:
    id_ = in_review(till)
    resolve(till, id_, "failed")
    with pytest.raises(MoveNotAllowed, match="ada has asked"):
        resolve(till, id_, "succeeded", by("cleo"))
    decide(till, approval(till, id_)["id"], "rejected")
    assert till.stand(id_) == "needs_review"
    resolve(till, id_, "succeeded", by("cleo"))
    assert approval(till, id_)["requested_by"] == "cleo"


def test_what_the_processor_tells_meanwhile_overtakes_the_request(till: Till) -> None:
    id_ = in_review(till)
    resolve(till, id_, "failed")
    till.report(id_, SUCCEEDED)
    one = approval(till, id_)
    assert (one["state"], one["decided_by"]) == ("overtaken", None)
    with pytest.raises(MoveNotAllowed, match="overtaken"):
        decide(till, one["id"], "approved")
    assert till.stand(id_) == "succeeded"


# --- The history


def test_everybody_who_decides_leaves_a_row_in_the_same_transaction(till: Till) -> None:
    id_ = asked(till, till.charged(amount=1000), amount=900)
    one = approval(till, id_)["id"]

    def die_before_the_commit() -> None:
        with Database(till.engine, acting=BEN).transaction() as transaction:
            deciding.decide(transaction, one, "approved")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        die_before_the_commit()
    assert (till.stand(id_), approval(till, id_)["state"]) == ("awaiting_approval", "pending")
    assert till.query("SELECT FROM audit_log WHERE object_id = :id", id=id_) == []
    decide(till, one, "approved")
    (row,) = till.query("SELECT * FROM audit_log WHERE object_id = :id", id=id_)
    assert (row["action"], row["actor"], row["reason"]) == (
        "approval.approve", "ben", "seen the mail",
    )  # fmt: skip
    assert (row["before"]["phase"], row["after"]["phase"]) == ("awaiting_approval", "queued")


def test_one_that_nobody_was_woken_for_is_found_by_the_sweep(till: Till) -> None:
    id_ = asked(till, till.charged(amount=1000), amount=900)
    with Database(till.engine, acting=BEN).transaction() as transaction:  # wakes nobody
        deciding.decide(transaction, approval(till, id_)["id"], "approved")
    till.wakes.refunds.discard(id_)
    till.sweep()
    assert id_ in till.wakes.refunds


def test_the_books_are_right_while_it_waits_and_after(engine: Engine) -> None:
    till = Till(engine, approvals=POLICY)
    ids = [asked(till, till.charged(amount=1000), amount=900) for _ in range(3)]
    decide(till, approval(till, ids[1])["id"], "approved")
    decide(till, approval(till, ids[2])["id"], "rejected")
    errors = [
        (one.invariant.name, one.offenders)
        for one in verify(engine, statements={})
        if not one.is_kept and one.invariant.level == "error"
    ]
    assert errors == []
