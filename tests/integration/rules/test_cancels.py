"""Ending a charge: at once while nothing was sent, else after asking; money that moved wins."""

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from payments.access.scopes import Access
from payments.lifecycle import cancels
from payments.lifecycle.accepting import charges
from payments.lifecycle.cancels import Cancellation
from payments.lifecycle.claims import Claimed
from payments.lifecycle.settlement import GIVE_UP_TRIES
from payments.payment_errors import ChargeNotCancelable, NotFound
from payments.processors.outcomes import (
    REQUIRES_ACTION,
    Canceled,
    Declined,
    NextAction,
    Outcome,
    Pending,
    Unavailable,
    Unknown,
)
from payments.processors.outcomes import NotFound as NeverHeardOf
from tests.integration.rules.test_executor import MINUTE, Shop
from tests.support.acting import by
from tests.support.every import every
from tests.support.factories import (
    SUCCEEDED,
    TIMEOUT,
    Till,
    a_charge,
    a_key,
    a_refund,
    a_sale,
    is_left_alone,
)

WAITS = Pending("sbx_1", REQUIRES_ACTION, NextAction("redirect_to_url", "https://pay.example/1"))
NOW = datetime(2026, 1, 2, 12, tzinfo=UTC)
CANCELED = ["charge.canceled"]


def awaiting(till: Till, **changes: Any) -> str:
    """The id of a charge that waits for its customer."""
    claimed = till.claim(a_charge(**changes))
    till.settle(claimed, WAITS)
    return claimed.id


# --- What was never sent ---


def test_a_charge_that_was_never_sent_ends_at_once(till: Till) -> None:
    request = a_charge(reference=a_key())
    till.accept(request)
    row = till.cancel(request.id, reason="the customer left")
    assert not isinstance(row, Exception)
    assert (row["state"], row["failure_code"]) == ("failed", "canceled")
    assert till.events(request.id) == CANCELED
    assert till.attempts(request.id) == [("cancel", "canceled")]
    (attempt,) = till.query("SELECT * FROM attempts WHERE object_id = :id", id=request.id)
    assert (attempt["worker"], attempt["detail"]) == ("tests", "the customer left")


def test_its_reference_and_its_stock_are_free_again(till: Till) -> None:
    price, reference = till.price(stock=5), a_key()
    sale = a_sale(price, 3, reference=reference)
    till.accept(sale)
    till.cancel(sale.id)
    assert till.stock(price) == 5
    assert till.reservation(sale.id) == ("released", 3, 0)
    again = a_sale(price, 5, reference=reference)
    (accepted,) = till.accept(again)
    assert not isinstance(accepted, Exception)


def test_a_wake_up_call_for_what_was_canceled_moves_nothing(till: Till) -> None:
    request = a_charge()
    till.accept(request)
    till.cancel(request.id)
    assert is_left_alone(till.submit(request.id)[0])


def test_a_refund_that_waits_for_it_fails_with_it(till: Till) -> None:
    request = a_charge()
    refund = a_refund(request)
    till.accept(request, refund)
    till.cancel(request.id)
    assert refund.id in till.wakes.refunds
    till.submit(refund.id)
    assert till.row(refund.id)["failure_code"] == "charge_failed"


# --- What was sent: the processor is asked ---


def test_a_charge_that_waits_for_its_customer_is_canceled_at_the_processor(till: Till) -> None:
    id_ = awaiting(till)
    row = till.cancel(id_, reason="no answer")
    assert not isinstance(row, Exception)
    assert (row["phase"], row["cancel_reason"]) == ("awaiting_customer", "no answer")
    assert id_ in till.wakes.charges
    claimed = till.claim(id_)
    assert claimed.is_to_end
    till.settle(claimed, Canceled("sbx_1"))
    row = till.row(id_)
    assert (row["state"], row["failure_code"], row["next_action"]) == ("failed", "canceled", None)
    assert till.events(id_) == ["charge.requires_action", "charge.canceled"]
    assert till.attempts(id_) == [("charge", "pending"), ("cancel", "canceled")]


