"""What every processor has to keep that can set money aside and take it later."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from threading import Barrier

import pytest

from payments.processors.outcomes import (
    Authorized,
    Canceled,
    Declined,
    NotFound,
    Succeeded,
    Unavailable,
    Unknown,
)
from payments.processors.port import Order
from tests.support.every import every
from tests.support.processors import (
    Rig,
    at_once,
    authorized,
    authorized_in_parts,
    cancel,
    look_up,
    send,
    waiting,
)
from tests.support.sandbox import a_capture, a_refund
from tests.support.waiting import patience_s


def captured(outcome: object) -> int | None:
    """What was taken in all, by an answer."""
    assert isinstance(outcome, Succeeded | Authorized), outcome
    return outcome.captured


def test_what_is_set_aside_is_not_taken(rig: Rig) -> None:
    charge = authorized(rig)
    standing = look_up(rig, charge)
    assert isinstance(standing, Authorized)
    assert (standing.captured, standing.reference) == (0, charge.reference)
    assert standing == send(rig.elsewhere, charge)
    assert rig.moved(charge) == []


def test_a_capture_takes_its_amount_once(rig: Rig) -> None:
    charge = authorized(rig)
    capture = a_capture(charge)
    answers = [send(rig.processor, capture), send(rig.elsewhere, capture), look_up(rig, capture)]
    assert answers == [Succeeded(charge.reference or "", 1000)] * 3
    assert look_up(rig, charge) == answers[0]
    assert rig.moved(capture) == [("capture", 1000)]


def test_a_capture_from_sixteen_threads_at_once_takes_its_amount_once(rig: Rig) -> None:
    capture = a_capture(authorized(rig), amount=400)
    assert len(set(at_once(rig, [capture] * 16))) == 1
    assert rig.moved(capture) == [("capture", 400)]


def test_a_final_capture_of_a_part_lets_go_of_the_rest(rig: Rig) -> None:
    charge = authorized(rig)
    assert captured(send(rig.processor, a_capture(charge, amount=400))) == 400
    late = a_capture(charge, amount=1, captured_before=400)
    assert captured(send(rig.processor, late)) == 400
    assert rig.moved(late) == []


def test_captures_in_parts_take_all_of_it_and_no_more(rig: Rig) -> None:
    charge = authorized_in_parts(rig)
    first, second = (a_capture(charge, amount=400, final=False) for _ in range(2))
    assert captured(send(rig.processor, first)) == 400
    too_much = a_capture(charge, amount=601, captured_before=400)
    assert isinstance(send(rig.processor, too_much), Declined)
    assert isinstance(send(rig.processor, second), Authorized)
    last = a_capture(charge, amount=200, captured_before=800)
    assert send(rig.processor, last) == Succeeded(charge.reference or "", 1000)
    assert [rig.moved(one) for one in (first, second, last)] == [
        [("capture", 400)],
        [("capture", 400)],
        [("capture", 200)],
    ]
    assert rig.moved(too_much) == []


def test_a_processor_that_captures_once_declines_parts_and_takes_the_whole(rig: Rig) -> None:
    if rig.captures_in_parts:
        pytest.skip(f"{rig.processor.name} captures in parts")
    charge = authorized(rig)
    part = a_capture(charge, amount=400, final=False)
    assert isinstance(send(rig.processor, part), Declined)
    assert captured(look_up(rig, charge)) == 0
    last, too_late = (a_capture(charge, amount=400) for _ in range(2))
    assert [captured(send(rig.processor, one)) for one in (last, too_late)] == [400, 400]
    assert [rig.moved(one) for one in (part, last, too_late)] == [[], [("capture", 400)], []]


def test_captures_raced_against_one_charge_never_exceed_it(rig: Rig) -> None:
    charge = authorized_in_parts(rig)
    captures = [a_capture(charge, amount=300, final=False) for _ in range(10)]
    answers = at_once(rig, captures)
    assert sum(not isinstance(answer, Declined) for answer in answers) == 3
    assert sum(amount for one in captures for _, amount in rig.moved(one)) == 900


@pytest.mark.parametrize("happening", ["capture timeout after", "capture error after"])
def test_a_capture_whose_answer_was_lost_is_unknown_then_found(rig: Rig, happening: str) -> None:
    capture = a_capture(authorized(rig, happening))
    assert isinstance(send(rig.processor, capture), Unknown)
    assert captured(look_up(rig, capture)) == 1000
    assert send(rig.processor, capture) == look_up(rig, capture)
    assert rig.moved(capture) == [("capture", 1000)]


@every(
    "happening, answer",
    [("capture timeout before", Unknown), ("capture unavailable", Unavailable)],
)
def test_a_capture_that_was_not_executed_is_not_found_and_may_be_sent_again(
    rig: Rig, happening: str, answer: type
) -> None:
    capture = a_capture(authorized(rig, happening))
    assert isinstance(send(rig.processor, capture), answer)
    found = look_up(rig, capture)
    assert found == NotFound() or captured(found) == capture.captured_before
    assert rig.moved(capture) == []
    assert captured(send(rig.processor, capture)) == 1000
    assert rig.moved(capture) == [("capture", 1000)]


def test_a_declined_capture_leaves_the_money_set_aside(rig: Rig) -> None:
    charge = authorized(rig, "capture declined")
    capture = a_capture(charge)
    declined = send(rig.processor, capture)
    assert isinstance(declined, Declined)
    assert declined.code == "capture_declined"
    assert send(rig.processor, capture) == look_up(rig, capture) == declined
    assert isinstance(look_up(rig, charge), Authorized)
    assert rig.moved(capture) == []


def test_a_capture_under_a_key_of_another_amount_takes_nothing_more(rig: Rig) -> None:
    capture = a_capture(authorized(rig), amount=400, final=not rig.captures_in_parts)
    send(rig.processor, capture)
    assert isinstance(send(rig.processor, replace(capture, amount=500)), Unknown)
    assert rig.moved(capture) == [("capture", 400)]


def test_what_was_never_captured_is_not_found(rig: Rig) -> None:
    found = look_up(rig, a_capture(authorized(rig)))
    assert found == NotFound() or captured(found) == 0


# --- letting go -------------------------------------------------------------------------------


def test_a_canceled_authorization_is_let_go_of_and_not_captured_any_more(rig: Rig) -> None:
    charge = authorized(rig)
    canceled = cancel(rig, charge)
    assert isinstance(canceled, Canceled)
    capture = a_capture(charge)
    assert send(rig.processor, capture) == look_up(rig, charge) == cancel(rig, charge) == canceled
    assert rig.moved(capture) == []


def test_what_was_captured_stays_when_the_rest_is_let_go_of(rig: Rig) -> None:
    charge = authorized_in_parts(rig)
    capture = a_capture(charge, amount=400, final=False)
    send(rig.processor, capture)
    assert captured(cancel(rig, charge)) == 400
    assert look_up(rig, charge) == Succeeded(charge.reference or "", 400)
    assert rig.moved(capture) == [("capture", 400)]
    assert rig.moved(charge) == []


@every("taken, left", [(0, Canceled), (400, Succeeded)])
def test_an_authorization_that_runs_out_is_let_go_of(rig: Rig, taken: int, left: type) -> None:
    charge = authorized_in_parts(rig) if taken else authorized(rig)
    if taken:
        send(rig.processor, a_capture(charge, amount=taken, final=False))
    standing = look_up(rig, charge)
    assert isinstance(standing, Authorized)
    assert standing.capture_before is not None
    rig.time_passes(timedelta(days=31))
    assert isinstance(look_up(rig, charge), left)
    late = a_capture(charge, amount=600, captured_before=taken)
    assert isinstance(send(rig.processor, late), left)
    assert rig.moved(late) == []


def test_captures_raced_against_cancellations_agree_with_them(rig: Rig) -> None:
    charge = authorized(rig)
    capture = a_capture(charge)
    gate = Barrier(8)
    acts: list[Callable[[], object]] = [
        lambda: cancel(rig, charge),
        lambda: send(rig.processor, capture),
    ]

    def go(place: int) -> object:
        gate.wait(timeout=patience_s())
        return acts[place % 2]()

    with ThreadPoolExecutor(8) as threads:
        answers = set(threads.map(go, range(8)))
    [answer] = answers
    assert look_up(rig, charge) == answer
    was_taken = isinstance(answer, Succeeded)
    assert rig.moved(capture) == ([("capture", 1000)] if was_taken else [])


# --- refunds, and customers -------------------------------------------------------------------


def test_what_was_captured_can_be_refunded_and_no_more(rig: Rig) -> None:
    charge = authorized(rig)
    refund: Order = a_refund(charge, amount=400)
    assert isinstance(send(rig.processor, refund), Declined)
    send(rig.processor, a_capture(charge, amount=400))
    assert isinstance(send(rig.processor, a_refund(charge, amount=401)), Declined)
    refund = a_refund(charge, amount=400)
    assert isinstance(send(rig.processor, refund), Succeeded)
    assert rig.moved(refund) == [("refund", 400)]


def test_what_a_customer_has_to_approve_is_not_captured_before(rig: Rig) -> None:
    charge = waiting(rig, capture="manual")
    assert isinstance(send(rig.processor, a_capture(charge)), Declined)
