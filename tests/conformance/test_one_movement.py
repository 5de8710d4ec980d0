"""Whatever goes wrong between a worker and a processor, money moves once, and our rows say so.

A worker takes each charge and refund from asked to final by its own way: charge, unknown, look up,
settle. The processor's books, as the rig reads them, are the witness.
"""

import logging
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import Engine, text

from infra.billing.contract.requests.charge_request import ChargeRequest
from payments.access.scopes import OPERATOR
from payments.lifecycle.capturing.captures import NewCapture
from payments.lifecycle.database_steps import Settlement
from payments.processors.outcomes import Declined
from payments.processors.port import Authorizes, Order, ProcessorEvent
from tests.support.every import every
from tests.support.factories import a_capture, a_charge, a_refund, kind
from tests.support.processors import Rig
from tests.support.queueless import QueuelessWorker
from tests.support.waiting import wait_for

MINUTE = timedelta(minutes=1)
# Long enough for a processor on a busy machine; what hangs is to hang for no longer.
CALL_DEADLINE_S = 2.0
CHARGED = [("charge", 1000)]


@pytest.fixture
def worker(rig: Rig, engine: Engine) -> QueuelessWorker:
    return a_worker(rig, engine)


def a_worker(rig: Rig, engine: Engine) -> QueuelessWorker:
    return QueuelessWorker(
        engine,
        rig.processor,
        rig.time_passes,
        key_window=rig.processor.key_window,
        call_deadline_s=CALL_DEADLINE_S,
    )


def asked(rig: Rig, happening: str, **changes: Any) -> ChargeRequest:
    """A charge to which this happens."""
    if happening not in rig.methods:
        pytest.skip(f"{rig.processor.name} can't be made to do this: {happening}")
    return a_charge(payment_method_id=rig.methods[happening], customer_id="cus_ada", **changes)


def moved(rig: Rig, worker: QueuelessWorker, id_: str) -> list[tuple[str, int]]:
    """What moved for this charge or refund."""
    return rig.moved(order_of(worker, id_))


def order_of(worker: QueuelessWorker, id_: str) -> Order:
    """It, as a processor sees it."""
    row = worker.till.row(id_)
    is_charge = kind(id_).name == "charge"
    charge = row if is_charge else worker.till.row(row["charge_id"])
    return Order(
        id=id_,
        kind="charge" if is_charge else "refund",
        amount=row["amount"],
        currency=charge["currency"],
        customer_id=charge["customer_id"],
        payment_method_id=charge["payment_method_id"],
        reference=row["processor_reference"],
        charge_id=None if is_charge else row["charge_id"],
        charge_reference=None if is_charge else charge["processor_reference"],
    )


def told(rig: Rig, worker: QueuelessWorker, *ids: str) -> list[ProcessorEvent]:
    """What the processor has told of these since it was last asked."""
    events = [rig.read(*sent) for sent in rig.events()]
    return [event for event in events if event is not None and event.object_id in ids]


def report(worker: QueuelessWorker, *events: ProcessorEvent) -> None:
    worker.till.report_all(*events, by=worker.processor.name)


# --- charges and refunds, fault by fault ------------------------------------------------------

CHARGES = [
    "succeeds", "timeout before", "timeout after", "error after", "applied late", "broken answer",
    "cut answer", "conflict", "unavailable", "unavailable twice", "rate limited", "slow",
    "late success", "event first",
]  # fmt: skip
REFUNDS = [
    "timeout before", "timeout after", "error after", "broken answer", "unavailable",
    "rate limited",
]  # fmt: skip


@pytest.mark.parametrize("happening", CHARGES)
def test_a_charge_ends_as_succeeded_and_moved_once(
    rig: Rig, worker: QueuelessWorker, happening: str
) -> None:
    charge = asked(rig, happening)
    assert worker.go(charge) == "succeeded"
    assert moved(rig, worker, charge.id) == CHARGED


@pytest.mark.parametrize("happening", REFUNDS)
def test_a_refund_ends_as_succeeded_and_moved_once(
    rig: Rig, worker: QueuelessWorker, happening: str
) -> None:
    charge = asked(rig, f"refund {happening}")
    assert worker.go(charge) == "succeeded"
    refund = a_refund(charge, amount=400)
    assert worker.go(refund) == "succeeded"
    assert moved(rig, worker, refund.id) == [("refund", 400)]
    assert moved(rig, worker, charge.id) == CHARGED


