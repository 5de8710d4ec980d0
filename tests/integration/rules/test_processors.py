"""Several processors at once: a row goes to the one that it names, and to no other."""

import logging
from collections.abc import Callable
from datetime import timedelta

import pytest
from sqlalchemy import Engine

from infra.billing.contract.requests.charge_request import ChargeRequest
from infra.billing.contract.requests.refund_request import RefundRequest
from payments.lifecycle.blocking import BlockingExecutor
from payments.lifecycle.settlement import policies_of
from payments.processors.outcomes import Succeeded
from payments.processors.registry import Processors
from tests.support.factories import (
    Till,
    a_charge,
    a_lease,
    a_refund,
    is_claimed,
    is_left_alone,
    kind,
)
from tests.support.paper import Paper

HOUR = timedelta(hours=1)


class Worker:
    """A worker that has these processors; new charges go to the first."""

    def __init__(self, engine: Engine, *processors: Paper) -> None:
        self.till = Till(engine, processors=[one.name for one in processors])
        named = Processors(*processors)
        self.till.policies = policies_of(named)
        self._executor = BlockingExecutor(
            begin=lambda item: self.till.begin(item)[0],
            settle=lambda item: self.till.settle_all((item.claimed, item.verb, item.found))[0],
            cancel=lambda one: self.till.cancel_all(one)[0],
            capture=lambda one: self.till.capture_all(one)[0],
            processors=named,
            policies=self.till.policies,
            new_lease=a_lease,
            call_deadline_s=5.0,
        )

    def create(self, request: ChargeRequest | RefundRequest) -> str:
        self._executor.create(request)
        return self.till.stand(request.id)

    def go_on(self, id_: str, *, after: timedelta = HOUR) -> str:
        """What a wake-up call does once the row is due."""
        self.till.time_passes(after, id_)
        self.till.sweep()
        self._executor.submit(kind(id_), id_)
        return self.till.stand(id_)


MakeWorker = Callable[..., Worker]


@pytest.fixture
def worker(shared_engine: Engine) -> MakeWorker:
    return lambda *processors: Worker(shared_engine, *processors)


@pytest.fixture
def old() -> Paper:
    return Paper("old")


@pytest.fixture
def new() -> Paper:
    return Paper("new")


def test_what_is_unknown_is_looked_up_where_it_was_sent(
    worker: MakeWorker, old: Paper, new: Paper
) -> None:
    request, old.is_silent = a_charge(), True
    assert worker(old).create(request) == "unknown"
    assert worker(new, old).go_on(request.id) == "succeeded"
    assert [*old.moved] == [f"{request.id}:charge"]
    assert new.asked == []


def test_what_got_lost_is_sent_again_to_where_it_was_sent(
    worker: MakeWorker, old: Paper, new: Paper
) -> None:
    request, old.is_deaf = a_charge(), True
    worker(old).create(request)
    old.is_deaf = False
    assert worker(new, old).go_on(request.id) == "succeeded"
    assert [verb for verb, _ in old.asked] == ["charge", "look_up", "charge"]
    assert new.asked == []


def test_a_charge_that_waits_goes_to_the_processor_that_took_new_charges_then(
    worker: MakeWorker, old: Paper, new: Paper
) -> None:
    request = a_charge()
    worker(old).till.accept(request)
    assert worker(new, old).go_on(request.id) == "succeeded"
    assert (len(old.moved), new.asked) == (1, [])


def test_a_refund_goes_to_the_processor_of_its_charge(
    worker: MakeWorker, old: Paper, new: Paper
) -> None:
    charge = a_charge()
    worker(old).create(charge)
    refund, later = a_refund(charge, amount=400), worker(new, old)
    assert later.create(refund) == "succeeded"
    assert later.till.row(refund.id)["processor"] == "old"
    assert old.moved[f"{refund.id}:refund"].charge_reference == f"old_{charge.id}"
    assert new.asked == []


def test_a_refund_that_came_before_its_charge_goes_to_the_processor_of_its_charge(
    worker: MakeWorker, old: Paper, new: Paper
) -> None:
    charge = a_charge()
    refund, later = a_refund(charge, amount=400), worker(new, old)
    assert later.create(refund) == "queued"
    assert later.till.row(refund.id)["processor"] == "new"
    worker(old).create(charge)
    assert later.go_on(refund.id) == "succeeded"
    assert later.till.row(refund.id)["processor"] == "old"
    assert [*old.moved] == [f"{charge.id}:charge", f"{refund.id}:refund"]
    assert new.asked == []


def test_a_worker_without_the_processor_of_a_charge_leaves_it_as_it_is(
    worker: MakeWorker, old: Paper, new: Paper, caplog: pytest.LogCaptureFixture
) -> None:
    request, old.is_silent = a_charge(), True
    worker(old).create(request)
    without = worker(new)
    without.till.time_passes(HOUR, request.id)
    before = without.till.row(request.id)
    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            without._executor.submit(kind(request.id), request.id)
    assert without.till.row(request.id) == before
    assert new.asked == []
    assert [m for m in caplog.messages if "no processor 'old'" in m] == [
        "this worker has no processor 'old'; what names it is left alone"
    ]
    assert worker(old).go_on(request.id) == "succeeded"
    assert len(old.moved) == 1


