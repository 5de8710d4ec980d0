"""When a charge is made, and until when a request is wanted."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from infra.billing.contract.limits import BEHIND_MAX, MOMENT_AHEAD_MAX
from payments.intake.timing import Timing
from payments.lifecycle.accepting import charges, refunds
from payments.lifecycle.cancels import Cancellation
from payments.lifecycle.claims import Claimed, NotDue
from payments.lifecycle.database_steps import Begin
from payments.lifecycle.refund_claims import CHARGE_PENDING_S
from payments.payment_errors import InvalidRequest, KeyReused, RequestExpired
from tests.support.acting import by
from tests.support.factories import Till, a_charge, a_lease, a_refund, a_sale, is_left_alone


def ahead(**duration: float) -> datetime:
    return datetime.now(UTC) + timedelta(**duration)


def by_message(till: Till, request: Any, timing: Timing) -> Any:
    """What the broker's door does with a message that says something of time."""
    lease = a_lease()
    if hasattr(request, "charge_id"):
        new: Any = refunds.NewRefund(request, "sandbox", timing=timing)
    else:
        new = charges.NewCharge(request, "sandbox", lease, timing=timing)
    (begun,) = till.begin(Begin(lease, new=new, task_id="t-1"))
    return begun


def test_a_charge_is_made_at_the_moment_it_asked_for(till: Till) -> None:
    at = ahead(hours=2)
    request = a_charge(scheduled_at=at.isoformat())
    till.accept(request)
    row = till.row(request.id)
    assert (row["phase"], row["scheduled_at"], row["next_attempt_at"]) == ("queued", at, at)
    assert request.id not in till.wakes.charges
    assert request.id not in till.sweep().charges
    assert is_left_alone(till.submit(request.id)[0])
    till.time_passes(timedelta(hours=2), request.id)
    assert request.id in till.sweep().charges
    assert isinstance(till.submit(request.id)[0], Claimed)


def test_by_message_it_is_accepted_and_not_claimed(till: Till) -> None:
    request = a_charge(scheduled_at=ahead(hours=2).isoformat())
    (begun,) = till.create(request)
    assert isinstance(begun, NotDue)
    row = till.row(request.id)
    assert (row["phase"], row["lease_token"], row["worker"]) == ("queued", None, None)
    assert (row["attempts"], row["first_called_at"]) == (0, None)


def test_a_moment_that_has_passed_is_now(till: Till) -> None:
    request = a_charge(scheduled_at=ahead(days=-6).isoformat())
    (begun,) = till.create(request)
    assert isinstance(begun, Claimed)
    later = a_charge(scheduled_at=ahead(days=-6).isoformat())
    till.accept(later)
    assert later.id in till.wakes.charges


def test_a_scheduled_charge_holds_its_stock_and_can_be_canceled(till: Till) -> None:
    price = till.price(stock=2)
    sale = a_sale(price, 2, scheduled_at=ahead(days=30).isoformat())
    till.accept(sale)
    assert till.stock(price) == 0
    till.cancel(sale.id)
    assert (till.stand(sale.id), till.stock(price)) == ("failed", 2)


def test_its_time_to_wait_counts_from_that_moment(till: Till) -> None:
    at = ahead(days=2)
    request = a_charge(scheduled_at=at.isoformat(), expires_in_s=3600)
    till.accept(request)
    assert till.row(request.id)["expires_at"] == at + timedelta(hours=1)


def test_a_refund_of_a_scheduled_charge_is_not_looked_at_before_it(till: Till) -> None:
    request = a_charge(scheduled_at=ahead(hours=2).isoformat())
    refund = a_refund(request)
    till.accept(request, refund)
    till.submit(refund.id)
    row = till.row(refund.id)
    assert row["next_attempt_at"] - row["created_at"] > timedelta(seconds=2 * CHARGE_PENDING_S)


@pytest.mark.parametrize(
    "value",
    ["tomorrow", "2026-12-01", "2026-12-01T08:00:00", 1764547200, "2026-13-01T08:00:00Z", True],
)
def test_what_is_no_moment_is_refused_with_the_fix(value: Any) -> None:
    with pytest.raises(InvalidRequest, match="scheduled_at must be a moment with its zone"):
        a_charge(scheduled_at=value)


def test_more_than_a_year_ahead_is_a_mistake() -> None:
    a_charge(scheduled_at=(ahead() + MOMENT_AHEAD_MAX - timedelta(minutes=1)).isoformat())
    for at in (
        (ahead() + MOMENT_AHEAD_MAX + timedelta(minutes=1)).isoformat(),
        "9999-12-31T23:59:59Z",
    ):
        with pytest.raises(InvalidRequest, match="at most 366 days ahead"):
            a_charge(scheduled_at=at)


def test_more_than_a_week_past_is_a_mistake_and_not_a_charge_at_once() -> None:
    a_charge(scheduled_at=(ahead() - BEHIND_MAX + timedelta(minutes=1)).isoformat())
    for at in ((ahead() - BEHIND_MAX - timedelta(minutes=1)).isoformat(), "2020-11-30T08:00:00Z"):
        with pytest.raises(InvalidRequest, match="more than 7 days past; leave it out"):
            a_charge(scheduled_at=at)