def test_what_is_declined_moves_nothing(rig: Rig, worker: QueuelessWorker) -> None:
    charge = asked(rig, "declined")
    assert worker.go(charge) == "failed"
    assert moved(rig, worker, charge.id) == []
    charge = asked(rig, "refund fails")
    assert worker.go(charge) == "succeeded"
    refund = a_refund(charge)
    assert worker.go(refund) == "failed"
    assert moved(rig, worker, refund.id) == []


def test_while_the_processor_cannot_be_reached_nothing_is_lost(
    rig: Rig, worker: QueuelessWorker
) -> None:
    if rig.unplugged is None:
        pytest.skip(f"no line leads to {rig.processor.name}")
    charge = asked(rig, "succeeds")
    with rig.unplugged():
        worker.executor.create(charge)
        assert worker.till.stand(charge.id) == "queued"  # surely not sent
        worker.go_on(charge.id, rounds=2)
    assert worker.go_on(charge.id) == "succeeded"
    assert moved(rig, worker, charge.id) == CHARGED


# --- captures ---------------------------------------------------------------------------------

CAPTURES = ["timeout before", "timeout after", "error after", "unavailable"]


def authorized(rig: Rig, worker: QueuelessWorker, happening: str) -> str:
    """The id of a charge whose money is set aside, and to whose captures this happens."""
    if not isinstance(rig.processor, Authorizes):
        pytest.skip(f"{rig.processor.name} can't set money aside")
    charge = asked(rig, happening, capture="manual")
    worker.executor.create(charge)
    assert worker.till.stand(charge.id) == "authorized"
    assert worker.till.row(charge.id)["capture_before"] is not None
    return charge.id


@pytest.mark.parametrize("happening", CAPTURES)
def test_a_capture_ends_as_succeeded_and_moved_once(
    rig: Rig, worker: QueuelessWorker, happening: str
) -> None:
    charge_id = authorized(rig, worker, f"capture {happening}")
    request = a_capture(charge_id, amount=400)
    worker.executor.capture(NewCapture(request, OPERATOR))
    assert worker.go_on(charge_id) == "succeeded"
    assert worker.till.row(charge_id)["amount_captured"] == 400
    capture = replace(order_of(worker, charge_id), kind="capture", id=request.id)
    assert rig.moved(replace(capture, charge_id=charge_id)) == [("capture", 400)]
    assert moved(rig, worker, charge_id) == []


def test_what_is_set_aside_and_canceled_moves_nothing(rig: Rig, worker: QueuelessWorker) -> None:
    charge_id = authorized(rig, worker, "succeeds")
    worker.till.cancel(charge_id)
    assert worker.go_on(charge_id) == "failed"
    assert moved(rig, worker, charge_id) == []


# --- a worker that dies -----------------------------------------------------------------------


@pytest.mark.parametrize("happening", ["succeeds", "timeout before", "error after"])
def test_a_worker_that_dies_before_it_settles_leaves_one_movement(
    rig: Rig, worker: QueuelessWorker, happening: str
) -> None:
    def dies(_: Settlement) -> None:
        raise SystemExit

    charge = asked(rig, happening)
    dying = worker.executor_with(rig.processor, settle=dies)
    with pytest.raises(SystemExit):
        dying.create(charge)
    assert worker.go_on(charge.id) == "succeeded"
    assert moved(rig, worker, charge.id) == CHARGED


def test_a_key_that_is_sent_again_moves_nothing(rig: Rig, worker: QueuelessWorker) -> None:
    charge = asked(rig, "succeeds")
    worker.go(charge)
    refund = a_refund(charge, amount=400)
    worker.go(refund)
    for processor in (rig.processor, rig.elsewhere, rig.processor):
        processor.charge(order_of(worker, charge.id), deadline_s=CALL_DEADLINE_S)
        processor.refund(order_of(worker, refund.id), deadline_s=CALL_DEADLINE_S)
    assert moved(rig, worker, charge.id) == CHARGED
    assert moved(rig, worker, refund.id) == [("refund", 400)]