def test_a_worker_without_the_processor_of_a_charge_leaves_its_refund_as_it_is(
    worker: MakeWorker, old: Paper, new: Paper
) -> None:
    charge = a_charge()
    worker(old).create(charge)
    refund, without = a_refund(charge), worker(new)
    assert without.create(refund) == "queued"
    row = without.till.row(refund.id)
    assert (row["attempts"], row["processor"], row["first_called_at"]) == (0, "old", None)
    assert new.asked == []
    assert worker(new, old).go_on(refund.id) == "succeeded"
    assert new.asked == []


def test_what_is_left_alone_holds_up_nothing_of_its_batch(
    worker: MakeWorker, old: Paper, new: Paper
) -> None:
    theirs, ours = a_charge(), a_charge()
    worker(old).till.accept(theirs)
    till = worker(new).till
    till.accept(ours)
    left, taken = till.submit(theirs.id, ours.id)
    assert is_left_alone(left)
    assert is_claimed(taken)


def test_a_repeat_of_a_charge_elsewhere_is_answered_and_sent_nowhere(
    worker: MakeWorker, old: Paper, new: Paper
) -> None:
    request, old.is_silent = a_charge(), True
    worker(old).create(request)
    assert worker(new).create(request) == "unknown"
    assert new.asked == []


def test_each_processor_has_its_own_key_window(worker: MakeWorker) -> None:
    """Past it nothing is sent again, however long others remember their keys."""
    short, long = Paper("short", key_window=HOUR), Paper("long", key_window=100 * HOUR)
    ends = {}
    for processor, others in ((short, (long, short)), (long, (short, long))):
        request, processor.is_deaf = a_charge(), True
        worker(processor).create(request)
        processor.is_deaf = False
        ends[processor.name] = worker(*others).go_on(request.id, after=2 * HOUR)
    assert ends == {"short": "needs_review", "long": "succeeded"}
    assert short.moved == {}


def test_a_processor_is_believed_about_its_own_only(
    worker: MakeWorker, old: Paper, new: Paper
) -> None:
    request, old.is_deaf = a_charge(), True
    worker(old).create(request)
    till = worker(new, old).till
    assert till.report(request.id, Succeeded("new_1"), by="new") == 0
    assert till.stand(request.id) == "unknown"
    assert till.report(request.id, Succeeded("old_1"), by="old") == 1
    assert till.row(request.id)["processor_reference"] == "old_1"


def test_what_waits_for_another_processor_is_woken_last_and_seldom(engine: Engine) -> None:
    elsewhere, here = Till(engine, processors=["old"]), Till(engine, processors=["new"])
    theirs = [a_charge() for _ in range(5)]
    ours = [a_charge() for _ in range(3)]
    elsewhere.accept(*theirs)
    here.accept(*ours)
    minute = timedelta(minutes=1)
    elsewhere.time_passes(3 * minute, *(one.id for one in theirs))  # they are due first
    here.time_passes(2 * minute, *(one.id for one in ours))
    assert here.wake(limit=3) == {one.id for one in ours}
    assert here.wake(limit=3) <= {one.id for one in theirs}
    assert len(here.wake(limit=3)) == 2
    # Ours are woken again after ten seconds, the others not before a minute has passed.
    everybody = [one.id for one in (*ours, *theirs)]
    here.time_passes(timedelta(seconds=20), *everybody)
    assert here.wake(limit=100) == {one.id for one in ours}
    here.time_passes(minute, *everybody)
    assert here.wake(limit=100) == {*everybody}


def test_names_of_processors_are_their_own() -> None:
    with pytest.raises(ValueError, match="two processors have the same name"):
        Processors(Paper("a"), Paper("a"))
    with pytest.raises(ValueError, match="no processor is named 'b'"):
        Processors(Paper("a"), default="b")
    assert Processors(Paper("a"), Paper("b")).default == "a"


def test_what_is_to_end_is_canceled_at_the_processor_that_it_names(
    worker: MakeWorker, old: Paper, new: Paper
) -> None:
    request, old.is_deaf = a_charge(), True
    worker(old).create(request)
    after = worker(new, old)
    after.till.cancel(request.id)
    after.go_on(request.id)
    assert old.asked[-1] == ("cancel", f"{request.id}:charge")
    assert new.asked == []


def test_a_processor_of_the_other_mode_is_asked_nothing(
    worker: MakeWorker, old: Paper, caplog: pytest.LogCaptureFixture
) -> None:
    """It would say of what has moved that it has never heard of it, and move it once more."""
    here = worker(old)
    paid, lost = a_charge(), a_charge()
    assert here.create(paid) == "succeeded"
    old.is_silent = True
    assert here.create(lost) == "unknown"
    asked, moved = list(old.asked), dict(old.moved)
    old.is_silent, old.livemode, old.moved = False, True, {}

    for _ in range(3):
        assert here.go_on(lost.id) == "unknown"
    refund = a_refund(paid)
    assert here.create(refund) == "queued"
    assert (old.asked, old.moved) == (asked, {})
    told = [one.getMessage() for one in caplog.records if one.levelno == logging.ERROR]
    assert [one for one in told if "charges and refunds of test mode wait for it" in one] == told
    assert len(told) == 1

    old.livemode, old.moved = False, moved
    assert here.go_on(lost.id) == "succeeded"
    assert here.go_on(refund.id) == "succeeded"
    assert set(old.moved) == {f"{one.id}:{kind(one.id).name}" for one in (paid, lost, refund)}
