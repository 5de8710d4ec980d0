"""What every processor behind the port has to keep, whoever wrote its adapter.

Everything here can be summed up in one line: whatever goes wrong on the road, money moves once
per key, and whoever asks afterwards hears the truth.
"""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from threading import Barrier

import pytest

from infra.billing.contract.failures import DECLINES
from infra.billing.contract.money import AMOUNT_MAX
from payments.processors.outcomes import (
    Canceled,
    Declined,
    Disputed,
    NotFound,
    Pending,
    Succeeded,
    Unavailable,
    Unknown,
)
from payments.processors.port import EventRefused
from payments.processors.registry import Processors
from tests.support.processors import (
    Rig,
    at_once,
    cancel,
    charge_that,
    event_of,
    look_up,
    send,
    taken,
    waiting,
)
from tests.support.sandbox import a_charge, a_refund
from tests.support.waiting import patience_s, slowness

LONG_ENOUGH = timedelta(minutes=1)


# --- one key, one movement --------------------------------------------------------------------


def test_a_charge_moves_its_amount_once_and_names_the_processors_id(rig: Rig) -> None:
    charge = charge_that(rig, "succeeds")
    outcome = send(rig.processor, charge)
    assert isinstance(outcome, Succeeded)
    assert outcome.reference
    assert rig.moved(charge) == [("charge", 1000)]
    assert look_up(rig, charge) == outcome


def test_two_charges_have_two_references(rig: Rig) -> None:
    assert look_up(rig, taken(rig)) != look_up(rig, taken(rig))


def test_the_same_key_twice_moves_money_once_and_is_answered_alike(rig: Rig) -> None:
    charge = charge_that(rig, "succeeds")
    assert send(rig.processor, charge) == send(rig.elsewhere, charge)
    assert rig.moved(charge) == [("charge", 1000)]


def test_the_same_key_from_sixteen_threads_at_once_moves_money_once(rig: Rig) -> None:
    charge = charge_that(rig, "succeeds")
    answers = at_once(rig, [charge] * 16)
    assert len(set(answers)) == 1
    assert isinstance(answers[0], Succeeded)
    assert rig.moved(charge) == [("charge", 1000)]


def test_a_refund_repeated_at_once_goes_back_once(rig: Rig) -> None:
    refund = a_refund(taken(rig), amount=400)
    assert len(set(at_once(rig, [refund] * 16))) == 1
    assert rig.moved(refund) == [("refund", 400)]


@pytest.mark.parametrize(
    "changes", [{"amount": 999}, {"currency": "EUR"}, {"customer_id": "cus_x"}]
)
def test_a_key_with_another_request_moves_nothing_and_nobody_calls_it_failed(
    rig: Rig, changes: dict[str, object]
) -> None:
    charge = taken(rig)
    assert isinstance(send(rig.processor, replace(charge, **changes)), Unknown)  # type: ignore[arg-type]
    assert rig.moved(charge) == [("charge", 1000)]


def test_looking_up_another_amount_than_was_charged_is_no_success(rig: Rig) -> None:
    charge = taken(rig)
    assert isinstance(look_up(rig, replace(charge, amount=999)), Unknown)


@pytest.mark.parametrize(
    ("amount", "currency"), [(1, "JPY"), (1999, "USD"), (1001, "KWD"), (AMOUNT_MAX, "USD")]
)
def test_amounts_arrive_to_the_last_minor_unit(rig: Rig, amount: int, currency: str) -> None:
    amount = payable(rig, amount, currency)
    charge = taken(rig, amount=amount, currency=currency)
    assert rig.moved(charge) == [("charge", amount)]


def payable(rig: Rig, amount: int, currency: str) -> int:
    """The amount, or the nearest that the processor takes."""
    limit = Processors(rig.processor).limits[rig.processor.name].of(currency)
    assert limit is not None
    within = min(max(amount, limit.least), limit.most or AMOUNT_MAX)
    return within // limit.multiple_of * limit.multiple_of


# --- what goes wrong on the road --------------------------------------------------------------


@pytest.mark.parametrize("happening", ["timeout after", "error after"])
def test_a_charge_whose_answer_was_lost_is_unknown_then_found(rig: Rig, happening: str) -> None:
    charge = charge_that(rig, happening)
    assert isinstance(send(rig.processor, charge), Unknown)
    assert isinstance(look_up(rig, charge), Succeeded)
    assert send(rig.processor, charge) == look_up(rig, charge)
    assert rig.moved(charge) == [("charge", 1000)]