def test_more_than_was_taken_is_never_given_back(rig: Rig, worker: QueuelessWorker) -> None:
    charge = asked(rig, "succeeds")
    worker.go(charge)
    refunds = [a_refund(charge, amount=600, if_pending="wait") for _ in range(2)]
    worker.go(refunds[0])
    with pytest.raises(Exception, match=r"refund|left"):
        worker.go(refunds[1])
    # Nor by who goes round our own count.
    sent = order_of(worker, refunds[0].id)
    rig.elsewhere.refund(replace(sent, id=refunds[1].id, reference=None), deadline_s=2.0)
    assert moved(rig, worker, refunds[0].id) == [("refund", 600)]
    assert rig.moved(replace(sent, id=refunds[1].id)) == []


# --- cancellations ----------------------------------------------------------------------------


@pytest.mark.parametrize("happening", ["succeeds", "timeout after", "timeout before"])
def test_a_cancellation_while_the_call_is_under_way_agrees_with_the_money(
    rig: Rig, worker: QueuelessWorker, happening: str
) -> None:
    charge = asked(rig, happening)

    def cancels_first(item: Settlement) -> Any:
        worker.till.cancel(charge.id)
        return worker.settle(item)

    worker.executor_with(rig.processor, settle=cancels_first).create(charge)
    # Where the processor can't promise that a call on its way comes to nothing, it is asked until
    # it would have forgotten the key; then a person looks.
    stand = worker.go_on(charge.id, rounds=120)
    assert stand in ("succeeded", "failed", "needs_review")
    assert moved(rig, worker, charge.id) == (CHARGED if stand == "succeeded" else [])


# --- what the processor tells by itself -------------------------------------------------------


def test_an_event_may_come_before_the_answer(rig: Rig, worker: QueuelessWorker) -> None:
    charge = asked(rig, "event first")

    def hears_first(item: Settlement) -> Any:
        report(worker, *told(rig, worker, charge.id))
        return worker.settle(item)

    worker.executor_with(rig.processor, settle=hears_first).create(charge)
    assert worker.go_on(charge.id) == "succeeded"
    assert moved(rig, worker, charge.id) == CHARGED
    # Where the event doesn't know the fee, the answer does, which is told in its turn.
    first, *later = worker.till.events(charge.id)
    assert first == "charge.succeeded"
    assert later in ([], ["charge.updated"])


@every(
    "order",
    [
        lambda events: events * 2,
        lambda events: events[::-1],
        lambda events: [*events[::-1], *events],
    ],
    ids=["twice", "reversed", "reversed and then in order"],
)
def test_events_in_any_number_and_order_change_nothing_twice(
    rig: Rig, worker: QueuelessWorker, order: Callable[[list[Any]], list[Any]]
) -> None:
    charge = asked(rig, "refund fails later")
    worker.go(charge)
    refund = a_refund(charge, amount=400)
    assert worker.go(refund) == "succeeded"
    worker.time_passes(MINUTE)
    events: list[ProcessorEvent] = []

    def came_back() -> bool:
        events.extend(told(rig, worker, charge.id, refund.id))
        return any(isinstance(event.outcome, Declined) for event in events)

    wait_for(came_back, what="the event of the refund that came back")
    report(worker, *order(events))
    assert worker.till.stand(charge.id) == "succeeded"
    assert worker.till.stand(refund.id) == "failed"
    assert moved(rig, worker, charge.id) == CHARGED
    assert moved(rig, worker, refund.id) == [("refund", 400), ("reversal", 400)]
    assert worker.till.events(refund.id).count("refund.failed") == 1
    assert worker.till.row(charge.id)["refund_reserved"] == 0


# --- discretion -------------------------------------------------------------------------------


def test_no_secret_reaches_a_log_or_a_row(
    rig: Rig, engine: Engine, caplog: pytest.LogCaptureFixture
) -> None:
    if not rig.secrets:
        pytest.skip(f"{rig.processor.name} has no secrets")
    caplog.set_level(logging.DEBUG)
    worker = a_worker(rig, engine)
    for happening in CHARGES:
        if happening in rig.methods:
            worker.go(asked(rig, happening))
    said = caplog.text + everything(engine)
    assert [secret for secret in rig.secrets if secret in said] == []


def everything(engine: Engine) -> str:
    """All rows of all tables."""
    tables = "SELECT table_name FROM information_schema.tables WHERE table_schema = 'public'"
    with engine.connect() as connection:
        names = connection.execute(text(tables)).scalars().all()
        rows = [connection.execute(text(f'SELECT * FROM "{name}"')).all() for name in names]
    return repr(rows)