@pytest.mark.parametrize(
    ("found", "event"),
    [(SUCCEEDED, "charge.succeeded"), (Declined("card_declined", "x", "no"), "charge.failed")],
)
def test_what_happened_meanwhile_wins(till: Till, found: Outcome, event: str) -> None:
    id_ = awaiting(till)
    till.cancel(id_)
    till.settle(till.claim(id_), found)
    assert till.events(id_)[-1] == event


def test_what_cannot_be_canceled_now_is_asked_again(till: Till) -> None:
    id_ = awaiting(till)
    till.cancel(id_)
    till.settle(till.claim(id_), Pending("sbx_1", "processing"))
    assert till.stand(id_) == "awaiting_customer"
    assert is_left_alone(till.submit(id_)[0])
    till.time_passes(timedelta(minutes=1), id_)
    assert till.claim(id_).is_to_end


@pytest.mark.parametrize("found", [Unavailable("down"), TIMEOUT])
def test_an_answer_that_does_not_come_leaves_it_waiting_and_is_asked_for_again(
    till: Till, found: Outcome
) -> None:
    id_ = awaiting(till)
    till.cancel(id_)
    till.settle(till.claim(id_), found)
    assert till.stand(id_) == "awaiting_customer"
    till.time_passes(timedelta(minutes=1), id_)
    till.settle(till.claim(id_), Canceled())
    assert till.row(id_)["failure_code"] == "canceled"


def test_one_that_was_refused_by_the_processor_before_is_never_sent_again(till: Till) -> None:
    claimed = till.claim(a_charge())
    till.settle(claimed, Unavailable("down"))
    till.cancel(claimed.id)
    asking = till.claim(claimed.id)
    assert (asking.is_to_end, asking.in_doubt) == (True, False)
    till.settle(asking, NeverHeardOf())
    assert till.row(claimed.id)["failure_code"] == "canceled"
    assert till.attempts(claimed.id)[-1] == ("cancel", "canceled")


def test_a_processor_that_is_down_for_a_day_does_not_keep_it_for_ever(till: Till) -> None:
    claimed = till.claim(a_charge())
    till.settle(claimed, Unavailable("down"))
    till.cancel(claimed.id)
    till.settle(till.claim(claimed.id), Unavailable("down"))
    assert till.stand(claimed.id) == "queued"
    till.put("UPDATE charges SET retries = :n WHERE id = :id", n=GIVE_UP_TRIES, id=claimed.id)
    till.time_passes(timedelta(days=1), claimed.id)
    till.settle(till.claim(claimed.id), Unavailable("down"))
    assert till.row(claimed.id)["failure_code"] == "canceled"


# --- What is in flight or in doubt ---


@pytest.mark.parametrize(
    ("found", "stand"),
    [(WAITS, "awaiting_customer"), (TIMEOUT, "unknown"), (Unavailable("down"), "queued")],
)
def test_one_in_flight_is_left_to_its_worker_and_canceled_afterwards(
    till: Till, found: Outcome, stand: str
) -> None:
    claimed = till.claim(a_charge())
    row = till.cancel(claimed.id)
    assert not isinstance(row, Exception)
    assert (row["phase"], row["lease_token"]) == ("in_flight", claimed.token)
    assert claimed.id not in till.wakes.charges
    till.settle(claimed, found)
    assert till.stand(claimed.id) == stand
    if stand == "queued":
        till.time_passes(timedelta(minutes=1), claimed.id)
    else:
        assert claimed.id in till.sweep().charges
    asking = till.claim(claimed.id)
    assert asking.is_to_end
    till.settle(asking, Canceled())
    assert till.events(claimed.id)[-1] == "charge.canceled"


def test_money_that_moves_while_it_is_in_flight_wins(till: Till) -> None:
    claimed = till.claim(a_charge())
    till.cancel(claimed.id)
    till.settle(claimed, SUCCEEDED)
    assert till.events(claimed.id) == ["charge.succeeded"]


def test_one_whose_worker_died_is_canceled_and_not_sent_again(till: Till) -> None:
    claimed = till.claim(a_charge())
    till.cancel(claimed.id)
    till.time_passes(timedelta(minutes=1), claimed.id)
    till.sweep()
    assert till.stand(claimed.id) == "unknown"
    asking = till.claim(claimed.id)
    assert asking.is_to_end
    till.settle(asking, Canceled())
    assert till.attempts(claimed.id) == [("charge", "lease_expired"), ("cancel", "canceled")]


