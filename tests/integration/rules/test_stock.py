"""What charges hold of stock: held while nobody knows, sold once, and given back once."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest

from infra.billing.contract.limits import QUANTITY_MAX
from models.states import State
from payments.catalog.price_locks import hold
from payments.catalog.stock import follow
from payments.lifecycle import reports
from payments.lifecycle.accepting import charges
from payments.lifecycle.accepting.charges import Accepted
from payments.lifecycle.claims import Claimed
from payments.lifecycle.settlement import GIVE_UP_TRIES
from payments.payment_errors import InsufficientInventory, Refused
from payments.processors.outcomes import (
    Declined,
    Found,
    NotFound,
    Pending,
    Succeeded,
    Unavailable,
    Unknown,
)
from payments.processors.port import ProcessorEvent
from payments.processors.processor_limits import MoneyLimit, MoneyLimits
from tests.support.factories import (
    SUCCEEDED,
    TIMEOUT,
    Till,
    a_charge,
    a_count,
    a_key,
    a_sale,
)
from tests.support.refusals import answer_of, told
from tests.support.threads import at_once

pytestmark = pytest.mark.usefixtures("stock_adds_up")

DECLINED = Declined("card_declined", "generic_decline", "The card was declined.")
BUSY = Unavailable("service_unavailable")
WAITING = Pending("sbx_1", "requires_action")
MINUTE, DAY = timedelta(minutes=1), timedelta(days=1)


def in_review(till: Till, price_id: str, quantity: int) -> str:
    """The id of a charge that a person has to decide about."""
    charge = till.claim(a_sale(price_id, quantity))
    till.settle(charge, TIMEOUT)
    till.time_passes(2 * DAY, charge.id)
    till.settle(till.claim(charge.id), NotFound())
    assert till.stand(charge.id) == "needs_review"
    return charge.id


# --- Held ---


@pytest.mark.parametrize(
    ("steps", "stand"),
    [
        ([], "in_flight"),
        ([BUSY], "queued"),
        ([TIMEOUT], "unknown"),
        ([WAITING], "awaiting_customer"),
        ([BUSY, TIMEOUT, Unknown("timeout"), WAITING, BUSY], "awaiting_customer"),
    ],
    ids=lambda steps: steps if isinstance(steps, str) else "",
)
def test_what_a_charge_asked_for_is_held_while_it_is_pending(
    till: Till, steps: list[Found], stand: str
) -> None:
    price_id = till.price(stock=5)
    charge = till.claim(a_sale(price_id, 3))
    for found in steps:
        till.settle(charge, found)
        till.time_passes(MINUTE, charge.id)
        if found is not steps[-1]:
            charge = till.claim(charge.id)
    assert till.stand(charge.id) == stand
    assert (till.stock(price_id), till.reservation(charge.id)) == (2, ("held", 3, 0))
    assert till.events(price_id) == ["price.created", "price.inventory_changed"]


def test_it_is_held_while_a_person_has_to_decide(till: Till) -> None:
    price_id = till.price(stock=5)
    charge_id = in_review(till, price_id, 3)
    assert (till.stock(price_id), till.reservation(charge_id)) == (2, ("held", 3, 0))


def test_it_is_held_when_its_worker_has_died(till: Till) -> None:
    price_id = till.price(stock=5)
    dead = till.claim(a_sale(price_id, 3))
    till.time_passes(MINUTE, dead.id)
    till.sweep()
    assert till.stand(dead.id) == "unknown"
    assert (till.stock(price_id), till.reservation(dead.id)) == (2, ("held", 3, 0))
    # The dead one's answer, late: its lease is gone, and nothing is given back.
    till.settle(dead, DECLINED)
    assert (till.stock(price_id), till.reservation(dead.id)) == (2, ("held", 3, 0))


def test_a_repeat_holds_nothing_more_on_either_door(till: Till) -> None:
    key = a_key()
    price_id = till.price(stock=5, lookup_key=key)
    request = a_sale(key, 3)
    till.accept(request, request)
    till.create(request)
    at_once(6, lambda _: till.accept(request))
    assert (till.stock(price_id), till.reservation(request.id)) == (2, ("held", 3, 0))


def test_one_request_by_many_at_once_that_takes_all_is_accepted_by_all(till: Till) -> None:
    price_id = till.price(stock=3)
    request = a_sale(price_id, 3)
    answers = at_once(8, lambda _: till.accept(request)[0])
    assert all(isinstance(one, Accepted) for one in answers), answers
    assert [one.fresh for one in answers if isinstance(one, Accepted)].count(True) == 1
    assert (till.stock(price_id), till.reservation(request.id)) == (0, ("held", 3, 0))


def test_more_than_there_are_is_refused_with_what_is_there_and_what_was_asked_for(
    till: Till,
) -> None:
    price_id = till.price(stock=5)
    for door in (till.accept, till.create):
        request = a_sale(price_id, 6)
        (refused,) = door(request)
        assert isinstance(refused, InsufficientInventory)
        assert told(refused) == (
            "insufficient_inventory", "quantity",
            "5 are left, and 6 were asked for; ask for no more than there are",
        )  # fmt: skip
        assert refused.facts == {"available": 5, "requested": 6}
        assert till.rows([request.id]) == {}
    assert till.events(price_id) == ["price.created"]
    # What was refused was not done under its key: it may be asked for again.
    till.count(price_id, a_count(1))
    assert isinstance(till.accept(request)[0], Accepted)
    assert till.stock(price_id) == 0


def test_of_one_batch_those_who_ask_first_are_served_first(till: Till) -> None:
    price_id, other = till.price(stock=5), till.price(stock=1)
    sales = [a_sale(price_id, n) for n in (2, 4, 3, 1)] + [a_sale(other, 1), a_sale(other, 1)]
    answers = till.accept(*sales)
    assert [isinstance(one, Accepted) for one in answers] == [True, False, True, False, True, False]
    # They are told what is left of it now.
    assert [one.facts["available"] for one in answers if isinstance(one, Refused)] == [0, 0, 0]
    assert (till.stock(price_id), till.stock(other)) == (0, 0)
    # One event for all that changed in one transaction.
    assert till.events(price_id) == ["price.created", "price.inventory_changed"]


def test_who_is_refused_for_another_reason_takes_nothing(till: Till) -> None:
    price_id, reference = till.price(stock=5), a_key()
    twins = [a_sale(price_id, 2, reference=reference) for _ in range(2)]
    # Behind the two there is too little left; but only one of them is taken.
    *both, third = till.accept(*twins, a_sale(price_id, 3))
    (refused,) = [one for one in both if isinstance(one, Refused)]
    assert told(refused)[0] == "reference_in_use"
    assert isinstance(third, Accepted), third
    assert till.stock(price_id) == 0
    (fourth,) = till.accept(a_sale(price_id, 1))
    assert isinstance(fourth, InsufficientInventory)


def test_who_asks_for_references_that_are_taken_holds_up_nobody(till: Till) -> None:
    price_id = till.price(stock=1)
    references = [a_key() for _ in range(63)]
    till.accept(*(a_charge(reference=one) for one in references))
    *refused, last = till.accept(
        *(a_sale(price_id, 1, reference=one) for one in references), a_sale(price_id, 1)
    )
    assert {told(one)[0] for one in refused} == {"reference_in_use"}
    assert isinstance(last, Accepted)
    assert till.stock(price_id) == 0


def test_repeats_with_references_are_no_rivals_of_themselves(till: Till) -> None:
    """Nor is a key that was used before told of its own reference."""
    price_id = till.price(stock=5)
    sale, other = a_sale(price_id, 1, reference=a_key()), a_charge(reference=a_key())
    till.accept(sale, other)
    changed = a_sale(price_id, 2, reference=sale.reference, idempotency_key=sale.idempotency_key)
    again, repeated, new, reused = till.accept(sale, other, a_sale(price_id, 1), changed)
    for one, fresh in ((again, False), (repeated, False), (new, True)):
        assert isinstance(one, Accepted)
        assert one.fresh is fresh
    assert told(reused)[0] == "idempotency_key_reused"


def test_what_a_price_comes_to_must_be_what_the_processor_takes(till: Till) -> None:
    price_id = till.price(stock=5)
    limits = {"sandbox": MoneyLimits(named={"USD": MoneyLimit(most=2000)})}
    new = [charges.NewCharge(a_sale(price_id, quantity), "sandbox") for quantity in (3, 2)]
    with till.database.transaction() as transaction:
        too_much, taken = charges.accept(transaction, new, limits=limits)
    assert told(too_much)[0] == "invalid_request"
    assert "must be at most 20.00 USD" in str(too_much)
    assert isinstance(taken, Accepted)
    assert till.stock(price_id) == 3


def test_of_two_requests_under_one_key_the_one_that_can_be_is_taken(till: Till) -> None:
    price_id, key = till.price(stock=5), a_key()
    too_much, fits = (a_sale(price_id, n, idempotency_key=key) for n in (100, 1))
    nowhere = a_sale("nowhere", idempotency_key=key)
    again, first, taken = till.accept(too_much, nowhere, fits)
    assert [told(again)[0], told(first)[0]] == ["insufficient_inventory", "invalid_request"]
    assert isinstance(taken, Accepted)
    # Now there is a charge under this key, and it is another one.
    (late,) = till.accept(too_much)
    assert told(late)[0] == "idempotency_key_reused"
    assert till.stock(price_id) == 4


def test_a_report_of_a_charge_that_comes_meanwhile_is_no_answer_to_it(
    till: Till, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It would give stock back to a price that it does not hold, and wait for it in a circle."""
    price_id = till.price(stock=5)
    sale = a_sale(price_id, 3)
    as_ever = reports.hold_prices_of

    def and_then_it_comes(*args: Any, **ids: Any) -> None:
        as_ever(*args, **ids)
        till.claim(sale)

    monkeypatch.setattr(reports, "hold_prices_of", and_then_it_comes)
    assert till.report_all(ProcessorEvent(sale.id, "charge", DECLINED)) == 0
    assert till.row(sale.id)["state"] == "pending"
    assert (till.stock(price_id), till.reservation(sale.id)[0]) == (2, "held")
    monkeypatch.undo()
    till.report_all(ProcessorEvent(sale.id, "charge", DECLINED))
    assert till.stock(price_id) == 5


