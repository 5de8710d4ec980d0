"""Refunds: never more than the charge, never before it, and never lost while they wait."""

from datetime import timedelta
from typing import Any

import pytest

from payments.lifecycle.accepting import refunds
from payments.lifecycle.claims import Claimed, NotDue
from payments.payment_errors import ChargeNotRefundable, NotFound, RefundExceedsCharge
from payments.processors.outcomes import Declined, Unavailable
from tests.support.every import every
from tests.support.factories import (
    SUCCEEDED,
    TIMEOUT,
    Till,
    a_charge,
    a_refund,
    is_claimed,
    is_left_alone,
)
from tests.support.threads import at_once

DECLINED = Declined("card_declined", "generic_decline", "The card was declined.")
RETURNED = Declined("refund_failed", "returned_by_bank", "The bank returned the refund.")
MINUTE = timedelta(minutes=1)


def counted(till: Till, charge_id: str) -> tuple[int, int]:
    """What the charge has reserved for refunds, and what was refunded."""
    row = till.row(charge_id)
    return row["refund_reserved"], row["refunded_amount"]


def test_a_refund_without_an_amount_is_one_of_all_that_is_left(till: Till) -> None:
    charge_id = till.charged(amount=1000)
    till.settle(till.claim(a_refund(charge_id, amount=300)), SUCCEEDED)
    rest = till.claim(a_refund(charge_id))
    assert (rest.order.amount, rest.order.currency) == (700, "USD")
    assert rest.order.charge_reference == f"sbx_{charge_id}"
    till.settle(rest, SUCCEEDED)
    assert counted(till, charge_id) == (1000, 1000)
    (nothing,) = till.create(a_refund(charge_id))
    assert isinstance(nothing, RefundExceedsCharge)


def test_more_than_is_left_is_refused_with_what_is_left(till: Till) -> None:
    charge_id = till.charged(amount=1000)
    till.create(a_refund(charge_id, amount=999))
    (refused,) = till.create(a_refund(charge_id, amount=2))
    assert isinstance(refused, RefundExceedsCharge)
    assert refused.facts == {"available": 1, "requested": 2}
    assert is_claimed(till.create(a_refund(charge_id, amount=1))[0])


def test_refunds_of_one_batch_count_each_other(till: Till) -> None:
    charge_id = till.charged(amount=1000)
    answers = till.create(*(a_refund(charge_id, amount=400) for _ in range(4)))
    assert [type(a) for a in answers] == [Claimed, Claimed] + [RefundExceedsCharge] * 2
    assert counted(till, charge_id) == (800, 0)


def test_what_a_failed_refund_reserved_is_free_again(till: Till) -> None:
    charge_id = till.charged(amount=1000)
    till.settle(till.claim(a_refund(charge_id)), DECLINED)
    assert counted(till, charge_id) == (0, 0)
    till.settle(till.claim(a_refund(charge_id)), SUCCEEDED)
    assert counted(till, charge_id) == (1000, 1000)


def test_a_refund_nobody_knows_the_outcome_of_keeps_its_reservation(till: Till) -> None:
    charge_id = till.charged(amount=1000)
    till.settle(till.claim(a_refund(charge_id)), TIMEOUT)
    (refused,) = till.create(a_refund(charge_id, amount=1))
    assert isinstance(refused, RefundExceedsCharge)


def test_a_refund_waits_for_its_pending_charge_and_goes_when_it_succeeds(till: Till) -> None:
    charge = till.claim(a_charge())
    refund = a_refund(charge.id, amount=400)
    assert is_left_alone(till.create(refund)[0])
    assert till.stand(refund.id) == "queued"
    assert counted(till, charge.id) == (400, 0)
    till.settle(charge, SUCCEEDED)
    assert refund.id in till.wakes.refunds
    till.settle(till.claim(refund.id), SUCCEEDED)
    assert counted(till, charge.id) == (400, 400)


def test_a_refund_of_a_charge_that_fails_fails_without_a_call(till: Till) -> None:
    charge = till.claim(a_charge())
    refund = a_refund(charge.id)
    till.create(refund)
    till.settle(charge, DECLINED)
    assert is_left_alone(till.submit(refund.id)[0])
    row = till.row(refund.id)
    assert (row["state"], row["failure_code"], row["first_called_at"]) == (
        "failed", "charge_failed", None,
    )  # fmt: skip
    assert counted(till, charge.id) == (0, 0)
    assert till.events(refund.id) == ["refund.failed"]
    assert till.attempts(refund.id) == [("refund", "not_sent")]