def test_a_worker_that_died_while_it_canceled_is_on_record_as_that(till: Till) -> None:
    id_ = awaiting(till)
    till.cancel(id_)
    till.claim(id_)
    till.time_passes(timedelta(minutes=1), id_)
    till.sweep()
    assert till.stand(id_) == "awaiting_customer"
    assert till.attempts(id_)[-1] == ("cancel", "lease_expired")
    assert till.row(id_)["next_action"]["url"] == "https://pay.example/1"


def test_one_in_doubt_that_nobody_has_heard_of_stays_in_doubt(till: Till) -> None:
    """The call of a worker that was stopped may still be on its way."""
    claimed = till.claim(a_charge())
    till.settle(claimed, TIMEOUT)
    till.cancel(claimed.id)
    till.settle(till.claim(claimed.id), NeverHeardOf())
    assert till.stand(claimed.id) == "unknown"
    till.time_passes(timedelta(days=1), claimed.id)
    till.settle(till.claim(claimed.id), NeverHeardOf())
    assert till.stand(claimed.id) == "needs_review"


def test_of_what_was_not_executed_a_look_up_that_is_not_through_leaves_nothing_in_doubt(
    till: Till,
) -> None:
    """The walk through an account with many charges takes several looks: the last one ends it."""
    id_ = till.settle(till.claim(a_charge()), Unavailable("busy"))["id"]
    till.cancel(id_)
    first = till.claim(id_)
    seen = first.now - MINUTE
    till.settle(first, Unknown("look_up_incomplete", looked_until=seen))
    assert till.stand(id_) == "queued"
    till.time_passes(MINUTE, id_)
    second = till.claim(id_)
    assert second.is_to_end
    assert second.order.looked_until == seen
    assert second.order.last_sent_at is not None
    till.settle(second, NeverHeardOf())
    assert till.events(id_) == CANCELED


def test_what_a_person_sends_again_is_canceled_first(till: Till) -> None:
    claimed = till.claim(a_charge())
    till.settle(claimed, TIMEOUT)
    till.cancel(claimed.id)
    till.time_passes(timedelta(days=1), claimed.id)
    till.settle(till.claim(claimed.id), NeverHeardOf())
    till.resolve(claimed.id, "retry")
    assert till.claim(claimed.id).is_to_end


def test_a_late_worker_changes_nothing_of_a_canceled_charge(till: Till) -> None:
    late = till.claim(a_charge())
    till.time_passes(timedelta(minutes=1), late.id)
    till.sweep()
    till.cancel(late.id)
    till.settle(till.claim(late.id), Canceled())
    assert till.settle(late, SUCCEEDED)["state"] == "failed"
    assert till.events(late.id) == CANCELED


# --- Asked for twice, too late, or by a stranger ---


def test_to_cancel_twice_is_to_cancel_once(till: Till) -> None:
    request = a_charge()
    till.accept(request)
    till.cancel(request.id)
    before = till.row(request.id)
    again = till.cancel(request.id, reason="another one")
    assert not isinstance(again, Exception)
    assert till.row(request.id) == before
    id_ = awaiting(till)
    till.cancel(id_, reason="the first")
    row = till.cancel(id_, reason="the second")
    assert not isinstance(row, Exception)
    assert row["cancel_reason"] == "the first"
    both = a_charge()
    till.accept(both)
    rows = till.cancel_all(
        Cancellation(both.id, acting=by("a")), Cancellation(both.id, acting=by("b"))
    )
    assert [row.cancel_requested_by for row in rows] == ["a", "a"]  # type: ignore[union-attr]
    assert till.events(both.id) == CANCELED


def test_a_final_charge_says_what_to_do_instead(till: Till) -> None:
    succeeded = till.cancel(till.charged())
    assert isinstance(succeeded, ChargeNotCancelable)
    assert "refund it instead" in str(succeeded)
    declined = till.claim(a_charge())
    till.settle(declined, Declined("card_declined", "x", "no"))
    failed = till.cancel(declined.id)
    assert isinstance(failed, ChargeNotCancelable)
    assert "card_declined" in str(failed)