def test_a_transaction_that_is_rolled_back_has_taken_nothing(till: Till) -> None:
    price_id = till.price(stock=5)
    request = a_sale(price_id, 5)

    def accept_and_fail() -> None:
        with till.database.transaction() as transaction:
            charges.accept(transaction, [charges.NewCharge(request, "sandbox")])
            raise TimeoutError

    with pytest.raises(TimeoutError):
        accept_and_fail()
    assert (till.stock(price_id), till.rows([request.id])) == (5, {})


def test_as_many_can_be_sold_as_can_be_counted(till: Till) -> None:
    price_id = till.price(
        stock=QUANTITY_MAX, tiers=[{"up_to": "inf", "flat_amount": "5"}], tiers_mode="volume"
    )
    charge = till.claim(a_sale(price_id, QUANTITY_MAX))
    assert (till.stock(price_id), till.reservation(charge.id)) == (0, ("held", QUANTITY_MAX, 0))
    till.settle(charge, DECLINED)
    assert till.stock(price_id) == QUANTITY_MAX


def test_what_costs_nothing_is_refused_and_holds_nothing(till: Till) -> None:
    packages = {"divide_by": 10, "round": "down"}
    price_id = till.price(stock=50, transform_quantity=packages)
    (refused,) = till.accept(a_sale(price_id, 9))
    assert told(refused) == (
        "invalid_request", "quantity",
        "quantity: 9 of this price cost nothing, and nothing can't be charged; ask for more",
    )  # fmt: skip
    # Stock counts units, not packages.
    till.accept(a_sale(price_id, 19))
    assert till.stock(price_id) == 31