def test_a_charge_that_never_arrived_is_unknown_then_not_found_and_may_be_sent_again(
    rig: Rig,
) -> None:
    charge = charge_that(rig, "timeout before")
    assert isinstance(send(rig.processor, charge), Unknown)
    assert look_up(rig, charge) == NotFound()
    assert rig.moved(charge) == []
    assert isinstance(send(rig.processor, charge), Succeeded)
    assert rig.moved(charge) == [("charge", 1000)]


@pytest.mark.parametrize("happening", ["unavailable", "rate limited"])
def test_unavailable_is_a_promise_that_nothing_was_executed(rig: Rig, happening: str) -> None:
    charge = charge_that(rig, happening)
    assert isinstance(send(rig.processor, charge), Unavailable)
    assert look_up(rig, charge) == NotFound()
    assert rig.moved(charge) == []
    assert isinstance(send(rig.processor, charge), Succeeded)
    assert rig.moved(charge) == [("charge", 1000)]


def test_rate_limits_say_when_to_come_back(rig: Rig) -> None:
    outcome = send(rig.processor, charge_that(rig, "rate limited"))
    assert isinstance(outcome, Unavailable)
    assert outcome.retry_after_s is not None
    assert outcome.retry_after_s > 0


def test_a_call_ends_at_its_deadline_and_its_outcome_is_unknown(rig: Rig) -> None:
    charge = charge_that(rig, "slow")
    deadline_s = 0.5 * slowness()  # in which it must have been sent
    assert isinstance(rig.processor.charge(charge, deadline_s=deadline_s), Unknown)
    assert sum(rig.naps) <= deadline_s
    assert isinstance(look_up(rig, charge), Succeeded)


def test_a_decline_moves_nothing_and_stays_declined(rig: Rig) -> None:
    charge = charge_that(rig, "declined")
    outcome = send(rig.processor, charge)
    assert isinstance(outcome, Declined)
    assert outcome.code in DECLINES
    assert outcome.processor_code
    assert outcome.message
    assert send(rig.processor, charge) == look_up(rig, charge) == outcome
    assert rig.moved(charge) == []


def test_what_was_never_sent_is_not_found(rig: Rig) -> None:
    assert look_up(rig, a_charge()) == NotFound()
    assert look_up(rig, a_refund(taken(rig))) == NotFound()


# --- refunds ----------------------------------------------------------------------------------


def test_partial_refunds_go_back_until_nothing_is_left(rig: Rig) -> None:
    charge = taken(rig)
    for amount in (300, 300, 400):
        assert isinstance(send(rig.processor, a_refund(charge, amount=amount)), Succeeded)
    refund = a_refund(charge, amount=1)
    outcome = send(rig.processor, refund)
    assert isinstance(outcome, Declined)
    assert outcome.code == "refund_declined"
    assert rig.moved(refund) == []


def test_refunds_raced_against_one_charge_never_exceed_it(rig: Rig) -> None:
    charge = taken(rig)
    refunds = [a_refund(charge, amount=300) for _ in range(10)]
    answers = at_once(rig, refunds)
    assert sum(isinstance(answer, Succeeded) for answer in answers) == 3
    assert sum(amount for refund in refunds for _, amount in rig.moved(refund)) == 900


@pytest.mark.parametrize("happening", ["declined", "timeout before", "late success"])
def test_money_that_was_not_taken_is_not_given_back(rig: Rig, happening: str) -> None:
    charge = charge_that(rig, happening)
    send(rig.processor, charge)
    refund = a_refund(charge)
    assert isinstance(send(rig.processor, refund), Declined)
    assert rig.moved(refund) == []


def test_a_refund_of_a_charge_nobody_knows_is_declined(rig: Rig) -> None:
    assert isinstance(send(rig.processor, a_refund(a_charge())), Declined)


def test_a_refund_in_another_currency_is_no_success(rig: Rig) -> None:
    outcome = send(rig.processor, a_refund(taken(rig), currency="EUR"))
    assert isinstance(outcome, Declined if rig.refunds_have_a_currency else Unknown)


