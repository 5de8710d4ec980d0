"""Goods that come back with refunds: once, when the refund has succeeded, and only if asked."""

from datetime import timedelta
from typing import Any

import pytest

from payments.lifecycle.claims import Claimed
from payments.payment_errors import NothingToRestock, Refused
from payments.processors.outcomes import Declined, Found, NotFound, Pending, Unavailable
from payments.processors.port import ProcessorEvent
from tests.support import invariants
from tests.support.factories import (
    SUCCEEDED,
    TIMEOUT,
    Till,
    a_refund,
    a_sale,
)
from tests.support.refusals import told
from tests.support.threads import at_once

pytestmark = pytest.mark.usefixtures("stock_adds_up")

DECLINED = Declined("card_declined", "generic_decline", "The card was declined.")
RETURNED = Declined("refund_failed", "returned_by_bank", "The bank returned the refund.")
BUSY = Unavailable("service_unavailable")
WAITING = Pending("sbx_1", "requires_action")
DAY = timedelta(days=1)
# A refund of 100 and so many units.
PART = {"amount": 100, "restock": True}


def refunded(till: Till, charge_id: str, found: Found = SUCCEEDED, **changes: Any) -> Claimed:
    claimed = till.claim(a_refund(charge_id, **changes))
    till.settle(claimed, found)
    return claimed


def refused_units(answer: object) -> dict[str, Any]:
    assert isinstance(answer, NothingToRestock), answer
    return answer.facts


def test_a_refund_brings_goods_back_only_if_it_says_so_and_only_when_it_has_succeeded(
    till: Till,
) -> None:
    price_id = till.price(stock=5)
    charge_id = till.sold(price_id, 3)
    refunded(till, charge_id, amount=100)
    assert (till.stock(price_id), till.reservation(charge_id)) == (2, ("sold", 3, 0))
    refund = till.claim(a_refund(charge_id, restock=True))
    assert till.row(refund.id)["restock_quantity"] == 3
    assert (till.stock(price_id), till.reservation(charge_id)) == (2, ("sold", 3, 0))
    till.settle(refund, SUCCEEDED)
    assert (till.stock(price_id), till.reservation(charge_id)) == (5, ("sold", 3, 3))
    assert till.row(refund.id)["restocked"] == 3
    assert till.events(price_id) == ["price.created"] + ["price.inventory_changed"] * 2


def test_goods_come_back_part_by_part_and_never_more_than_are_out(till: Till) -> None:
    price_id = till.price(stock=5)
    charge_id = till.sold(price_id, 5)
    refunded(till, charge_id, **PART, restock_quantity=2)
    assert (till.stock(price_id), till.reservation(charge_id)) == (2, ("sold", 5, 2))
    (refused,) = till.accept(a_refund(charge_id, **PART, restock_quantity=4))
    assert told(refused) == (
        "nothing_to_restock", "restock_quantity",
        "3 units of this charge can come back: ask for no more, or don't restock",
    )  # fmt: skip
    assert refused_units(refused) == {"available": 3, "requested": 4}
    assert till.row(charge_id)["refund_reserved"] == 100
    refunded(till, charge_id, restock=True)  # all that is left of the money, and of the goods
    assert (till.stock(price_id), till.reservation(charge_id)) == (5, ("sold", 5, 5))
    (refused,) = till.accept(a_refund(charge_id, restock=True))
    assert told(refused)[0] == "refund_exceeds_charge"


def test_when_all_are_back_there_is_nothing_to_bring_back(till: Till) -> None:
    price_id = till.price(stock=5)
    charge_id = till.sold(price_id, 2)
    refunded(till, charge_id, **PART, restock_quantity=2)
    (refused,) = till.accept(a_refund(charge_id, restock=True))
    assert told(refused) == (
        "nothing_to_restock", "restock",
        "0 units of this charge can come back: ask for no more, or don't restock",
    )  # fmt: skip
    refunded(till, charge_id)  # the money alone
    assert (till.stock(price_id), till.reservation(charge_id)) == (5, ("sold", 2, 2))


@pytest.mark.parametrize("by", ["amount", "unlimited"])
def test_a_charge_that_held_nothing_brings_nothing_back(till: Till, by: str) -> None:
    charge_id = till.charged() if by == "amount" else till.sold(till.price(), 3)
    for more in ({}, {"restock_quantity": 1}):
        (refused,) = till.accept(a_refund(charge_id, restock=True, **more))
        assert refused_units(refused)["available"] == 0