# --- Sold ---


@pytest.mark.parametrize("how", ["answer", "report", "look_up", "review"])
def test_what_is_paid_is_sold_however_it_is_known(till: Till, how: str) -> None:
    price_id = till.price(stock=5)
    charge_id = ended(till, price_id, 3, how, succeeds=True)
    assert (till.stock(price_id), till.reservation(charge_id)) == (2, ("sold", 3, 0))
    # The price is told that it was held, and not again.
    assert till.events(price_id) == ["price.created", "price.inventory_changed"]


@pytest.mark.parametrize("how", ["answer", "report", "look_up", "review"])
def test_what_is_not_paid_is_given_back_however_it_is_known(till: Till, how: str) -> None:
    price_id = till.price(stock=5)
    charge_id = ended(till, price_id, 3, how, succeeds=False)
    assert (till.stock(price_id), till.reservation(charge_id)) == (5, ("released", 3, 0))
    assert till.events(price_id) == ["price.created"] + ["price.inventory_changed"] * 2
    (row,) = till.query("SELECT settled_at FROM reservations WHERE charge_id = :id", id=charge_id)
    assert row["settled_at"] == till.row(charge_id)["settled_at"]


def ended(till: Till, price_id: str, quantity: int, how: str, *, succeeds: bool) -> str:
    found = SUCCEEDED if succeeds else DECLINED
    if how == "review":
        charge_id = in_review(till, price_id, quantity)
        till.resolve(charge_id, "succeeded" if succeeds else "failed")
        return charge_id
    charge = till.claim(a_sale(price_id, quantity))
    if how == "report":
        till.report(charge.id, found)
        return charge.id
    if how == "look_up":
        till.settle(charge, TIMEOUT)
        till.time_passes(MINUTE, charge.id)
        charge = till.claim(charge.id)
    till.settle(charge, found)
    return charge.id