def test_what_needs_a_person_is_left_to_the_person(till: Till) -> None:
    claimed = till.claim(a_charge())
    till.settle(claimed, TIMEOUT)
    till.time_passes(timedelta(days=1), claimed.id)
    till.settle(till.claim(claimed.id), NeverHeardOf())
    refused = till.cancel(claimed.id)
    assert isinstance(refused, ChargeNotCancelable)
    assert "billing resolve" in str(refused)


def test_nobody_cancels_what_another_producer_asked_for(till: Till) -> None:
    request = a_charge()
    till.accept(request)
    for one in (
        till.cancel(request.id, producer="another"),
        till.cancel("ch_" + "a" * 32, producer="tests"),
    ):
        assert isinstance(one, NotFound)
        assert str(one) == "there is no charge with this id"
    assert till.stand(request.id) == "queued"
    row = till.cancel(request.id, producer="tests")
    assert not isinstance(row, Exception)


def test_nobody_cancels_by_standing_beside_the_owner(till: Till) -> None:
    """What several ask for at once is one batch, and each sees only its own."""
    request = a_charge()
    till.accept(request)
    others, owners = (Access(name, frozenset()) for name in ("another", "tests"))
    refused, row = till.cancel_all(
        Cancellation(request.id, acting=by("another"), access=others),
        Cancellation(request.id, acting=by("tests"), access=owners),
    )
    assert isinstance(refused, NotFound)
    assert not isinstance(row, Exception)
    assert row.cancel_requested_by == "tests"


def test_a_stranger_waits_for_neither_the_charge_nor_its_price(till: Till) -> None:
    """That would tell that they are there, and hold up whoever needs them."""
    price = till.price(stock=2)
    request, sale = a_charge(), a_sale(price)
    till.accept(request, sale)
    with till.engine.begin() as holder:
        holder.exec_driver_sql(f"SELECT 1 FROM charges WHERE id = '{request.id}' FOR UPDATE")
        holder.exec_driver_sql(f"SELECT 1 FROM prices WHERE id = '{price}' FOR UPDATE")
        for one in (request, sale):
            assert isinstance(till.cancel(one.id, producer="another"), NotFound)


# --- What expires ---


def test_a_charge_expires_after_the_time_it_asked_for(till: Till) -> None:
    id_ = awaiting(till, expires_in_s=3600)
    till.sweep()
    assert till.row(id_)["cancel_requested_at"] is None
    till.time_passes(timedelta(hours=1), id_)
    till.sweep()
    row = till.row(id_)
    assert (row["cancel_code"], row["cancel_requested_by"]) == ("expired", "billing")
    till.settle(till.claim(id_), Canceled())
    assert till.row(id_)["failure_code"] == "expired"
    assert till.events(id_)[-1] == "charge.canceled"


def test_one_that_waits_for_its_customer_has_a_day_unless_it_says_otherwise(till: Till) -> None:
    id_ = awaiting(till)
    row = till.row(id_)
    assert row["expires_at"] - row["created_at"] >= timedelta(days=1)
    till.time_passes(timedelta(hours=23), id_)
    till.settle(till.claim(id_), WAITS)  # a look-up does not put it off
    till.time_passes(timedelta(hours=1), id_)
    till.sweep()
    assert till.row(id_)["cancel_code"] == "expired"


def test_what_the_processor_works_on_by_itself_has_no_end_of_its_own(till: Till) -> None:
    claimed = till.claim(a_charge())
    till.settle(claimed, Pending("sbx_1", "processing"))
    assert till.row(claimed.id)["expires_at"] is None


def test_the_wait_for_a_customer_ends_when_the_customer_has_acted(till: Till) -> None:
    id_ = awaiting(till)
    till.time_passes(timedelta(hours=1), id_)
    till.settle(till.claim(id_), Pending("sbx_1", "processing"))
    row = till.row(id_)
    assert (row["next_action"], row["expires_at"]) == (None, None)
    till.time_passes(timedelta(days=2), id_)
    till.sweep()
    assert till.row(id_)["cancel_requested_at"] is None
    till.settle(till.claim(id_), WAITS)  # something else is to be done
    (row,) = till.query("SELECT expires_at - now() AS rest FROM charges WHERE id = :id", id=id_)
    assert timedelta(hours=23) < row["rest"] <= timedelta(days=1)
    assert till.events(id_) == ["charge.requires_action"] * 2


