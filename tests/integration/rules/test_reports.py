"""What a processor tells by itself: early, late, twice, in any order, or wrong."""

from dataclasses import replace
from datetime import timedelta

import pytest

from payments.processors.outcomes import (
    REQUIRES_ACTION,
    Declined,
    Found,
    NextAction,
    NotFound,
    Pending,
    Succeeded,
    Unavailable,
    Unknown,
)
from payments.processors.port import ProcessorEvent
from tests.support.factories import SUCCEEDED, TIMEOUT, Till, a_charge, a_refund

DECLINED = Declined("card_declined", "generic_decline", "The card was declined.")
WAITING = Pending("sbx_1", "processing")
MINUTE = timedelta(minutes=1)


def test_a_report_may_overtake_the_answer(till: Till) -> None:
    claimed = till.claim(a_charge())
    assert till.report(claimed.id, Succeeded("sbx_9")) == 1
    row = till.row(claimed.id)
    assert (row["state"], row["processor_reference"]) == ("succeeded", "sbx_9")
    till.settle(claimed, TIMEOUT)
    assert till.row(claimed.id) == row
    assert till.attempts(claimed.id) == [("charge", "overtaken"), ("report", "succeeded")]
    assert till.events(claimed.id) == ["charge.succeeded"]


@pytest.mark.parametrize("found", [TIMEOUT, WAITING, Unavailable("service_unavailable")])
@pytest.mark.parametrize(("reported", "state"), [(SUCCEEDED, "succeeded"), (DECLINED, "failed")])
def test_a_report_settles_what_waits(till: Till, found: Found, reported: Found, state: str) -> None:
    claimed = till.claim(a_charge())
    till.settle(claimed, found)
    assert till.report(claimed.id, reported) == 1
    assert till.row(claimed.id)["state"] == state
    till.time_passes(timedelta(hours=2), claimed.id)
    assert claimed.id not in till.sweep().charges


def test_a_report_settles_what_needs_review(till: Till) -> None:
    claimed = till.claim(a_charge())
    till.settle(claimed, TIMEOUT)
    till.time_passes(timedelta(days=1), claimed.id)
    till.settle(till.claim(claimed.id), NotFound())
    assert till.stand(claimed.id) == "needs_review"
    assert till.report(claimed.id, SUCCEEDED) == 1
    assert till.events(claimed.id)[-1] == "charge.succeeded"


def test_a_report_after_somebody_queued_it_again_keeps_the_money_from_moving_twice(
    till: Till,
) -> None:
    claimed = till.claim(a_charge())
    till.settle(claimed, TIMEOUT)
    till.time_passes(timedelta(days=1), claimed.id)
    till.settle(till.claim(claimed.id), NotFound())
    till.resolve(claimed.id, "retry")
    assert till.report(claimed.id, SUCCEEDED) == 1
    assert till.stand(claimed.id) == "succeeded"


@pytest.mark.parametrize("first", [SUCCEEDED, DECLINED])
@pytest.mark.parametrize("second", [SUCCEEDED, DECLINED, WAITING])
def test_no_report_changes_a_final_charge(till: Till, first: Found, second: Found) -> None:
    claimed = till.claim(a_charge())
    till.settle(claimed, first)
    before = till.row(claimed.id)
    assert till.report(claimed.id, second) == 0
    assert till.row(claimed.id) == before


def test_a_report_that_contradicts_what_is_final_is_logged(
    till: Till, caplog: pytest.LogCaptureFixture
) -> None:
    claimed = till.claim(a_charge())
    till.settle(claimed, DECLINED)
    till.report(claimed.id, DECLINED)
    assert claimed.id not in caplog.text
    till.report(claimed.id, SUCCEEDED)
    assert f"{claimed.id} is failed; a report that it succeeded changes nothing" in caplog.text


def test_the_same_report_twice_is_one_move(till: Till) -> None:
    claimed = till.claim(a_charge())
    event = ProcessorEvent(claimed.id, "charge", SUCCEEDED)
    assert till.report_all(event, event) == 1
    assert till.report_all(event) == 0


def test_reports_in_the_wrong_order_end_the_same(till: Till) -> None:
    claimed = till.claim(a_charge())
    events = [ProcessorEvent(claimed.id, "charge", found) for found in (WAITING, SUCCEEDED)]
    till.report_all(*reversed(events))
    assert till.stand(claimed.id) == "succeeded"


def test_a_report_of_waiting_changes_nothing_of_what_waits(till: Till) -> None:
    claimed = till.claim(a_charge())
    till.settle(claimed, WAITING)
    before = till.row(claimed.id)
    assert till.report(claimed.id, WAITING) == 0
    assert till.row(claimed.id) == before


ACTS = Pending("sbx_1", REQUIRES_ACTION, NextAction("redirect_to_url", "https://pay.example/1"))
ELSEWHERE = replace(ACTS, next_action=NextAction("redirect_to_url", "https://pay.example/2"))