def test_a_processor_that_is_given_up_gives_stock_back(till: Till) -> None:
    price_id = till.price(stock=5)
    charge = till.claim(a_sale(price_id, 3))
    till.settle(charge, BUSY)
    till.put("UPDATE charges SET retries = :n WHERE id = :id", n=GIVE_UP_TRIES, id=charge.id)
    till.time_passes(2 * DAY, charge.id)
    till.settle(till.claim(charge.id), BUSY)
    assert till.row(charge.id)["failure_code"] == "processor_unavailable"
    assert (till.stock(price_id), till.reservation(charge.id)) == (5, ("released", 3, 0))


# --- Given back once ---


@pytest.mark.parametrize("how", ["answer", "report", "look_up", "review"])
@pytest.mark.parametrize("late", [DECLINED, SUCCEEDED], ids=["declined", "succeeded"])
def test_what_was_given_back_is_not_given_back_again(till: Till, how: str, late: Any) -> None:
    price_id = till.price(stock=5)
    charge_id = ended(till, price_id, 3, how, succeeds=False)
    for _ in range(2):
        assert till.report(charge_id, late) == 0
    event = ProcessorEvent(charge_id, "charge", late)
    assert till.report_all(event, event) == 0
    assert (till.stock(price_id), till.reservation(charge_id)) == (5, ("released", 3, 0))


@pytest.mark.parametrize("how", ["answer", "report", "look_up", "review"])
def test_what_was_sold_is_not_given_back_by_a_late_report(till: Till, how: str) -> None:
    price_id = till.price(stock=5)
    charge_id = ended(till, price_id, 3, how, succeeds=True)
    for late in (DECLINED, SUCCEEDED):
        assert till.report(charge_id, late) == 0
    assert (till.stock(price_id), till.reservation(charge_id)) == (2, ("sold", 3, 0))


def test_a_report_that_comes_twice_in_one_batch_gives_back_once(till: Till) -> None:
    price_id = till.price(stock=5)
    charge = till.claim(a_sale(price_id, 3))
    event = ProcessorEvent(charge.id, "charge", DECLINED)
    assert till.report_all(event, event) == 1
    assert till.stock(price_id) == 5
    # The worker's own answer finds that its lease is gone.
    till.settle(charge, DECLINED)
    till.settle(charge, SUCCEEDED)
    assert (till.stock(price_id), till.reservation(charge.id)) == (5, ("released", 3, 0))


def test_an_answer_a_report_and_a_repeat_at_once_give_back_once(till: Till) -> None:
    for _ in range(5):
        price_id = till.price(stock=5)
        request = a_sale(price_id, 3)
        charge = till.claim(request)

        def go(n: int, charge: Claimed = charge, request: Any = request) -> object:
            match n % 3:
                case 0:
                    return till.settle(charge, DECLINED)
                case 1:
                    return till.report(charge.id, DECLINED)
                case _:
                    return till.accept(request)

        at_once(6, go)
        assert (till.stock(price_id), till.reservation(charge.id)) == (5, ("released", 3, 0))
        assert till.events(price_id) == ["price.created"] + ["price.inventory_changed"] * 2


def test_a_report_and_a_person_who_decide_at_once_settle_it_once(till: Till) -> None:
    for _ in range(3):
        price_id = till.price(stock=5)
        charge_id = in_review(till, price_id, 3)

        def go(n: int, charge_id: str = charge_id) -> object:
            if n == 0:
                return till.report(charge_id, SUCCEEDED)
            return answer_of(lambda: till.resolve(charge_id, "failed"))

        at_once(2, go)
        ends = {"succeeded": (2, ("sold", 3, 0)), "failed": (5, ("released", 3, 0))}
        assert (till.stock(price_id), till.reservation(charge_id)) == ends[till.stand(charge_id)]