def test_a_refund_that_fails_brings_nothing_back_and_its_units_can_be_asked_for_again(
    till: Till,
) -> None:
    price_id = till.price(stock=5)
    charge_id = till.sold(price_id, 3)
    for _ in range(2):
        failed = refunded(till, charge_id, DECLINED, restock=True)
        assert till.row(failed.id)["restocked"] == 0
        assert (till.stock(price_id), till.reservation(charge_id)) == (2, ("sold", 3, 0))
    refunded(till, charge_id, restock=True)
    assert (till.stock(price_id), till.reservation(charge_id)) == (5, ("sold", 3, 3))


@pytest.mark.parametrize("found", [TIMEOUT, WAITING, BUSY], ids=repr)
def test_units_of_a_refund_that_nobody_knows_the_outcome_of_are_spoken_for(
    till: Till, found: Found
) -> None:
    price_id = till.price(stock=5)
    charge_id = till.sold(price_id, 3)
    pending = refunded(till, charge_id, found, **PART, restock_quantity=2)
    (refused,) = till.accept(a_refund(charge_id, **PART, restock_quantity=2))
    assert refused_units(refused) == {"available": 1, "requested": 2}
    assert till.stock(price_id) == 2
    till.report(pending.id, SUCCEEDED)
    assert till.stock(price_id) == 4


def test_goods_stay_when_the_bank_returns_the_refund_later(till: Till) -> None:
    price_id = till.price(stock=5)
    charge_id = till.sold(price_id, 3)
    refund = refunded(till, charge_id, **PART, restock_quantity=2)
    for _ in range(2):
        till.report(refund.id, RETURNED)
        assert till.row(refund.id)["state"] == "failed"
        assert (till.stock(price_id), till.reservation(charge_id)) == (4, ("sold", 3, 2))
        assert till.row(refund.id)["restocked"] == 2
    # The money can be given back again, the goods only that are still out.
    (refused,) = till.accept(a_refund(charge_id, **PART, restock_quantity=2))
    assert refused_units(refused) == {"available": 1, "requested": 2}
    again = refunded(till, charge_id, restock=True)
    assert till.row(again.id)["restock_quantity"] == 1
    assert (till.stock(price_id), till.reservation(charge_id)) == (5, ("sold", 3, 3))


def test_a_report_that_comes_twice_or_late_brings_back_once(till: Till) -> None:
    price_id = till.price(stock=5)
    charge_id = till.sold(price_id, 3)
    refund = till.claim(a_refund(charge_id, restock=True))
    event = ProcessorEvent(refund.id, "refund", SUCCEEDED)
    assert till.report_all(event, event) == 1
    till.settle(refund, SUCCEEDED)
    till.report_all(event)
    assert (till.stock(price_id), till.reservation(charge_id)) == (5, ("sold", 3, 3))
    assert till.row(refund.id)["restocked"] == 3


def test_a_person_who_says_that_the_refund_went_through_brings_goods_back(till: Till) -> None:
    price_id = till.price(stock=5)
    charge_id = till.sold(price_id, 3)
    refund = refunded(till, charge_id, TIMEOUT, restock=True)
    till.time_passes(2 * DAY, refund.id)
    till.settle(till.claim(refund.id), NotFound())
    assert till.stand(refund.id) == "needs_review"
    assert till.stock(price_id) == 2
    till.resolve(refund.id, "succeeded")
    assert till.stock(price_id) == 5
    till.report(refund.id, SUCCEEDED)
    assert (till.stock(price_id), till.reservation(charge_id)) == (5, ("sold", 3, 3))


def test_of_refunds_that_race_for_the_same_units_as_many_are_made_as_there_are_units(
    till: Till,
) -> None:
    price_id = till.price(stock=9)
    charge_id = till.sold(price_id, 7)
    answers = at_once(
        6, lambda _: till.accept(a_refund(charge_id, amount=1, restock=True, restock_quantity=2))[0]
    )
    refused = [one for one in answers if isinstance(one, Refused)]
    assert [refused_units(one) for one in refused] == [{"available": 1, "requested": 2}] * 3
    made = [one.row.id for one in answers if not isinstance(one, (Refused, Exception))]
    at_once(3, lambda n: till.settle(till.claim(made[n]), SUCCEEDED))
    assert (till.stock(price_id), till.reservation(charge_id)) == (8, ("sold", 7, 6))
    invariants.check(till, [charge_id, *made])


def test_refunds_of_one_batch_count_each_other_s_units(till: Till) -> None:
    price_id = till.price(stock=5)
    charge_id = till.sold(price_id, 5)
    requests = [a_refund(charge_id, **PART, restock_quantity=2) for _ in range(4)]
    answers = till.create(*requests)
    assert [isinstance(one, Claimed) for one in answers] == [True, True, False, False]
    assert refused_units(answers[2]) == {"available": 1, "requested": 2}
    till.settle_all(*((one, "refund", SUCCEEDED) for one in answers if isinstance(one, Claimed)))
    assert (till.stock(price_id), till.reservation(charge_id)) == (4, ("sold", 5, 4))
    # Two that succeed at once are told as one change.
    assert till.events(price_id) == ["price.created"] + ["price.inventory_changed"] * 2


