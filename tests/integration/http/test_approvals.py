"""A second person, over HTTP, in the SDK and at the console."""

from collections.abc import Iterator

import pytest

from payments.acting import by_message
from payments.lifecycle.accepting.asked import Accepted, NewRefund
from payments.lifecycle.accepting.refunds import accept
from tests.support.acting import Database
from tests.support.approvals import ANYTHING, an_approval
from tests.support.console import Visitor, visitor
from tests.support.factories import SUCCEEDED, Till, a_refund
from tests.support.web import Caller, Web


@pytest.fixture
def caller(strict: Web) -> Iterator[Caller]:
    with strict.caller() as client:
        yield client


@pytest.fixture
def operator(strict: Web) -> Iterator[Caller]:
    with strict.caller(scopes=["operator"]) as client:
        yield client


@pytest.fixture
def ben(strict: Web, operator: Caller) -> Iterator[Visitor]:
    """Another operator than Ann, with the key that nothing was asked for with."""
    with Visitor(strict.url) as client:
        client.sign_in(operator.key, name="Ben Example")
        yield client


@pytest.fixture
def ann(strict: Web) -> Iterator[Visitor]:
    with visitor(strict) as client:
        yield client


def paid(caller: Caller, till: Till) -> str:
    id_ = str(caller.charge(amount=1999).json()["charge_id"])
    till.settle(till.claim(id_), SUCCEEDED)
    return id_


def of(operator: Caller, object_id: str) -> str:
    (one,) = operator.get("/approvals", params={"object_id": object_id}).json()["data"]
    return str(one["id"])


def test_a_refund_waits_for_another_key(caller: Caller, operator: Caller, till: Till) -> None:
    charge = paid(caller, till)
    small = caller.refund(charge, amount=500)
    assert (small.status_code, small.json()["phase"]) == (202, "queued")
    waits = caller.refund(charge, "large", amount=1000)
    # Nothing comes of it by itself, so who waits for it is answered at once.
    again = caller.post(
        "/refunds",
        json={"charge_id": charge, "amount": 1000},
        headers={"idempotency-key": "large", "prefer": "wait=20"},
    )
    for answer in (waits, again):
        assert (answer.json()["state"], answer.json()["phase"]) == ("pending", "awaiting_approval")
    id_ = of(operator, waits.json()["refund_id"])
    one = operator.get(f"/approvals/{id_}").json()
    assert (one["state"], one["amount"]) == ("pending", 1000)
    assert caller.key.startswith(one["requested_by"])
    approved = operator.post(f"/approvals/{id_}/approve", json={"reason": "seen the mail"})
    assert (approved.status_code, approved.json()["state"]) == (200, "approved")
    repeat = operator.post(f"/approvals/{id_}/approve", json={"reason": "once more"})
    assert repeat.json() == approved.json()
    late = operator.post(f"/approvals/{id_}/reject", json={"reason": "x"})
    assert (late.status_code, late.json()["code"]) == (409, "move_not_allowed")
    assert caller.get(f"/refunds/{one['object_id']}").json()["phase"] == "queued"


def test_the_key_that_asked_may_not_approve_here_or_at_the_console(
    strict: Web, operator: Caller, caller: Caller, till: Till
) -> None:
    refund = operator.refund(paid(caller, till), amount=1999).json()
    id_ = of(operator, refund["refund_id"])
    refused = operator.post(f"/approvals/{id_}/approve", json={"reason": "x"})
    assert (refused.status_code, refused.json()["code"]) == (403, "second_person_required")
    with Visitor(strict.url) as same:
        same.sign_in(operator.key, name="Somebody Else")
        on_the_form = same.act(f"/approvals/{id_}/approve")
        assert on_the_form.status_code == 403
        assert "somebody else must approve it" in on_the_form.text
        assert same.act(f"/approvals/{id_}/reject", why="a mistake").status_code == 303
    assert operator.get(f"/refunds/{refund['refund_id']}").json()["failure_code"] == (
        "approval_rejected"
    )


def test_what_a_producer_asked_by_message_is_approved_by_no_key_of_it(
    strict: Web, operator: Caller, ann: Visitor, till: Till
) -> None:
    charge = paid(operator, till)
    request = a_refund(charge, producer=operator.producer)
    by_it = by_message(operator.producer, "1")
    with Database(strict.engine, acting=by_it).transaction() as transaction:
        (asked,) = accept(transaction, [NewRefund(request, "sandbox")], approvals=ANYTHING)
    assert isinstance(asked, Accepted)
    id_ = of(operator, asked.row.id)
    refused = operator.post(f"/approvals/{id_}/approve", json={"reason": "x"})
    assert refused.json()["code"] == "second_person_required"
    with Visitor(strict.url) as same:
        same.sign_in(operator.key, name="Somebody Else")
        assert same.act(f"/approvals/{id_}/approve").status_code == 403
    assert ann.act(f"/approvals/{id_}/approve").status_code == 303
    # A person is called by the name that they gave, whosever key they signed in with.
    (entry,) = operator.get("/audit", params={"object_id": asked.row.id}).json()["data"]
    assert (entry["action"], entry["actor_kind"]) == ("approval.approve", "person")


