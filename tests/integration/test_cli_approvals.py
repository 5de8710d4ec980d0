"""A second person at the command line, and what the doctor says of what waits for one."""

import getpass
from collections.abc import Iterator

import pytest
from sqlalchemy import Engine

from tests.support.approvals import an_approval
from tests.support.command import Billing
from tests.support.counter import Counter, counter


@pytest.fixture
def till(engine: Engine) -> Iterator[Counter]:
    with counter(engine) as till:
        yield till


@pytest.fixture
def strict(billing: Billing, monkeypatch: pytest.MonkeyPatch) -> Billing:
    """An installation where two must agree."""
    monkeypatch.setenv("BILLING_APPROVE_REFUNDS_ABOVE", "EUR:0,*:500")
    monkeypatch.setenv("BILLING_APPROVE_RESOLVE", "on")
    return billing


def test_a_refund_is_approved_under_another_account_than_it_was_asked_for(
    strict: Billing, till: Counter, monkeypatch: pytest.MonkeyPatch
) -> None:
    charge = till.charge(amount=1000)["id"]
    refund = strict("refund", "create", charge, "--json").json
    assert (refund["state"], refund["phase"]) == ("pending", "awaiting_approval")
    (one,) = strict("approval", "list", "--state", "pending", "--json").json
    assert (one["object_id"], one["requested_by"]) == (refund["refund_id"], getpass.getuser())
    assert "10.00 USD" in strict("approval", "list").out
    said = ("--as", "ben", "--why", "seen the mail")
    refused = strict("approval", "approve", one["id"], *said, "--json")
    assert (refused.code, refused.error["code"]) == (1, "second_person_required")
    monkeypatch.setattr(getpass, "getuser", lambda: "ben")
    done = strict("approval", "approve", one["id"], *said, "--json").json
    assert (done["state"], done["decided_by"]) == ("approved", "ben")
    assert strict("refund", "get", refund["refund_id"], "--json").json["phase"] == "queued"
    told = strict("explain", refund["refund_id"]).out
    assert "approve → asked" in told
    assert "approve → approved, by ben: seen the mail" in told


def test_who_waits_for_a_refund_is_told_what_it_waits_for(strict: Billing, till: Counter) -> None:
    charge = till.charge(amount=1000)["id"]
    waited = strict("refund", "create", charge, "--wait", "20", "--json")
    assert (waited.code, waited.error["code"]) == (1, "awaiting_approval")


def test_a_decision_asks_and_is_carried_out_by_another(
    strict: Billing, till: Counter, monkeypatch: pytest.MonkeyPatch
) -> None:
    id_ = till.charge(payment_method_id="pm_sandbox_lost")["id"]
    till.query("UPDATE charges SET phase = 'needs_review', next_attempt_at = NULL")
    asked = strict("resolve", id_, "failed", "--why", "not in the dashboard")
    assert asked.code == 0
    assert "somebody else must approve it" in asked.err
    (one,) = strict("approval", "list", "--object", id_, "--json").json
    monkeypatch.setattr(getpass, "getuser", lambda: "ben")
    strict("approval", "approve", one["id"], "--why", "nor do I see it")
    assert strict("charge", "get", id_, "--json").json["failure_code"] == "resolved_failed"


def test_the_doctor_tells_what_waits_for_long(
    billing: Billing, till: Counter, engine: Engine
) -> None:
    def told() -> str:
        return next(line for line in billing("doctor").out.splitlines() if "approvals" in line)

    assert "nothing waits" in told()
    an_approval(engine, till.charge()["id"])
    assert "1 request" in told()
    till.query("UPDATE approvals SET created_at = created_at - interval '2 days'")
    assert "1 request, the oldest for 2 days" in told()


@pytest.mark.parametrize("value", ["USD", "USD:-1", "usd:5", "USD:5,USD:6", "USD:5.00"])
def test_amounts_that_are_none_are_refused_at_the_start(
    billing: Billing, monkeypatch: pytest.MonkeyPatch, value: str
) -> None:
    monkeypatch.setenv("BILLING_APPROVE_REFUNDS_ABOVE", value)
    refused = billing("refund", "create", "ch_" + "a" * 32)
    assert refused.code == 1
    assert "BILLING_APPROVE_REFUNDS_ABOVE" in refused.err