def test_the_time_a_charge_asked_for_outlasts_the_wait_for_its_customer(till: Till) -> None:
    id_ = awaiting(till, expires_in_s=3600)
    asked_for = till.row(id_)["expires_at"]
    till.time_passes(timedelta(minutes=1), id_)
    till.settle(till.claim(id_), Pending("sbx_1", "processing"))
    row = till.row(id_)
    assert (row["next_action"], row["expires_at"]) == (None, asked_for - timedelta(minutes=1))


def test_an_end_that_was_reached_is_not_forgotten_when_the_customer_acts(till: Till) -> None:
    id_ = awaiting(till)
    till.time_passes(timedelta(days=1), id_)
    till.sweep()
    till.settle(till.claim(id_), Pending("sbx_1", "processing"))
    row = till.row(id_)
    assert (row["cancel_code"], row["expires_at"] is None) == ("expired", False)


@pytest.mark.parametrize("found", [Unavailable("down"), TIMEOUT])
def test_a_look_up_without_an_answer_changes_nothing_of_the_wait(
    till: Till, found: Outcome
) -> None:
    id_ = awaiting(till)
    till.time_passes(timedelta(hours=1), id_)
    before = till.row(id_)
    till.settle(till.claim(id_), found)
    row = till.row(id_)
    for name in ("next_action", "expires_at"):
        assert row[name] == before[name] is not None


def test_one_that_was_never_sent_in_time_is_not_sent_any_more(till: Till) -> None:
    """Workers were away: nobody swept, and a message comes."""
    price = till.price(stock=2)
    sale = a_sale(price, 2, expires_in_s=60)
    till.accept(sale)
    till.time_passes(timedelta(minutes=2), sale.id)
    claimed = till.claim(sale.id)
    assert claimed.is_to_end
    till.settle(claimed, NeverHeardOf())
    assert till.row(sale.id)["failure_code"] == "expired"
    assert till.stock(price) == 2


def test_the_sweep_ends_what_was_never_sent_at_once(till: Till) -> None:
    price = till.price(stock=2)
    sale = a_sale(price, 2, expires_in_s=60)
    till.accept(sale)
    till.time_passes(timedelta(minutes=2), sale.id)
    till.sweep()
    assert till.events(sale.id) == CANCELED
    assert till.stock(price) == 2


def test_a_sweep_waits_for_nobody(till: Till) -> None:
    """Neither for a charge that somebody holds nor for its price."""
    price = till.price(stock=2)
    held, sale = a_charge(expires_in_s=60), a_sale(price, expires_in_s=60)
    till.accept(held, sale)
    till.time_passes(timedelta(minutes=2), held.id, sale.id)
    with till.engine.begin() as holder:
        holder.exec_driver_sql(f"SELECT 1 FROM charges WHERE id = '{held.id}' FOR UPDATE")
        holder.exec_driver_sql(f"SELECT 1 FROM prices WHERE id = '{price}' FOR UPDATE")
        till.sweep()
    assert [till.stand(id_) for id_ in (held.id, sale.id)] == ["queued", "queued"]
    till.sweep()
    assert [till.stand(id_) for id_ in (held.id, sale.id)] == ["failed", "failed"]


def test_a_held_refund_holds_up_the_end_of_its_own_charge_only(till: Till) -> None:
    held, other, sent = (a_charge(expires_in_s=60) for _ in range(3))
    refunds = [a_refund(one) for one in (held, other, sent)]
    till.accept(held, other, sent, *refunds)
    for one in refunds:
        till.submit(one.id)  # it finds that its charge is not final, and waits
    till.settle(till.claim(sent.id), WAITS)
    till.time_passes(timedelta(minutes=2), held.id, other.id, sent.id)
    with till.engine.begin() as holder:
        for one in (refunds[0], refunds[2]):
            holder.exec_driver_sql(f"SELECT 1 FROM refunds WHERE id = '{one.id}' FOR UPDATE")
        assert refunds[1].id in till.sweep().refunds
    assert [till.stand(one.id) for one in (held, other)] == ["queued", "failed"]
    assert till.row(sent.id)["cancel_code"] == "expired"  # that wakes no refund yet
    till.sweep()
    assert till.stand(held.id) == "failed"