@pytest.mark.parametrize(
    ("known", "reported"),
    [(ACTS, WAITING), (WAITING, ACTS), (ACTS, ELSEWHERE)],
    ids=["nothing more to do", "something to do", "something else to do"],
)
def test_a_report_of_something_else_to_do_has_what_waits_looked_up_at_once(
    till: Till, known: Pending, reported: Pending
) -> None:
    """It is believed to be news, and not what it says: an older one may come later."""
    claimed = till.claim(a_charge())
    till.settle(claimed, known)
    before = till.row(claimed.id)
    assert claimed.id not in till.sweep().charges
    assert till.report(claimed.id, reported) == 0
    after = till.row(claimed.id)
    assert after["next_attempt_at"] < before["next_attempt_at"]
    changed = {name for name in after if after[name] != before[name]}
    assert changed == {"next_attempt_at", "woken_at"}
    till.settle(till.claim(claimed.id), reported)
    row = till.row(claimed.id)
    action = reported.next_action
    assert row["phase"] == "awaiting_customer"
    assert row["next_action"] == (action and action.view())
    assert (row["expires_at"] is None) == (action is None)


def test_a_report_has_nothing_else_looked_up(till: Till) -> None:
    told, other = till.claim(a_charge()), till.claim(a_charge())
    for one in (told, other):
        till.settle(one, ACTS)
    before = till.row(other.id)
    till.report(told.id, WAITING)
    assert told.id in till.wakes.charges
    assert other.id not in till.wakes.charges
    assert till.row(other.id) == before


def test_one_that_is_older_than_what_is_known_changes_nothing_in_the_end(till: Till) -> None:
    claimed = till.claim(a_charge())
    till.settle(claimed, ACTS)
    till.report(claimed.id, WAITING)
    till.settle(till.claim(claimed.id), WAITING)
    assert till.report(claimed.id, ACTS) == 0  # sent first, and delivered last
    till.settle(till.claim(claimed.id), WAITING)
    row = till.row(claimed.id)
    assert (row["next_action"], row["expires_at"]) == (None, None)
    assert till.events(claimed.id) == ["charge.requires_action"]


@pytest.mark.parametrize("known", [WAITING, ACTS])
def test_the_same_news_have_nothing_looked_up(till: Till, known: Pending) -> None:
    claimed = till.claim(a_charge())
    till.settle(claimed, known)
    before = till.row(claimed.id)
    assert till.report(claimed.id, known) == 0
    assert till.row(claimed.id) == before


def test_what_is_being_looked_up_is_not_looked_up_twice(till: Till) -> None:
    claimed = till.claim(a_charge())
    till.settle(claimed, ACTS)
    till.time_passes(timedelta(hours=1), claimed.id)
    till.claim(claimed.id)
    before = till.row(claimed.id)
    assert till.report(claimed.id, WAITING) == 0
    assert till.row(claimed.id) == before


@pytest.mark.parametrize("found", [Unknown("timeout"), Unavailable("service_unavailable")])
def test_a_report_that_says_nothing_changes_nothing(till: Till, found: Found) -> None:
    claimed = till.claim(a_charge())
    assert till.report(claimed.id, found) == 0
    assert till.stand(claimed.id) == "in_flight"


def test_a_report_of_what_nobody_knows_or_nobody_sent_changes_nothing(till: Till) -> None:
    unsent, early = a_charge(), a_refund(a_charge())
    till.accept(unsent, early)
    for id_ in (unsent.id, early.id, "ch_nobody", "re_nobody"):
        assert till.report(id_, SUCCEEDED) == 0
    assert till.stand(unsent.id) == till.stand(early.id) == "queued"


def test_a_stranger_in_a_batch_of_reports_holds_up_nobody(till: Till) -> None:
    charge, refund = till.claim(a_charge()), till.claim(a_refund(till.charged()))
    moved = till.report_all(
        ProcessorEvent("re_nobody", "refund", SUCCEEDED),
        ProcessorEvent(refund.id, "refund", SUCCEEDED),
        ProcessorEvent("ch_nobody", "charge", SUCCEEDED),
        ProcessorEvent(charge.id, "charge", DECLINED),
    )
    assert moved == 2
    assert (till.stand(refund.id), till.stand(charge.id)) == ("succeeded", "failed")


def test_a_refund_that_was_returned_stays_returned_when_old_news_come_again(till: Till) -> None:
    refund = till.claim(a_refund(till.charged()))
    returned = Declined("refund_failed", "returned_by_bank", "")
    till.report(refund.id, SUCCEEDED)
    till.report(refund.id, returned)
    for found in (SUCCEEDED, WAITING, returned):
        assert till.report(refund.id, found) == 0
    till.settle(refund, SUCCEEDED)
    assert till.stand(refund.id) == "failed"
    assert till.row(refund.row.charge_id)["refunded_amount"] == 0