def test_a_refund_whose_answer_was_lost_is_unknown_then_found(rig: Rig) -> None:
    refund = a_refund(taken(rig, "refund timeout after"), amount=400)
    assert isinstance(send(rig.processor, refund), Unknown)
    assert isinstance(look_up(rig, refund), Succeeded)
    assert send(rig.processor, refund) == look_up(rig, refund)
    assert rig.moved(refund) == [("refund", 400)]


def test_a_refused_refund_leaves_the_money_where_it_is(rig: Rig) -> None:
    refund = a_refund(taken(rig, "refund fails"))
    assert isinstance(send(rig.processor, refund), Declined)
    assert rig.moved(refund) == []


# --- cancellations ----------------------------------------------------------------------------


def test_a_charge_that_waits_for_its_customer_is_canceled_once_for_ever(rig: Rig) -> None:
    charge = waiting(rig)
    canceled = cancel(rig, charge)
    assert isinstance(canceled, Canceled)
    assert cancel(rig, charge) == look_up(rig, charge) == send(rig.processor, charge) == canceled
    assert rig.moved(charge) == []


@pytest.mark.parametrize("happening", ["succeeds", "declined"])
def test_what_has_ended_before_says_how(rig: Rig, happening: str) -> None:
    charge = charge_that(rig, happening)
    ended = send(rig.processor, charge)
    assert cancel(rig, charge) == ended
    assert look_up(rig, charge) == ended


def test_money_that_moved_meanwhile_wins(rig: Rig) -> None:
    charge = waiting(rig, "cancel too late")
    assert isinstance(cancel(rig, charge), Succeeded)
    assert rig.moved(charge) == [("charge", 1000)]


def test_what_the_processor_works_on_by_itself_goes_on(rig: Rig) -> None:
    charge = charge_that(rig, "late success")
    pending = send(rig.processor, charge)
    assert cancel(rig, charge) == pending
    rig.time_passes(LONG_ENOUGH)
    assert isinstance(cancel(rig, charge), Succeeded)
    assert rig.moved(charge) == [("charge", 1000)]


def test_a_canceled_key_that_was_never_heard_of_moves_nothing_any_more(rig: Rig) -> None:
    charge = a_charge()
    answer = cancel(rig, charge)
    if answer == NotFound():
        pytest.skip(f"{rig.processor.name} can't close a key that it does not know")
    assert isinstance(answer, Canceled)
    assert send(rig.processor, charge) == look_up(rig, charge) == answer
    assert rig.moved(charge) == []


@pytest.mark.parametrize("happening", ["timeout before", "unavailable twice"])
def test_a_charge_that_never_arrived_is_closed(rig: Rig, happening: str) -> None:
    charge = charge_that(rig, happening)
    send(rig.processor, charge)
    answer = cancel(rig, charge)
    assert isinstance(answer, Canceled | NotFound)
    if isinstance(answer, Canceled):
        assert send(rig.processor, charge) == answer
        assert rig.moved(charge) == []


@pytest.mark.parametrize(
    ("happening", "answer"),
    [
        ("cancel timeout after", Unknown),
        ("cancel timeout before", Unknown),
        ("cancel error after", Unknown),
        ("cancel unavailable twice", Unavailable),
    ],
)
def test_a_cancellation_that_goes_wrong_is_asked_for_again(
    rig: Rig, happening: str, answer: type
) -> None:
    charge = waiting(rig, happening)
    assert isinstance(cancel(rig, charge), answer)
    answers = [cancel(rig, charge) for _ in range(2)]
    assert isinstance(answers[-1], Canceled)
    assert look_up(rig, charge) == answers[-1]
    assert rig.moved(charge) == []


def test_cancellations_raced_against_the_charge_agree_with_it(rig: Rig) -> None:
    charge = charge_that(rig, "succeeds")
    gate = Barrier(8)

    def go(place: int) -> object:
        gate.wait(timeout=patience_s())
        return cancel(rig, charge) if place % 2 else send(rig.processor, charge)

    with ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(go, range(8)))
    if NotFound() not in answers:
        assert len(set(map(repr, answers))) == 1
        moved = isinstance(answers[0], Succeeded)
        assert rig.moved(charge) == ([("charge", 1000)] if moved else [])


# --- what the processor tells by itself -------------------------------------------------------