@pytest.mark.parametrize("value", [0, -1, 366 * 86_400 + 1, 1.5, "60", True])
def test_a_time_to_wait_has_bounds(value: Any) -> None:
    with pytest.raises(InvalidRequest, match="expires_in_s must be"):
        a_charge(expires_in_s=value)


def test_the_same_moment_in_another_zone_is_the_same_request(till: Till) -> None:
    at = ahead(hours=2).replace(microsecond=0)
    request = a_charge(scheduled_at=at.isoformat())
    till.accept(request)
    elsewhere = at.astimezone(datetime.fromisoformat("2026-01-01T00:00:00+02:00").tzinfo)
    key = request.idempotency_key
    (again,) = till.accept(a_charge(scheduled_at=elsewhere.isoformat(), idempotency_key=key))
    assert isinstance(again, charges.Accepted)
    assert not again.fresh
    (other,) = till.accept(a_charge(scheduled_at=ahead(hours=3).isoformat(), idempotency_key=key))
    assert isinstance(other, KeyReused)


def test_requests_that_say_nothing_of_time_are_what_they_were() -> None:
    """The repeats of requests that are older than these fields are the same requests."""
    asked = a_charge().asked()
    assert not {"scheduled_at", "expires_in_s"} & asked.keys()


# --- What a message says ---


def test_an_eta_is_no_part_of_the_request(till: Till) -> None:
    """A countdown comes to another moment each time."""
    request = a_charge()
    at = ahead(hours=1)
    assert isinstance(by_message(till, request, Timing(not_before=at)), NotDue)
    again = by_message(till, request, Timing(not_before=ahead(hours=2)))
    assert isinstance(again, NotDue)
    assert till.row(request.id)["scheduled_at"] == at


def test_an_eta_that_has_passed_is_now(till: Till) -> None:
    assert isinstance(by_message(till, a_charge(), Timing(not_before=ahead(hours=-1))), Claimed)


def test_only_charges_can_be_put_off(till: Till) -> None:
    charge_id, pending = till.charged(), a_charge()
    till.accept(pending)
    refund, later = a_refund(charge_id), Timing(not_before=ahead(hours=1))
    refused = by_message(till, refund, later)
    (not_canceled,) = till.cancel_all(Cancellation(pending.id, acting=by("tests"), timing=later))
    for one in (refused, not_canceled):
        assert isinstance(one, InvalidRequest)
        assert str(one).startswith("eta and countdown are for charges only")
    assert till.stand(pending.id) == "queued"
    assert isinstance(by_message(till, refund, Timing(not_before=ahead(hours=-1))), Claimed)
    # A repeat of what is there is answered, whenever it is to be made.
    assert isinstance(by_message(till, refund, later), NotDue)


def test_an_eta_is_at_most_a_year_ahead(till: Till) -> None:
    request = a_charge()
    refused = by_message(till, request, Timing(not_before=ahead(days=366, minutes=1)))
    assert isinstance(refused, InvalidRequest)
    assert str(refused) == "eta must be at most 366 days ahead"
    assert isinstance(by_message(till, request, Timing(not_before=ahead(days=365))), NotDue)


def test_what_came_too_late_is_refused_and_nothing_is_written(till: Till) -> None:
    request, refund = a_charge(), a_refund(till.charged())
    late = Timing(good_until=ahead(seconds=-1))
    for one in (request, refund):
        assert isinstance(by_message(till, one, late), RequestExpired)
    assert not till.rows([request.id, refund.id])
    for one in (request, refund):
        in_time = by_message(till, one, Timing(good_until=ahead(hours=1)))
        assert isinstance(in_time, Claimed)


def test_what_was_accepted_in_time_stays_accepted(till: Till) -> None:
    """The same message once more, after a crash, when its time is up."""
    request = a_charge()
    by_message(till, request, Timing(good_until=ahead(hours=1)))
    again = by_message(till, request, Timing(good_until=ahead(seconds=-1)))
    assert isinstance(again, NotDue)


def test_a_sale_that_came_too_late_takes_no_stock_from_others(till: Till) -> None:
    price = till.price(stock=1)
    late, good = a_sale(price), a_sale(price)
    lease = a_lease()
    items = [
        charges.NewCharge(late, "sandbox", lease, timing=Timing(good_until=ahead(seconds=-1))),
        charges.NewCharge(good, "sandbox"),
    ]
    with till.database.transaction() as transaction:
        refused, accepted = charges.accept(transaction, items)
    assert isinstance(refused, RequestExpired)
    assert isinstance(accepted, charges.Accepted)


def test_a_cancellation_that_came_too_late_changes_nothing(till: Till) -> None:
    request = a_charge()
    till.accept(request)
    late = Timing(good_until=ahead(seconds=-1))
    (refused,) = till.cancel_all(Cancellation(request.id, acting=by("tests"), timing=late))
    assert isinstance(refused, RequestExpired)
    assert till.stand(request.id) == "queued"
    till.cancel(request.id)
    (row,) = till.cancel_all(Cancellation(request.id, acting=by("tests"), timing=late))
    assert not isinstance(row, Exception)
