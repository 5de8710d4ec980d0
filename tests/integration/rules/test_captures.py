"""Charges that are captured by hand: set aside, taken whole or in parts, and let go of."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from payments.audit.captured import CAPTURES
from payments.audit.verify import verify
from payments.audit.witness import CAPTURED
from payments.intake import rejections
from payments.lifecycle.accepting import charges
from payments.lifecycle.accepting.asked import Accepted
from payments.lifecycle.capturing import captures
from payments.lifecycle.capturing.captures import NewCapture
from payments.lifecycle.settlement import GIVE_UP_TRIES
from payments.payment_errors import (
    CaptureExceedsCharge,
    ChargeNotCapturable,
    InvalidRequest,
    KeyReused,
    MoveNotAllowed,
    NotFound,
    RefundExceedsCharge,
)
from payments.processors.outcomes import (
    REQUIRES_ACTION,
    Authorized,
    Canceled,
    Declined,
    Found,
    Pending,
    Succeeded,
    Unavailable,
)
from payments.processors.outcomes import NotFound as NeverHeardOf
from payments.processors.sandbox.transitions import complete
from tests.integration.rules.test_executor import MINUTE, Shop
from tests.support.every import every
from tests.support.factories import (
    DAY,
    TIMEOUT,
    Till,
    a_capture,
    a_charge,
    a_key,
    a_refund,
    a_sale,
    is_left_alone,
)
from tests.support.waiting import patience_s

SET_ASIDE = ["charge.authorized"]
REFUSED = Declined("capture_declined", "capture_refused", "The card was closed.")


def stands(till: Till, id_: str) -> tuple[str, int]:
    """Phase while pending, else state; and what was captured."""
    row = till.row(id_)
    return row["phase"] or row["state"], row["amount_captured"]


def capturing(till: Till, **changes: Any) -> str:
    """The id of a charge of which a capture was asked for."""
    id_ = till.authorized()
    row = till.capture(a_capture(id_, **changes))
    assert not isinstance(row, Exception), row
    return id_


def captures_of(till: Till, id_: str) -> list[tuple[str, int, str | None]]:
    """State, amount and failure of each capture, in order."""
    rows = till.query("SELECT * FROM captures WHERE charge_id = :id ORDER BY created_at", id=id_)
    return [(row["state"], row["amount"], row["failure_code"]) for row in rows]


# --- Setting aside ---


def test_a_charge_by_hand_is_authorized_and_waits(till: Till) -> None:
    until = datetime(2027, 1, 1, tzinfo=UTC)
    id_ = till.authorized(capture_before=until, expires_in_s=600)
    row = till.row(id_)
    assert (row["state"], row["phase"], row["amount_captured"]) == ("pending", "authorized", 0)
    assert (row["capture_before"], row["next_attempt_at"], row["expires_at"]) == (until, None, None)
    assert row["authorized_at"] is not None
    assert till.events(id_) == SET_ASIDE
    assert is_left_alone(till.submit(id_)[0])


def test_what_the_customer_approves_is_authorized(till: Till) -> None:
    claimed = till.claim(a_charge(capture="manual"))
    till.settle(claimed, Pending("sbx_1", REQUIRES_ACTION))
    assert till.report(claimed.id, Authorized("sbx_1")) == 1
    row = till.row(claimed.id)
    assert (row["phase"], row["next_action"], row["expires_at"]) == ("authorized", None, None)
    assert till.events(claimed.id)[-1] == "charge.authorized"


def test_what_was_to_be_taken_and_was_set_aside_is_in_doubt(till: Till) -> None:
    claimed = till.claim(a_charge())
    till.settle(claimed, Authorized("sbx_1"))
    assert till.stand(claimed.id) == "unknown"


# --- Asking for a capture ---


def test_a_capture_takes_all_that_is_set_aside(till: Till) -> None:
    id_ = capturing(till)
    assert till.stand(id_) == "queued"
    assert id_ in till.wakes.charges
    claimed = till.claim(id_)
    order = claimed.order
    assert (order.kind, order.amount, order.final, order.charge_id) == ("capture", 1000, True, id_)
    assert order.key == f"{order.id}:capture"
    till.settle(claimed, Succeeded("sbx_1", 1000))
    assert stands(till, id_) == ("succeeded", 1000)
    assert captures_of(till, id_) == [("succeeded", 1000, None)]
    assert till.events(id_) == [*SET_ASIDE, "charge.succeeded"]
    assert till.attempts(id_) == [
        ("charge", "authorized"),
        ("capture", "requested"),
        ("capture", "succeeded"),
    ]


def test_an_adapter_that_says_only_that_it_worked_means_all_of_it(till: Till) -> None:
    id_ = capturing(till, amount=400)
    till.settle(till.claim(id_), Succeeded("sbx_1"))
    assert stands(till, id_) == ("succeeded", 400)


def test_the_same_key_is_the_same_capture_for_ever(till: Till) -> None:
    id_ = till.authorized()
    request = a_capture(id_)
    till.capture(request)
    again = till.capture(request)
    assert not isinstance(again, Exception)
    till.settle(till.claim(id_), Succeeded("sbx_1", 1000))
    (answer,) = till.capture_all(NewCapture(request))
    assert not isinstance(answer, Exception)
    assert (answer.fresh, answer.row.state) == (False, "succeeded")
    assert captures_of(till, id_) == [("succeeded", 1000, None)]


def test_two_of_one_key_at_once_are_one(till: Till) -> None:
    one = NewCapture(a_capture(till.authorized()))
    first, second = till.capture_all(one, one)
    assert not isinstance(first, Exception)
    assert not isinstance(second, Exception)
    assert (first.fresh, second.fresh) == (True, False)


def test_a_key_with_another_amount_is_refused(till: Till) -> None:
    id_ = till.authorized()
    request = a_capture(id_, amount=400)
    till.capture(request)
    other = a_capture(id_, amount=500, idempotency_key=request.idempotency_key)
    assert isinstance(till.capture(other), KeyReused)


def test_one_key_for_two_charges_at_once_is_one_and_a_refusal(till: Till) -> None:
    first = a_capture(till.authorized())
    second = a_capture(till.authorized(), idempotency_key=first.idempotency_key)
    with ThreadPoolExecutor(1) as other:
        with till.database.transaction() as transaction:
            captures.accept(transaction, [NewCapture(first)])
            late = other.submit(till.capture, second)
            till.wait_until_stuck(1)
        assert isinstance(late.result(patience_s()), KeyReused)
    assert till.stand(second.charge_id) == "authorized"


def test_two_captures_at_once_are_one_and_a_refusal(till: Till) -> None:
    id_ = till.authorized()
    first, second = till.capture_all(NewCapture(a_capture(id_)), NewCapture(a_capture(id_)))
    assert not isinstance(first, Exception)
    assert isinstance(second, ChargeNotCapturable)
    assert [amount for _, amount, _ in captures_of(till, id_)] == [1000]


def test_more_than_is_left_is_refused(till: Till) -> None:
    refused = till.capture(a_capture(till.authorized(), amount=1001))
    assert isinstance(refused, CaptureExceedsCharge)
    assert refused.facts == {"available": 1000, "requested": 1001}


def test_anothers_charge_is_not_there(till: Till) -> None:
    id_ = till.authorized()
    assert isinstance(till.capture(a_capture(id_), producer="somebody"), NotFound)
    assert isinstance(till.capture(a_capture(a_charge().id)), NotFound)
    assert till.stand(id_) == "authorized"


def test_what_is_not_set_aside_is_not_captured(till: Till) -> None:
    queued = a_charge(capture="manual")
    till.accept(queued)
    in_flight = till.claim(a_charge(capture="manual")).id
    lost = till.authorized()
    till.settle(_canceling(till, lost), Canceled("sbx_1"))
    done = capturing(till)
    till.settle(till.claim(done), Succeeded("sbx_1", 1000))
    being_canceled = till.authorized()
    till.cancel(being_canceled)
    for id_ in (queued.id, in_flight, lost, done, being_canceled, till.charged()):
        assert isinstance(till.capture(a_capture(id_)), ChargeNotCapturable), id_


def test_a_message_that_was_refused_stays_refused(till: Till) -> None:
    charge, task_id = a_charge(capture="manual"), a_key()
    hasty = a_capture(charge.id)

    def by_message(task_id: str) -> object:
        (answer,) = till.capture_all(NewCapture(hasty, task_id=task_id))
        return answer

    claimed = till.claim(charge)
    refused = by_message(task_id)
    assert isinstance(refused, ChargeNotCapturable)
    with till.database.transaction() as transaction:
        rejections.record(
            transaction,
            "billing.charge.capture",
            refused=refused,
            fields=hasty.model_dump(),
            task_id=task_id,
            fingerprint=hasty.fingerprint,
        )
    (kept,) = till.query("SELECT * FROM rejected_requests WHERE task_id = :id", id=task_id)
    assert (kept["object_id"], kept["idempotency_key"]) == (charge.id, hasty.idempotency_key)
    till.settle(claimed, Authorized("sbx_1"))
    again = by_message(task_id)
    assert (type(again), str(again)) == (ChargeNotCapturable, str(refused))
    assert till.stand(charge.id) == "authorized"
    # Whoever asks again, and is not just heard again, is served, under the same key, too.
    assert isinstance(by_message(a_key()), Accepted)


# --- Parts ---


def test_a_part_is_taken_and_the_rest_stays_set_aside(till: Till) -> None:
    id_ = capturing(till, amount=400, final=False)
    till.settle(till.claim(id_), Authorized("sbx_1", 400))
    assert stands(till, id_) == ("authorized", 400)
    till.capture(a_capture(id_))
    claimed = till.claim(id_)
    assert (claimed.order.amount, claimed.order.captured_before) == (600, 400)
    till.settle(claimed, Succeeded("sbx_1", 1000))
    assert stands(till, id_) == ("succeeded", 1000)
    assert till.events(id_) == [*SET_ASIDE, "charge.captured", "charge.succeeded"]


def test_a_declined_capture_leaves_the_money_set_aside(till: Till) -> None:
    id_ = capturing(till)
    till.settle(till.claim(id_), REFUSED)
    row = till.row(id_)
    assert (row["phase"], row["amount_captured"]) == ("authorized", 0)
    assert row["capture_failure_code"] == "capture_declined"
    assert captures_of(till, id_) == [("failed", 1000, "capture_declined")]
    assert till.events(id_) == [*SET_ASIDE, "charge.capture_failed"]
    till.capture(a_capture(id_, amount=400))
    assert till.row(id_)["capture_failure_code"] is None
    till.settle(till.claim(id_), Succeeded("sbx_1", 400))
    assert stands(till, id_) == ("succeeded", 400)


# --- What is in doubt ---


@every(
    "found, stand, captured",
    [
        (Succeeded("sbx_1", 1000), "succeeded", 1000),
        (REFUSED, "authorized", 0),
        (NeverHeardOf(), "unknown", 0),
        (Authorized("sbx_1", 0), "unknown", 0),
        (Unavailable("busy"), "unknown", 0),
        (TIMEOUT, "unknown", 0),
        (Canceled("sbx_1"), "failed", 0),
        (Succeeded("sbx_1", 1001), "unknown", 0),  # more than there was: nobody can tell
    ],
)
def test_a_capture_without_an_answer_is_looked_up(
    till: Till, found: Found, stand: str, captured: int
) -> None:
    id_ = capturing(till)
    till.settle(till.claim(id_), TIMEOUT)
    assert till.stand(id_) == "unknown"
    till.time_passes(MINUTE, id_)
    claimed = till.claim(id_)
    assert claimed.in_doubt
    assert claimed.order.kind == "capture"
    till.settle(claimed, found, verb="look_up")
    assert stands(till, id_) == (stand, captured)


def test_a_capture_whose_worker_died_is_looked_up_before_anything_else(till: Till) -> None:
    id_ = capturing(till)
    till.claim(id_)
    till.time_passes(MINUTE, id_)
    till.sweep()
    assert till.stand(id_) == "unknown"
    assert till.attempts(id_)[-1] == ("capture", "lease_expired")


def test_the_memory_of_its_key_counts_from_the_capture(till: Till) -> None:
    id_ = till.authorized()
    till.time_passes(6 * DAY, id_)
    till.capture(a_capture(id_))
    claimed = till.claim(id_)
    assert till.policy.may_resend(claimed.row, claimed.now)


def test_a_capture_past_the_memory_of_its_key_needs_a_person(till: Till) -> None:
    id_ = capturing(till)
    till.settle(till.claim(id_), TIMEOUT)
    till.time_passes(2 * DAY, id_)
    till.settle(till.claim(id_), Authorized("sbx_1", 0), verb="look_up")
    assert till.stand(id_) == "needs_review"


@every(
    "decision, final, stand, captured",
    [
        ("succeeded", True, "succeeded", 400),
        ("succeeded", False, "authorized", 400),
        ("failed", True, "authorized", 0),
        ("retry", True, "queued", 0),
    ],
)
def test_a_person_decides_about_the_capture(
    till: Till, decision: str, final: bool, stand: str, captured: int
) -> None:
    id_ = capturing(till, amount=400, final=final)
    till.settle(till.claim(id_), TIMEOUT)
    till.time_passes(2 * DAY, id_)
    till.settle(till.claim(id_), NeverHeardOf(), verb="look_up")
    till.resolve(id_, decision)
    assert stands(till, id_) == (stand, captured)


@every("decision, stand", [("succeeded", "authorized"), ("failed", "failed")])
def test_a_person_decides_about_an_authorization(till: Till, decision: str, stand: str) -> None:
    id_ = till.authorized()
    till.cancel(id_)
    till.settle(till.claim(id_), NeverHeardOf())
    assert till.stand(id_) == "needs_review"
    with pytest.raises(MoveNotAllowed):
        till.resolve(id_, "retry")
    till.resolve(id_, decision)
    assert till.stand(id_) == stand


def test_what_a_person_finds_set_aside_is_still_let_go_of(till: Till) -> None:
    id_ = till.authorized()
    till.cancel(id_)
    till.settle(till.claim(id_), NeverHeardOf())
    till.wakes.charges.clear()
    till.resolve(id_, "succeeded")
    assert id_ in till.wakes.charges
    assert till.claim(id_).is_to_end


def test_what_is_captured_whole_has_succeeded_whatever_it_is_called(till: Till) -> None:
    id_ = capturing(till, final=False)
    till.settle(till.claim(id_), Authorized("sbx_1", 1000))
    assert stands(till, id_) == ("succeeded", 1000)
    assert isinstance(till.capture(a_capture(id_)), ChargeNotCapturable)


def test_a_capture_that_is_refused_for_a_day_fails_and_the_money_is_still_set_aside(
    till: Till,
) -> None:
    id_ = capturing(till)
    till.settle(till.claim(id_), Unavailable("busy"))
    assert till.stand(id_) == "queued"
    till.put("UPDATE charges SET retries = :n WHERE id = :id", n=GIVE_UP_TRIES, id=id_)
    till.time_passes(2 * DAY, id_)
    till.settle(till.claim(id_), Unavailable("busy"))
    assert stands(till, id_) == ("authorized", 0)
    assert captures_of(till, id_) == [("failed", 1000, "processor_unavailable")]


# --- Letting go ---


def _canceling(till: Till, id_: str) -> Any:
    till.cancel(id_)
    claimed = till.claim(id_)
    assert claimed.is_to_end
    assert claimed.order.kind == "charge"
    return claimed


def test_a_canceled_authorization_is_let_go_of(till: Till) -> None:
    price = till.price(stock=5)
    claimed = till.claim(a_sale(price, 2, capture="manual"))
    till.settle(claimed, Authorized("sbx_1"))
    till.settle(_canceling(till, claimed.id), Canceled("sbx_1"))
    row = till.row(claimed.id)
    assert (row["state"], row["failure_code"]) == ("failed", "canceled")
    assert till.stock(price) == 5
    assert till.events(claimed.id) == [*SET_ASIDE, "charge.canceled"]


def test_what_was_captured_stays_when_the_rest_is_let_go_of(till: Till) -> None:
    id_ = capturing(till, amount=400, final=False)
    till.settle(till.claim(id_), Authorized("sbx_1", 400))
    till.settle(_canceling(till, id_), Succeeded("sbx_1", 400))
    assert stands(till, id_) == ("succeeded", 400)


@every(
    "found, stand, captured, capture",
    [
        (Succeeded("sbx_1", 1000), "succeeded", 1000, ("succeeded", 1000, None)),
        (Canceled("sbx_1"), "failed", 0, ("failed", 1000, "canceled")),
        (Authorized("sbx_1", 0), "unknown", 0, ("pending", 1000, None)),
        (TIMEOUT, "unknown", 0, ("pending", 1000, None)),
    ],
)
def test_money_that_moved_wins_over_a_cancellation(
    till: Till, found: Found, stand: str, captured: int, capture: tuple[str, int, str | None]
) -> None:
    id_ = capturing(till)
    claimed = till.claim(id_)
    till.cancel(id_)
    till.settle(claimed, TIMEOUT)
    till.settle(till.claim(id_), found)
    assert stands(till, id_) == (stand, captured)
    assert captures_of(till, id_) == [capture]


def test_a_cancellation_that_comes_while_a_part_is_captured_lets_go_of_the_rest(till: Till) -> None:
    id_ = capturing(till, amount=400, final=False)
    claimed = till.claim(id_)
    till.cancel(id_)
    till.settle(claimed, Authorized("sbx_1", 400))
    assert stands(till, id_) == ("authorized", 400)
    till.settle(till.claim(id_), Succeeded("sbx_1", 400))
    assert stands(till, id_) == ("succeeded", 400)


@every("found", [TIMEOUT, Unavailable("busy"), Pending("sbx_1", "processing"), Authorized("sbx_1")])
def test_what_cannot_be_let_go_of_now_is_asked_again(till: Till, found: Found) -> None:
    id_ = till.authorized()
    till.settle(_canceling(till, id_), found)
    row = till.row(id_)
    assert row["phase"] == "authorized"
    assert row["next_attempt_at"] is not None


@every("captured, stand", [(0, "failed"), (400, "succeeded")])
def test_an_authorization_ends_at_its_time(till: Till, captured: int, stand: str) -> None:
    id_ = till.authorized(capture_before=datetime.now(UTC) + timedelta(hours=1))
    if captured:
        till.capture(a_capture(id_, amount=captured, final=False))
        till.settle(till.claim(id_), Authorized("sbx_1", captured))
    till.sweep()
    assert is_left_alone(till.submit(id_)[0])
    till.time_passes(timedelta(hours=2), id_)
    assert id_ in till.sweep().charges
    claimed = till.claim(id_)
    assert claimed.is_to_end
    till.settle(claimed, Succeeded("sbx_1", captured) if captured else Canceled("sbx_1"))
    assert stands(till, id_) == (stand, captured)
    if not captured:
        assert till.row(id_)["failure_code"] == "expired"


def test_the_end_of_an_authorization_is_told_once_a_day_before(till: Till) -> None:
    id_ = till.authorized(capture_before=datetime.now(UTC) + timedelta(days=3))
    till.sweep()
    assert till.events(id_) == SET_ASIDE
    till.time_passes(timedelta(days=2, hours=1), id_)
    for _ in range(2):
        till.sweep()
    assert till.events(id_) == [*SET_ASIDE, "charge.authorization_expiring"]
    assert till.stand(id_) == "authorized"


# --- Reports ---


def test_a_capture_that_is_reported_needs_no_answer(till: Till) -> None:
    id_ = capturing(till, amount=400, final=False)
    claimed = till.claim(id_)
    assert till.report(id_, Authorized("sbx_1", 400)) == 1
    assert stands(till, id_) == ("authorized", 400)
    till.settle(claimed, TIMEOUT)  # The worker's answer finds its lease gone.
    assert stands(till, id_) == ("authorized", 400)
    assert captures_of(till, id_) == [("succeeded", 400, None)]


@every("found", [Authorized("sbx_1"), Pending("sbx_1", REQUIRES_ACTION), REFUSED])
def test_old_news_disturbs_no_capture(till: Till, found: Any) -> None:
    id_ = capturing(till)
    claimed = till.claim(id_)
    assert till.report(id_, found) == 0
    till.settle(claimed, Succeeded("sbx_1", 1000))
    assert stands(till, id_) == ("succeeded", 1000)


def test_what_somebody_captures_at_the_processor_is_looked_up(till: Till) -> None:
    id_ = till.authorized()
    assert till.report(id_, Authorized("sbx_1", 300)) == 0
    assert id_ in till.wakes.charges
    till.settle(till.claim(id_), Authorized("sbx_1", 300))
    assert stands(till, id_) == ("authorized", 300)
    assert till.events(id_)[-1] == "charge.captured"
    assert isinstance(till.capture(a_capture(id_, amount=701)), CaptureExceedsCharge)


@every(
    "found, stand, captured",
    [(Succeeded("sbx_1", 1000), "succeeded", 1000), (Canceled("sbx_1"), "failed", 0)],
)
def test_an_end_at_the_processor_is_believed(
    till: Till, found: Any, stand: str, captured: int
) -> None:
    id_ = till.authorized()
    assert till.report(id_, found) == 1
    assert stands(till, id_) == (stand, captured)


# --- Refunds ---


def test_a_refund_waits_for_the_capture_and_gets_no_more_than_was_taken(till: Till) -> None:
    id_ = till.authorized()
    small, large = a_refund(id_, amount=300), a_refund(id_, amount=300)
    till.accept(small, large)
    assert till.row(id_)["refund_reserved"] == 0
    assert is_left_alone(till.submit(small.id)[0])
    till.capture(a_capture(id_, amount=500))
    till.settle(till.claim(id_), Succeeded("sbx_1", 500))
    assert {small.id, large.id} <= till.wakes.refunds
    till.settle(till.claim(small.id), Succeeded("sbx_2"))
    till.submit(large.id)
    row = till.row(large.id)
    assert (row["state"], row["failure_code"]) == ("failed", "refund_exceeds_charge")
    assert till.row(id_)["refunded_amount"] == 300


def test_a_refund_of_what_was_captured_in_part(till: Till) -> None:
    id_ = capturing(till, amount=400)
    till.settle(till.claim(id_), Succeeded("sbx_1", 400))
    (refused,) = till.accept(a_refund(id_, amount=401))
    assert isinstance(refused, RefundExceedsCharge)
    refund = till.claim(a_refund(id_))
    assert refund.order.amount == 400


def test_a_refund_that_can_never_fit_is_refused_at_once(till: Till) -> None:
    (refused,) = till.accept(a_refund(till.authorized(), amount=1001))
    assert isinstance(refused, RefundExceedsCharge)


def test_a_refund_fails_with_an_authorization_that_is_let_go_of(till: Till) -> None:
    id_ = till.authorized()
    refund = a_refund(id_)
    till.accept(refund)
    till.settle(_canceling(till, id_), Canceled("sbx_1"))
    till.submit(refund.id)
    assert till.row(refund.id)["failure_code"] == "charge_failed"


# --- With the sandbox, through the executor ---


@pytest.fixture
def shop(shared_engine: Any) -> Shop:
    return Shop(shared_engine)


@every(
    "method, stand, moved",
    [
        ("pm_card_visa", "succeeded", [("capture", 1000)]),
        ("pm_sandbox_timeout_after", "succeeded", [("capture", 1000)]),
        ("pm_sandbox_capture_timeout_after", "succeeded", [("capture", 1000)]),
        ("pm_sandbox_capture_timeout_before", "succeeded", [("capture", 1000)]),
        ("pm_sandbox_capture_error_after", "succeeded", [("capture", 1000)]),
        ("pm_sandbox_capture_unavailable_2", "succeeded", [("capture", 1000)]),
        ("pm_sandbox_capture_slow_60000", "succeeded", [("capture", 1000)]),
        ("pm_sandbox_capture_fails", "authorized", []),
        ("pm_sandbox_capture_lost", "needs_review", []),
    ],
)
def test_every_payment_method_is_captured_once(
    shop: Shop, method: str, stand: str, moved: list[tuple[str, int]]
) -> None:
    request = a_charge(capture="manual", payment_method_id=method)
    shop.go_on(shop.executor.create(request).id, rounds=3)
    assert shop.till.stand(request.id) == "authorized"
    assert shop.moved(request.id) == []
    shop.executor.capture(NewCapture(a_capture(request.id)))
    for _ in range(12):
        if shop.till.stand(request.id) in ("succeeded", "authorized", "needs_review"):
            break
        shop.go_on(request.id, rounds=1)
    assert shop.till.stand(request.id) == stand
    assert shop.moved(request.id) == moved


def test_parts_are_captured_one_after_the_other(shop: Shop) -> None:
    request = a_charge(capture="manual")
    shop.executor.create(request)
    for amount in (300, 300):
        shop.executor.capture(NewCapture(a_capture(request.id, amount=amount, final=False)))
    shop.executor.capture(NewCapture(a_capture(request.id)))
    assert stands(shop.till, request.id) == ("succeeded", 1000)
    assert shop.moved(request.id) == [("capture", 300), ("capture", 300), ("capture", 400)]
    refund = a_refund(request.id)
    assert shop.go(refund) == "succeeded"


@every(
    "dies, first, captured",
    [
        # Nobody had sent the capture, so it took nothing, though all of the money is taken.
        (False, None, [("failed", 1000, "canceled")]),
        (False, 300, [("succeeded", 300, None), ("failed", 700, "canceled")]),
        # Nobody knows any more whether it was sent, and all that it wanted was taken.
        (True, None, [("succeeded", 1000, None)]),
    ],
)
def test_a_cancellation_that_is_too_late_ends_a_queued_capture(
    shop: Shop, dies: bool, first: int | None, captured: list[tuple[str, int, str | None]]
) -> None:
    request = a_charge(capture="manual", payment_method_id="pm_sandbox_cancel_too_late")
    shop.executor.create(request)
    with shop.engine.begin() as connection:
        complete(connection, request.id)
    shop.go_on(request.id, rounds=1)
    if first is not None:
        part = a_capture(request.id, amount=first, final=False)
        shop.executor.capture(NewCapture(part))
    shop.till.capture(a_capture(request.id))
    shop.till.cancel(request.id)
    if dies:  # before it has asked
        shop.till.claim(request.id)
    assert shop.go_on(request.id) == "succeeded"
    assert captures_of(shop.till, request.id) == captured
    row = shop.till.row(request.id)
    assert (row["amount_captured"], row["capture_failure_code"]) == (1000, captured[-1][2])
    taken = [("capture", first), ("charge", 700)] if first else [("charge", 1000)]
    assert shop.moved(request.id) == taken
    assert doubts(shop, request.id) == []


def doubts(shop: Shop, id_: str) -> list[str]:
    """What `billing verify` has against this charge or its captures."""
    statements = {shop.processor.name: shop.processor.statement()}
    captures = shop.till.query("SELECT id FROM captures WHERE charge_id = :id", id=id_)
    found = verify(shop.engine, statements=statements, invariants=[CAPTURED, *CAPTURES])
    ours = {id_, *(row["id"] for row in captures)}
    return [f"{one.id}: {one.detail}" for each in found for one in each.offenders if one.id in ours]


def test_a_processor_that_cannot_set_money_aside_is_not_asked_to(shop: Shop) -> None:
    new = charges.NewCharge(a_charge(capture="manual"), "sandbox")
    with shop.till.database.transaction() as transaction:
        (refused,) = charges.accept(transaction, [replace(new, authorizes=False)])
    assert isinstance(refused, InvalidRequest)
    assert refused.param == "capture"