def test_a_sweep_that_finds_nothing_over_has_ended_nothing(till: Till) -> None:
    with till.database.transaction() as transaction:
        assert cancels.cancel_expired(transaction, limit=0) == 0


@every(
    "what, may_expire",
    [
        ({}, True),
        ({"expires_at": None}, False),
        ({"expires_at": NOW + MINUTE}, False),
        ({"state": "succeeded", "phase": None}, False),
        ({"cancel_requested_at": NOW}, False),
        ({"phase": "needs_review"}, False),
        ({"phase": "authorized"}, False),
        ({"phase": "authorized", "capture_before": NOW}, True),
    ],
    ids=str,
)
def test_what_changed_while_the_sweep_came_to_it_does_not_expire(
    what: dict[str, Any], may_expire: bool
) -> None:
    over = {
        "now": NOW, "expires_at": NOW, "capture_before": None, "state": "pending",
        "phase": "queued", "cancel_requested_at": None,
    }  # fmt: skip
    row: Any = SimpleNamespace(**over | what)
    assert cancels.may_expire(row) is may_expire


def test_what_needs_a_person_does_not_expire(till: Till) -> None:
    claimed = till.claim(a_charge(expires_in_s=60))
    till.settle(claimed, TIMEOUT)
    till.put("UPDATE charges SET expires_at = NULL WHERE id = :id", id=claimed.id)
    till.time_passes(timedelta(days=1), claimed.id)
    till.settle(till.claim(claimed.id), NeverHeardOf())
    till.put("UPDATE charges SET expires_at = now() - interval '1 s' WHERE id = :id", id=claimed.id)
    till.sweep()
    assert till.stand(claimed.id) == "needs_review"
    assert till.row(claimed.id)["cancel_requested_at"] is None


def test_a_customer_who_came_back_in_time_pays(till: Till) -> None:
    id_ = awaiting(till, expires_in_s=3600)
    till.time_passes(timedelta(hours=1), id_)
    till.sweep()
    till.settle(till.claim(id_), SUCCEEDED)
    assert till.events(id_)[-1] == "charge.succeeded"


# --- What the customer has to do ---


def test_the_customer_is_told_of_once_per_thing_to_do(till: Till) -> None:
    id_ = awaiting(till)
    assert till.row(id_)["next_action"] == {
        "type": "redirect_to_url",
        "url": "https://pay.example/1",
        "expires_at": None,
    }
    till.time_passes(timedelta(minutes=1), id_)
    till.settle(till.claim(id_), WAITS)
    assert till.events(id_) == ["charge.requires_action"]
    till.time_passes(timedelta(minutes=1), id_)
    another = NextAction("redirect_to_url", "https://pay.example/2")
    till.settle(till.claim(id_), Pending("sbx_1", REQUIRES_ACTION, another))
    assert till.events(id_) == ["charge.requires_action"] * 2
    till.time_passes(timedelta(minutes=5), id_)
    till.settle(till.claim(id_), SUCCEEDED)
    assert till.row(id_)["next_action"] is None


def test_a_processor_that_canceled_by_itself_is_believed(till: Till) -> None:
    id_ = awaiting(till)
    assert till.report(id_, Canceled("sbx_1")) == 1
    assert till.row(id_)["failure_code"] == "canceled"
    assert till.events(id_)[-1] == "charge.canceled"


def test_a_report_that_comes_while_it_is_canceled_wins(till: Till) -> None:
    id_ = awaiting(till)
    till.cancel(id_)
    asking = till.claim(id_)
    till.report(id_, SUCCEEDED)
    assert till.settle(asking, Canceled())["state"] == "succeeded"
    assert till.attempts(id_) == [
        ("charge", "pending"), ("cancel", "overtaken"), ("report", "succeeded"),
    ]  # fmt: skip


# --- With the sandbox ---


@pytest.fixture
def shop(shared_engine: Any) -> Shop:
    return Shop(shared_engine)