def test_what_is_settled_is_left_alone_whoever_asks(till: Till) -> None:
    """The table of moves forbids it already; the stock itself does, too."""
    price_id = till.price(stock=9)
    given_back = till.claim(a_sale(price_id, 3))
    till.settle(given_back, DECLINED)
    sold_id = till.sold(price_id, 2)
    with till.database.transaction() as transaction:
        follow(transaction, {given_back.id: State.FAILED, sold_id: State.FAILED})
        follow(transaction, {given_back.id: State.SUCCEEDED})
    assert till.stock(price_id) == 7
    assert till.reservation(given_back.id) == ("released", 3, 0)
    assert till.reservation(sold_id) == ("sold", 2, 0)


def test_what_is_queued_again_after_a_review_is_held_on(till: Till) -> None:
    price_id = till.price(stock=5)
    charge_id = in_review(till, price_id, 3)
    till.resolve(charge_id, "retry")
    assert (till.stock(price_id), till.reservation(charge_id)) == (2, ("held", 3, 0))
    till.settle(till.claim(charge_id), DECLINED)
    assert (till.stock(price_id), till.reservation(charge_id)) == (5, ("released", 3, 0))


def test_charges_of_one_batch_that_end_in_both_ways_are_counted_together(till: Till) -> None:
    first, second = till.price(stock=10), till.price(stock=10)
    sales = [a_sale(price_id, n) for price_id in (first, second) for n in (1, 2, 3)]
    claimed = [till.claim(sale) for sale in sales]
    other = till.claim(a_charge())
    found = [SUCCEEDED, DECLINED, DECLINED, DECLINED, SUCCEEDED, TIMEOUT]
    till.settle_all(
        *((one, "charge", what) for one, what in zip(claimed, found, strict=True)),
        (other, "charge", DECLINED),
    )
    assert (till.stock(first), till.stock(second)) == (9, 5)
    assert till.events(first)[-1:] == ["price.inventory_changed"]
    assert (
        len(till.events(first)) == 1 + 3 + 1
    )  # three were taken one by one; two came back at once


# --- Two hundred want fifty ---


def test_of_two_hundred_exactly_fifty_are_served_and_the_twenty_declined_are_back(
    till: Till,
) -> None:
    price_id = till.price(stock=50)

    def buy(_: int) -> list[object]:
        return [till.accept(a_sale(price_id))[0] for _ in range(10)]

    answers = [one for each in at_once(20, buy) for one in each]
    accepted = [one.row.id for one in answers if isinstance(one, Accepted)]
    refused = [one for one in answers if isinstance(one, InsufficientInventory)]
    assert (len(accepted), len(refused)) == (50, 150)
    assert {tuple(one.facts.items()) for one in refused} == {(("available", 0), ("requested", 1))}
    assert till.stock(price_id) == 0

    def settle(n: int) -> None:
        for index in range(n, 50, 10):
            found = DECLINED if index < 20 else Succeeded(f"sbx_{index}")
            till.settle(till.claim(accepted[index]), found)

    at_once(10, settle)
    assert till.stock(price_id) == 20
    held = [till.reservation(id_) for id_ in accepted]
    assert held == [("released", 1, 0)] * 20 + [("sold", 1, 0)] * 30
    # What is back is for sale: that much of it, and no more.
    again = at_once(25, lambda _: till.accept(a_sale(price_id))[0])
    assert sum(isinstance(one, Accepted) for one in again) == 20
    assert till.stock(price_id) == 0


def test_who_waits_for_the_last_one_is_served_when_it_comes_back(till: Till) -> None:
    price_id = till.price(stock=1)
    last = till.claim(a_sale(price_id))
    with ThreadPoolExecutor(1) as thread:
        with till.database.transaction() as counting:
            hold(counting, price_id)
            giving_back = thread.submit(till.settle, last, DECLINED)
            till.wait_until_stuck(1)
        assert giving_back.result()["state"] == "failed"
    assert isinstance(till.accept(a_sale(price_id))[0], Accepted)
    assert till.stock(price_id) == 0