def test_the_wake_up_of_a_waiting_refund_may_get_lost(till: Till) -> None:
    charge = till.claim(a_charge())
    refund = a_refund(charge.id)
    till.create(refund)
    till.settle(charge, SUCCEEDED)
    till.time_passes(MINUTE, refund.id)
    assert refund.id in till.sweep().refunds
    assert is_claimed(till.submit(refund.id)[0])


def test_a_refund_that_would_not_wait_is_refused(till: Till) -> None:
    charge = a_charge()
    for _ in range(2):
        (refused,) = till.create(a_refund(charge, if_pending="reject"))
        assert isinstance(refused, ChargeNotRefundable)
        till.create(charge)


def test_a_refund_of_a_failed_charge_is_refused(till: Till) -> None:
    charge = till.claim(a_charge())
    till.settle(charge, DECLINED)
    (refused,) = till.create(a_refund(charge.id))
    assert isinstance(refused, ChargeNotRefundable)


@pytest.mark.parametrize("amount", [None, 1000, 400])
def test_a_refund_may_overtake_its_charge(till: Till, amount: int | None) -> None:
    charge = a_charge(amount=1000)
    refund = a_refund(charge, amount=amount) if amount else a_refund(charge)
    assert is_left_alone(till.create(refund)[0])
    till.settle(till.claim(charge), SUCCEEDED)
    till.time_passes(timedelta(seconds=3), refund.id)
    claimed = till.claim(refund.id)
    assert claimed.order.amount == (amount or 1000)
    till.settle(claimed, SUCCEEDED)
    assert counted(till, charge.id) == (amount or 1000, amount or 1000)


def test_a_refund_that_overtook_its_charge_reserves_as_soon_as_that_is_there(till: Till) -> None:
    charge = a_charge(amount=1000)
    early = a_refund(charge, amount=600)
    till.create(early)
    pending = till.claim(charge)
    till.time_passes(timedelta(seconds=3), early.id)
    assert is_left_alone(till.submit(early.id)[0])
    assert counted(till, charge.id) == (600, 0)
    till.settle(pending, SUCCEEDED)
    (refused,) = till.create(a_refund(charge, amount=500))
    assert isinstance(refused, RefundExceedsCharge)
    assert is_claimed(till.submit(early.id)[0])


def test_of_refunds_that_overtook_their_charge_only_what_fits_is_made(till: Till) -> None:
    charge = a_charge(amount=1000)
    early = [a_refund(charge, amount=400) for _ in range(4)]
    till.create(*early)
    till.settle(till.claim(charge), SUCCEEDED)
    till.time_passes(timedelta(seconds=3), *(r.id for r in early))
    answers = till.submit(*(r.id for r in early))
    assert sum(is_claimed(a) for a in answers) == 2
    failed = [till.row(r.id) for r in early if till.stand(r.id) == "failed"]
    assert [row["failure_code"] for row in failed] == ["refund_exceeds_charge"] * 2
    assert counted(till, charge.id) == (800, 0)


def test_a_refund_whose_charge_never_comes_fails_after_ten_minutes(till: Till) -> None:
    refund = a_refund(a_charge())
    till.create(refund)
    till.time_passes(timedelta(minutes=9, seconds=59), refund.id)
    till.submit(refund.id)
    assert till.stand(refund.id) == "queued"
    till.time_passes(timedelta(seconds=5), refund.id)
    till.submit(refund.id)
    assert till.row(refund.id)["failure_code"] == "charge_not_found"


def test_a_refund_that_expects_another_sum_is_refused(till: Till) -> None:
    charge_id = till.charged(amount=1000)
    till.create(a_refund(charge_id, amount=100, expected_refunded_amount=0))
    (refused,) = till.create(a_refund(charge_id, amount=100, expected_refunded_amount=0))
    assert isinstance(refused, ChargeNotRefundable)
    assert refused.facts == {
        "refunded": 100,
        "refunded_amount": 0,
        "refund_pending_amount": 100,
    }
    assert is_claimed(till.create(a_refund(charge_id, amount=100, expected_refunded_amount=100))[0])