def test_a_late_success_is_pending_then_told_by_look_up_and_by_event(rig: Rig) -> None:
    charge = charge_that(rig, "late success")
    pending = send(rig.processor, charge)
    assert isinstance(pending, Pending)
    assert look_up(rig, charge) == pending
    assert rig.moved(charge) == []
    rig.time_passes(LONG_ENOUGH)
    succeeded = look_up(rig, charge)
    assert succeeded == Succeeded(pending.reference)
    assert rig.moved(charge) == [("charge", 1000)]
    headers, body = event_of(rig, charge, outcome=Succeeded)
    told = rig.read(headers, body)
    assert told is not None
    assert (told.object_id, told.kind, told.outcome) == (charge.id, "charge", succeeded)


def test_an_event_comes_although_nobody_looked_up(rig: Rig) -> None:
    charge = charge_that(rig, "late success")
    send(rig.processor, charge)
    rig.time_passes(LONG_ENOUGH)
    headers, body = event_of(rig, charge, outcome=Succeeded)
    told = rig.read(headers, body)
    assert told is not None
    assert isinstance(told.outcome, Succeeded)
    assert rig.moved(charge) == [("charge", 1000)]


def test_a_refund_that_the_bank_returns_is_told_and_the_money_is_ours_again(rig: Rig) -> None:
    charge = taken(rig, "refund fails later")
    refund = a_refund(charge)
    assert isinstance(send(rig.processor, refund), Succeeded)
    rig.time_passes(LONG_ENOUGH)
    headers, body = event_of(rig, refund, outcome=Declined)
    told = rig.read(headers, body)
    assert told is not None
    assert (told.object_id, told.kind) == (refund.id, "refund")
    assert isinstance(told.outcome, Declined)
    assert told.outcome.code == "refund_failed"
    assert rig.moved(refund) == [("refund", 1000), ("reversal", 1000)]
    assert look_up(rig, refund) == told.outcome
    # What came back may be refunded again.
    assert isinstance(send(rig.processor, a_refund(charge)), Succeeded)


def test_a_dispute_is_told_of_its_charge(rig: Rig) -> None:
    charge = taken(rig, "disputed")
    rig.time_passes(LONG_ENOUGH)
    told = rig.read(*event_of(rig, charge, outcome=Disputed))
    assert told is not None
    assert (told.object_id, told.kind) == (charge.id, "dispute")
    assert isinstance(told.outcome, Disputed)
    assert (told.outcome.state, told.outcome.amount) == ("needs_response", 1000)
    assert told.outcome.respond_by is not None
    assert told.outcome.respond_by > told.outcome.told_at


def an_event(rig: Rig) -> tuple[dict[str, str], bytes]:
    charge = charge_that(rig, "late success")
    send(rig.processor, charge)
    rig.time_passes(LONG_ENOUGH)
    headers, body = event_of(rig, charge, outcome=Succeeded)
    return dict(headers), body


def test_an_event_with_one_changed_byte_is_refused(rig: Rig) -> None:
    headers, body = an_event(rig)
    middle = len(body) // 2
    flipped = body[:middle] + bytes([body[middle] ^ 1]) + body[middle + 1 :]
    for changed in (flipped, body + b" ", b""):
        with pytest.raises(EventRefused):
            rig.read(headers, changed)


def test_an_event_whose_signature_is_missing_or_foreign_is_refused(rig: Rig) -> None:
    headers, body = an_event(rig)
    ours = {name for name, value in headers.items() if len(value) >= 32}
    for forged in ("", "t=1,v1=00", "t=é,v1=\udcff", headers[min(ours)][:-1] + "x"):
        with pytest.raises(EventRefused):
            rig.read({**headers, **dict.fromkeys(ours, forged)}, body)
    with pytest.raises(EventRefused):
        rig.read({}, body)


def test_event_headers_are_read_in_any_case(rig: Rig) -> None:
    headers, body = an_event(rig)
    shouted = {name.upper(): value for name, value in headers.items()}
    assert rig.read(shouted, body) == rig.read(headers, body)


# --- the promise about keys -------------------------------------------------------------------


def test_a_key_is_remembered_until_the_end_of_its_window(rig: Rig) -> None:
    charge = taken(rig)
    rig.time_passes(rig.processor.key_window - timedelta(minutes=1))
    assert send(rig.processor, charge) == look_up(rig, charge)
    assert rig.moved(charge) == [("charge", 1000)]


def test_what_happened_can_be_looked_up_long_after_the_window(rig: Rig) -> None:
    charge = taken(rig)
    rig.time_passes(rig.processor.key_window * 10)
    assert isinstance(look_up(rig, charge), Succeeded)