def test_a_refund_at_the_console_waits_for_somebody_else_there(
    ann: Visitor, ben: Visitor, caller: Caller, operator: Caller, till: Till
) -> None:
    charge = paid(caller, till)
    sent = ann.act(f"/charges/{charge}/refund", why="concert canceled")
    refund = sent.headers["location"].removeprefix("/console").partition("?")[0]
    shown = ann.get(refund).text
    assert "awaiting approval" in shown
    id_ = of(operator, refund.rpartition("/")[2])
    assert "concert canceled" in ann.get(f"/approvals?state=pending&object_id={refund[9:]}").text
    assert ann.act(f"/approvals/{id_}/approve").status_code == 403
    assert "Approve</a>" in ben.get(f"/approvals/{id_}").text
    assert ben.act(f"/approvals/{id_}/approve", why="seen the mail").status_code == 303
    assert '<span class="state approved">' in ben.get(f"/approvals/{id_}").text
    assert ben.get(f"/approvals/{id_}/reject").status_code == 409
    told = ben.get(f"/audit?object_id={refund[9:]}").text
    for text in ("approval.approve", "seen the mail", "awaiting_approval → queued"):
        assert text in told


def test_a_decision_at_the_console_is_carried_out_by_two(
    ann: Visitor, ben: Visitor, caller: Caller, operator: Caller, till: Till
) -> None:
    id_ = str(caller.charge().json()["charge_id"])
    till.put("UPDATE charges SET phase = 'needs_review', next_attempt_at = NULL WHERE id = :id",
             id=id_)  # fmt: skip
    assert ann.act(f"/charges/{id_}/resolve", decision="failed").status_code == 303
    assert caller.get(f"/charges/{id_}").json()["phase"] == "needs_review"
    assert ben.act(f"/approvals/{of(operator, id_)}/approve").status_code == 303
    assert caller.get(f"/charges/{id_}").json()["failure_code"] == "resolved_failed"


def test_those_who_are_no_operators_see_and_decide_nothing(
    strict: Web, caller: Caller, till: Till
) -> None:
    id_ = an_approval(strict.engine, paid(caller, till))
    with visitor(strict, caller.producer, scopes=["read", "write"]) as other:
        for path in ("/approvals", f"/approvals/{id_}", f"/approvals/{id_}/approve"):
            assert other.get(path).status_code == 403
        assert other.post(f"/approvals/{id_}/approve", data={"why": "x"}).status_code == 403
    assert caller.get("/approvals").status_code == 403
    assert caller.post(f"/approvals/{id_}/approve", json={"reason": "x"}).status_code == 403


def test_the_sdk_decides(
    strict: Web, caller: Caller, operator: Caller, till: Till, unconfigured: None
) -> None:
    from infra import billing

    ids = [an_approval(strict.engine, paid(caller, till)) for _ in range(2)]
    billing.configure(url=strict.url, api_key=operator.key)
    listed = billing.approval.list(state="pending", limit=2)
    assert [one.id for one in listed.data] == ids[::-1]
    assert billing.approval.approve(ids[0], reason="seen the mail").state == "approved"
    assert billing.approval.reject(ids[1], reason="not agreed").decided_by in operator.key
    assert billing.approval.get(ids[1]).decision_reason == "not agreed"
    refund = operator.refund(paid(caller, till), amount=1999).json()["refund_id"]
    with pytest.raises(billing.SecondPersonRequired):
        billing.approval.approve(of(operator, refund), reason="mine")


@pytest.mark.parametrize("body", [{}, {"reason": ""}, {"reason": "4242 4242 4242 4242"}, {"x": 1}])
def test_why_must_be_said(operator: Caller, caller: Caller, till: Till, body: object) -> None:
    refund = caller.refund(paid(caller, till), amount=1999).json()["refund_id"]
    refused = operator.post(f"/approvals/{of(operator, refund)}/approve", json=body)
    assert refused.status_code == 400


def test_who_must_approve_reads_why_it_is_asked_for(
    caller: Caller, operator: Caller, till: Till
) -> None:
    wanted = {"charge_id": paid(caller, till), "amount": 1000}
    asked = operator.post("/refunds", json=wanted, headers={"audit-reason": "ticket 12"})
    (one,) = operator.get("/approvals", params={"object_id": asked.json()["refund_id"]}).json()[
        "data"
    ]
    assert one["request_reason"] == "ticket 12"