def test_of_two_clicks_that_expect_the_same_sum_one_refunds(till: Till) -> None:
    charge_id = till.charged(amount=1000)
    answers = at_once(
        4, lambda _: till.create(a_refund(charge_id, amount=100, expected_refunded_amount=0))
    )
    assert sum(is_claimed(a) for (a,) in answers) == 1
    assert counted(till, charge_id) == (100, 0)


def test_an_early_refund_that_expects_another_sum_fails(till: Till) -> None:
    charge = a_charge(amount=1000)
    early = a_refund(charge, amount=100, expected_refunded_amount=500)
    till.create(early)
    till.settle(till.claim(charge), SUCCEEDED)
    till.time_passes(timedelta(seconds=3), early.id)
    till.submit(early.id)
    assert till.stand(early.id) == "failed"


def test_a_refund_that_the_bank_returns_later_is_failed_and_can_be_made_again(till: Till) -> None:
    charge_id = till.charged(amount=1000)
    refund = till.claim(a_refund(charge_id))
    till.settle(refund, SUCCEEDED)
    assert till.report(refund.id, RETURNED) == 1
    row = till.row(refund.id)
    assert (row["state"], row["failure_code"]) == ("failed", "refund_failed")
    assert counted(till, charge_id) == (0, 0)
    assert till.events(refund.id) == ["refund.succeeded", "refund.failed"]
    assert till.report(refund.id, SUCCEEDED) == till.report(refund.id, RETURNED) == 0
    assert is_claimed(till.create(a_refund(charge_id))[0])


def test_a_refund_goes_on_after_a_refusal_of_the_processor(till: Till) -> None:
    refund = till.claim(a_refund(till.charged()))
    till.settle(refund, Unavailable("rate_limited", retry_after_s=30))
    till.time_passes(MINUTE, refund.id)
    till.settle(till.claim(refund.id), SUCCEEDED)
    assert till.attempts(refund.id) == [("refund", "unavailable"), ("refund", "succeeded")]


def test_a_worker_that_dies_with_a_refund_leaves_an_unknown_outcome(till: Till) -> None:
    refund = till.claim(a_refund(till.charged()))
    till.time_passes(MINUTE, refund.id)
    assert refund.id in till.sweep().refunds
    assert till.stand(refund.id) == "unknown"
    till.settle(refund, DECLINED)
    assert till.stand(refund.id) == "unknown"
    till.settle(till.claim(refund.id), SUCCEEDED)
    assert till.row(refund.row.charge_id)["refunded_amount"] == 1000


def test_a_claim_of_a_refund_can_be_repeated_with_its_own_token(till: Till) -> None:
    item = till.begin_of(a_refund(till.charged(), amount=100))
    (first,), (again,) = till.begin(item), till.begin(item)
    assert isinstance(first, Claimed)
    assert isinstance(again, Claimed)
    assert again.token == first.token
    assert counted(till, first.row.charge_id) == (100, 0)


def test_charges_and_refunds_of_one_batch_are_settled_together(till: Till) -> None:
    refund = till.claim(a_refund(till.charged()))
    charge = till.claim(a_charge())
    waiting = a_refund(charge.id)
    till.create(waiting)
    till.settle_all((refund, "refund", SUCCEEDED), (charge, "charge", SUCCEEDED))
    assert till.stand(refund.id) == till.stand(charge.id) == "succeeded"
    assert waiting.id in till.wakes.refunds


def test_a_refund_of_nobody_is_not_found_by_its_id(till: Till) -> None:
    (answer,) = till.submit("re_nobody")
    assert not isinstance(answer, (Claimed, NotDue))


@every(
    "asks, door, refused",
    [
        ({}, "wait", None),
        ({}, "reject", NotFound),
        ({"if_missing": "wait"}, "reject", None),
        ({"if_missing": "reject"}, "wait", NotFound),
        ({"if_pending": "reject"}, "wait", ChargeNotRefundable),
        ({"if_pending": "reject"}, "reject", NotFound),
        ({"if_pending": "reject", "if_missing": "wait"}, "wait", None),
    ],
)
def test_whether_a_missing_charge_is_waited_for_says_the_request_or_else_its_door(
    till: Till, asks: dict[str, Any], door: Any, refused: type[Exception] | None
) -> None:
    new = refunds.NewRefund(a_refund(a_charge(), **asks), "sandbox", if_missing=door)
    with till.database.transaction() as transaction:
        (answer,) = refunds.accept(transaction, [new])
    assert isinstance(answer, refused or refunds.Accepted)
    assert bool(till.rows([new.request.id])) == (refused is None)