def test_a_refund_repeated_by_many_at_once_brings_back_once(till: Till) -> None:
    price_id = till.price(stock=5)
    charge_id = till.sold(price_id, 3)
    request = a_refund(charge_id, restock=True)
    answers = at_once(6, lambda _: till.accept(request)[0])
    assert not any(isinstance(one, Refused) for one in answers), answers
    claimed = till.claim(request.id)
    at_once(4, lambda _: till.settle(claimed, SUCCEEDED))
    assert (till.stock(price_id), till.reservation(charge_id)) == (5, ("sold", 3, 3))


# --- Refunds that do not wait for their charge ---


def test_a_refund_of_a_pending_charge_brings_back_what_was_sold_in_the_end(till: Till) -> None:
    price_id = till.price(stock=5)
    charge = till.claim(a_sale(price_id, 3))
    refund = a_refund(charge.id, restock=True)
    till.accept(refund)
    assert (till.stock(price_id), till.reservation(charge.id)) == (2, ("held", 3, 0))
    till.settle(charge, SUCCEEDED)
    till.settle(till.claim(refund.id), SUCCEEDED)
    assert (till.stock(price_id), till.reservation(charge.id)) == (5, ("sold", 3, 3))


def test_a_charge_that_fails_gives_back_what_its_refund_would_have_brought_back(
    till: Till,
) -> None:
    price_id = till.price(stock=5)
    charge = till.claim(a_sale(price_id, 3))
    refund = a_refund(charge.id, restock=True)
    till.accept(refund)
    till.settle(charge, DECLINED)
    assert till.stock(price_id) == 5
    till.submit(refund.id)
    assert till.row(refund.id)["failure_code"] == "charge_failed"
    assert (till.stock(price_id), till.reservation(charge.id)) == (5, ("released", 3, 0))


@pytest.mark.parametrize(
    ("changes", "units"),
    [
        ({"restock": True}, 3),
        ({"restock": True, "restock_quantity": 3}, 3),
        ({**PART, "restock_quantity": 2}, 2),
        ({**PART, "restock_quantity": 3}, 3),
    ],
)
def test_a_refund_that_overtakes_its_charge_brings_back_what_it_says(
    till: Till, changes: dict[str, Any], units: int
) -> None:
    price_id = till.price(stock=5)
    sale = a_sale(price_id, 3)
    refund = a_refund(sale, **changes)
    till.accept(refund)
    till.settle(till.claim(sale), SUCCEEDED)
    till.time_passes(timedelta(seconds=3), refund.id)
    till.settle(till.claim(refund.id), SUCCEEDED)
    assert till.row(refund.id)["restocked"] == units
    assert (till.stock(price_id), till.reservation(sale.id)) == (2 + units, ("sold", 3, units))


def test_of_refunds_that_overtook_their_charge_only_those_are_made_whose_units_are_there(
    till: Till,
) -> None:
    price_id = till.price(stock=5)
    sale = a_sale(price_id, 5)
    early = [a_refund(sale, **PART, restock_quantity=2) for _ in range(3)]
    till.accept(*early)
    till.settle(till.claim(sale), SUCCEEDED)
    till.time_passes(timedelta(seconds=3), *(one.id for one in early))
    claimed = [one for one in till.submit(*(one.id for one in early)) if isinstance(one, Claimed)]
    assert len(claimed) == 2
    (failed,) = [row for one in early if (row := till.row(one.id))["state"] == "failed"]
    assert failed["failure_code"] == "nothing_to_restock"
    till.settle_all(*((one, "refund", SUCCEEDED) for one in claimed))
    assert (till.stock(price_id), till.reservation(sale.id)) == (4, ("sold", 5, 4))


def test_a_refund_that_overtakes_its_charge_takes_no_units_before_it_is_due(till: Till) -> None:
    price_id = till.price(stock=5)
    sale = a_sale(price_id, 3)
    early = a_refund(sale, **PART, restock_quantity=3)
    till.accept(early)
    till.settle(till.claim(sale), SUCCEEDED)
    # Somebody else was quicker; the early one learns it when it is its turn.
    refunded(till, sale.id, **PART, restock_quantity=3)
    till.time_passes(timedelta(seconds=3), early.id)
    till.submit(early.id)
    assert till.row(early.id)["failure_code"] == "nothing_to_restock"
    assert (till.stock(price_id), till.reservation(sale.id)) == (5, ("sold", 3, 3))