@pytest.mark.parametrize(
    ("method", "state", "code"),
    [
        ("pm_sandbox_requires_action", "failed", "canceled"),
        ("pm_sandbox_cancel_too_late", "succeeded", None),
        ("pm_sandbox_cancel_timeout_after", "failed", "canceled"),
        ("pm_sandbox_cancel_timeout_before", "failed", "canceled"),
        ("pm_sandbox_cancel_error_after", "failed", "canceled"),
        ("pm_sandbox_cancel_unavailable_2", "failed", "canceled"),
        ("pm_sandbox_timeout_after", "succeeded", None),
        ("pm_sandbox_timeout_before", "failed", "canceled"),
        ("pm_sandbox_unavailable_2", "failed", "canceled"),
        ("pm_sandbox_late_success", "succeeded", None),
    ],
)
def test_whatever_goes_wrong_the_charge_ends_as_the_processor_has_it(
    shop: Shop, method: str, state: str, code: str | None
) -> None:
    request = a_charge(payment_method_id=method)
    assert shop.executor.create(request).state == "pending"
    shop.executor.cancel(Cancellation(request.id, acting=by("tests")))
    assert shop.go_on(request.id) == state
    assert shop.till.row(request.id)["failure_code"] == code
    assert shop.moved(request.id) == ([("charge", 1000)] if state == "succeeded" else [])


def test_a_charge_that_never_arrives_anywhere_ends_with_a_person(shop: Shop) -> None:
    request = a_charge(payment_method_id="pm_sandbox_lost")
    shop.executor.create(request)
    shop.executor.cancel(Cancellation(request.id, acting=by("tests")))
    shop.time_passes(timedelta(days=1), request.id)
    assert shop.go_on(request.id) == "needs_review"


def test_a_call_that_arrives_after_the_end_moves_nothing(shop: Shop) -> None:
    """The worker was stopped before its call, for longer than its lease."""
    (begun,) = shop.till.create(a_charge())
    assert isinstance(begun, Claimed)
    shop.time_passes(MINUTE, begun.id)
    shop.till.sweep()
    shop.executor.cancel(Cancellation(begun.id, acting=by("tests")))
    assert shop.till.stand(begun.id) == "failed"
    late = shop.processor.charge(begun.order, deadline_s=5.0)
    assert isinstance(late, Canceled)
    assert shop.moved(begun.id) == []


def test_an_adapter_that_breaks_while_it_cancels_leaves_it_in_doubt(shop: Shop) -> None:
    class Breaks:
        name, key_window = shop.processor.name, shop.processor.key_window
        livemode = shop.processor.livemode

        def cancel(self, *_: Any, **__: Any) -> Any:
            raise ValueError("4242424242424242")

    request = a_charge(payment_method_id="pm_sandbox_timeout_before")
    shop.executor.create(request)
    broken = shop.executor_with(Breaks())
    assert broken.cancel(Cancellation(request.id, acting=by("tests"))).phase == "unknown"
    assert shop.till.attempts(request.id)[-1] == ("cancel", "unknown")


def test_cancel_takes_lists_of_any_size(till: Till) -> None:
    with till.database.transaction() as transaction:
        assert cancels.cancel(transaction, []) == []


def test_unknown_is_asked_again_by_cancelling(till: Till) -> None:
    claimed = till.claim(a_charge())
    till.settle(claimed, Unknown("timeout"))
    till.cancel(claimed.id)
    till.settle(till.claim(claimed.id), Unknown("timeout"))
    assert till.stand(claimed.id) == "unknown"
    till.time_passes(timedelta(minutes=1), claimed.id)
    assert till.claim(claimed.id).is_to_end


# --- With several processors ---


def test_a_charge_is_canceled_at_the_processor_that_it_names(till: Till) -> None:
    """A worker that has no such processor leaves it alone; what was never sent needs none."""
    request, unsent = a_charge(), a_charge()
    with till.database.transaction() as transaction:
        for one in (request, unsent):
            charges.accept(transaction, [charges.NewCharge(one, "elsewhere")])
    till.put("UPDATE charges SET first_called_at = now() WHERE id = :id", id=request.id)
    till.cancel(request.id)
    assert is_left_alone(till.submit(request.id)[0])
    till.cancel(unsent.id)
    assert (till.stand(request.id), till.stand(unsent.id)) == ("queued", "failed")
