"""From asked to final, with the sandbox on the other side of the road: money moves once."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import Engine

from payments.kinds import CHARGE
from payments.lifecycle.claims import Claimed
from payments.lifecycle.database_steps import Begin, Begun
from payments.payment_errors import KeyReused
from payments.processors.outcomes import Found, Outcome, Unavailable
from payments.processors.port import Order
from payments.processors.sandbox import Sandbox
from tests.support import sandbox as other_side
from tests.support.every import every
from tests.support.factories import a_charge, a_lease, a_refund, kind
from tests.support.queueless import QueuelessWorker

MINUTE = timedelta(minutes=1)
WINDOW = timedelta(hours=1)


class Shop(QueuelessWorker):
    """A worker with the sandbox on the other side of the road."""

    def __init__(self, engine: Engine, wrap: Callable[[Sandbox], Any] = lambda it: it) -> None:
        processor = wrap(Sandbox(engine, sleep=lambda _: None, key_window=WINDOW))
        super().__init__(
            engine,
            processor,
            lambda duration: other_side.time_passes(engine, duration),
            key_window=WINDOW,
        )

    def moved(self, id_: str) -> list[tuple[str, int]]:
        with self.engine.connect() as connection:
            assert id_ not in other_side.moved_twice(connection)
            return [(m.direction, m.amount) for m in other_side.movements_of(connection, id_)]


class Clock:
    """Goes on only when told to."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def shop(shared_engine: Engine) -> Shop:
    return Shop(shared_engine)


CHARGED = [("charge", 1000)]


@pytest.mark.parametrize(
    ("method", "stand", "moved"),
    [
        (None, "succeeded", CHARGED),
        ("pm_card_visa", "succeeded", CHARGED),
        ("pm_card_chargeDeclined", "failed", []),
        ("pm_sandbox_timeout_after", "succeeded", CHARGED),
        ("pm_sandbox_timeout_before", "succeeded", CHARGED),
        ("pm_sandbox_error_after", "succeeded", CHARGED),
        ("pm_sandbox_unavailable_2", "succeeded", CHARGED),
        ("pm_sandbox_rate_limited", "succeeded", CHARGED),
        ("pm_sandbox_slow_60000", "succeeded", CHARGED),
        ("pm_sandbox_late_success", "succeeded", CHARGED),
        ("pm_sandbox_requires_action", "awaiting_customer", []),
        ("pm_sandbox_lost", "needs_review", []),
    ],
)
def test_every_payment_method_ends_as_it_should_and_moves_money_once(
    shop: Shop, method: str | None, stand: str, moved: list[tuple[str, int]]
) -> None:
    changes = {"payment_method_id": method} if method else {}
    request = a_charge(**changes)
    assert shop.go(request) == stand
    assert shop.moved(request.id) == moved
    told = {"awaiting_customer": ["charge.requires_action"]}.get(stand, [f"charge.{stand}"])
    assert shop.till.events(request.id) == told


@pytest.mark.parametrize(
    ("method", "stand", "moved"),
    [
        ("pm_card_visa", "succeeded", ["charge", "refund"]),
        ("pm_sandbox_refund_fails", "failed", ["charge"]),
        ("pm_sandbox_refund_timeout_after", "succeeded", ["charge", "refund"]),
        ("pm_sandbox_refund_timeout_before", "succeeded", ["charge", "refund"]),
        ("pm_sandbox_refund_error_after", "succeeded", ["charge", "refund"]),
        ("pm_sandbox_refund_unavailable_2", "succeeded", ["charge", "refund"]),
        ("pm_sandbox_refund_late_success", "succeeded", ["charge", "refund"]),
        ("pm_sandbox_refund_lost", "needs_review", ["charge"]),
    ],
)
def test_every_refund_ends_as_it_should_and_moves_money_once(
    shop: Shop, method: str, stand: str, moved: list[str]
) -> None:
    charge = a_charge(payment_method_id=method)
    shop.go(charge)
    refund = a_refund(charge)
    assert shop.go(refund) == stand
    assert [direction for direction, _ in shop.moved(charge.id)] == moved


def test_a_refund_that_fails_later_is_told_by_the_processor(shop: Shop) -> None:
    charge = a_charge(payment_method_id="pm_sandbox_refund_fails_later")
    shop.go(charge)
    refund = a_refund(charge)
    assert shop.go(refund) == "succeeded"
    shop.time_passes(MINUTE)
    told = [shop.processor.read_event(*sent) for sent in shop.processor.pull_events(100)]
    shop.till.report_all(*(event for event in told if event.object_id == refund.id))
    assert shop.till.stand(refund.id) == "failed"
    assert [d for d, _ in shop.moved(charge.id)] == ["charge", "refund", "reversal"]
    assert shop.till.row(charge.id)["refund_reserved"] == 0


def test_a_lost_charge_is_sent_again_only_while_its_key_is_remembered(shop: Shop) -> None:
    request = a_charge(payment_method_id="pm_sandbox_lost")
    shop.go(request)
    attempts = shop.till.attempts(request.id)
    assert attempts[0] == ("charge", "unknown")
    assert attempts[-1] == ("look_up", "not_found")
    (asked,) = shop.till.query(
        "SELECT calls FROM sandbox_requests WHERE object_id = :id", id=request.id
    )
    assert asked["calls"] == sum(verb == "charge" for verb, _ in attempts)


def test_a_repeat_over_the_broker_changes_nothing(shop: Shop) -> None:
    request = a_charge()
    shop.go(request)
    assert shop.executor.create(request).state == "succeeded"
    other = a_charge(amount=1, idempotency_key=request.idempotency_key)
    with pytest.raises(KeyReused):
        shop.executor.create(other)
    assert shop.moved(request.id) == CHARGED


class Broken:
    """A processor whose road breaks: at the given verb and side, with the given error."""

    def __init__(self, real: Sandbox, verb: str, after: bool, error: BaseException) -> None:
        self._real, self._verb, self._after, self._error = real, verb, after, error
        self.name, self.key_window = real.name, real.key_window
        self.livemode = real.livemode

    def charge(self, order: Order, *, deadline_s: float) -> Outcome:
        return self._call("charge", order, deadline_s)

    def refund(self, order: Order, *, deadline_s: float) -> Outcome:
        return self._call("refund", order, deadline_s)

    def look_up(self, order: Order, *, deadline_s: float) -> Found:
        return self._call("look_up", order, deadline_s)

    def cancel(self, order: Order, *, deadline_s: float) -> Found:
        return self._call("cancel", order, deadline_s)

    def _call(self, verb: str, order: Order, deadline_s: float) -> Any:
        breaks = verb == self._verb
        if breaks and not self._after:
            raise self._error
        answer = getattr(self._real, verb)(order, deadline_s=deadline_s)
        if breaks:
            raise self._error
        return answer


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("error", [ValueError("4242424242424242"), SystemExit()])
def test_whoever_dies_or_breaks_in_the_call_leaves_money_moved_at_most_once(
    shared_engine: Engine, caplog: pytest.LogCaptureFixture, after: bool, error: BaseException
) -> None:
    shop = Shop(shared_engine)
    request = a_charge()
    broken = shop.executor_with(Broken(shop.processor, "charge", after, error))
    if isinstance(error, SystemExit):
        with pytest.raises(SystemExit):
            broken.create(request)
        assert shop.till.stand(request.id) == "in_flight"
    else:
        assert broken.create(request).phase == "unknown"
        assert "4242" not in caplog.text
    assert shop.go_on(request.id) == "succeeded"
    assert shop.moved(request.id) == CHARGED


def test_an_adapter_that_breaks_while_it_looks_up_is_asked_again(shop: Shop) -> None:
    request = a_charge(payment_method_id="pm_sandbox_timeout_after")
    shop.executor.create(request)
    shop.time_passes(MINUTE, request.id)
    broken = shop.executor_with(Broken(shop.processor, "look_up", False, ValueError()))
    broken.submit(kind(request.id), request.id)
    assert shop.till.attempts(request.id)[-1] == ("look_up", "unknown")
    assert shop.go_on(request.id) == "succeeded"
    assert shop.moved(request.id) == CHARGED


def test_a_zombie_that_calls_late_moves_nothing_twice(shop: Shop) -> None:
    request = a_charge()
    zombie = shop.till.claim(request)
    shop.time_passes(MINUTE, request.id)
    assert shop.go_on(request.id) == "succeeded"
    found = shop.processor.charge(zombie.order, deadline_s=5)
    settled = shop.till.row(request.id)
    shop.till.settle(zombie, found)
    assert shop.till.row(request.id) == settled
    assert shop.moved(request.id) == CHARGED


def test_a_process_that_overslept_after_its_claim_sends_nothing(shop: Shop) -> None:
    """Its machine was suspended for days: others have settled, and the key is forgotten."""
    request, clock = a_charge(), Clock()

    def overslept(item: Begin) -> Begun:
        begun = shop.till.begin(item)[0]
        if clock.now == 0:
            shop.time_passes(MINUTE, request.id)
            assert shop.go_on(request.id) == "succeeded"
            shop.time_passes(3 * WINDOW, request.id)
            clock.now = 3 * WINDOW.total_seconds()
        return begun

    late = shop.executor_with(shop.processor, begin=overslept, clock=clock)
    assert late.create(request).state == "succeeded"
    assert shop.moved(request.id) == CHARGED


def test_a_process_that_is_stopped_right_before_it_sends_sends_nothing(shop: Shop) -> None:
    request, readings = a_charge(), iter([0.0, 0.0])
    stopped = shop.executor_with(shop.processor, clock=lambda: next(readings, 1_000_000.0))
    assert stopped.create(request).phase == "unknown"
    assert shop.moved(request.id) == []
    assert shop.go_on(request.id) == "succeeded"
    assert shop.moved(request.id) == CHARGED


@pytest.mark.parametrize("took_s", [0, 9, 10, 15])
def test_a_claim_that_waited_for_the_database_takes_its_lease_anew(
    shop: Shop, took_s: float
) -> None:
    """From half a lease of 20 s on nobody knows whether it is still ours: it is asked once more,
    under its own token, and the call begins with a whole lease."""
    request, clock = a_charge(), Clock()
    begins: list[Begin] = []
    claims: list[Claimed] = []

    def slowly(item: Begin) -> Begun:
        begins.append(item)
        begun = shop.till.begin(item)[0]
        assert isinstance(begun, Claimed)
        claims.append(begun)
        if len(begins) == 1:
            clock.now += took_s
            shop.till.time_passes(timedelta(seconds=took_s), request.id)
        return begun

    retrying = shop.executor_with(shop.processor, begin=slowly, clock=clock)
    assert retrying.create(request).state == "succeeded"
    assert shop.moved(request.id) == CHARGED
    assert len(begins) == (2 if took_s >= 10 else 1)
    assert len({item.lease.token for item in begins}) == 1
    if took_s >= 10:
        first, second = (claim.row.lease_expires_at for claim in claims)
        assert second > first
        assert shop.till.attempts(request.id) == [("charge", "succeeded")]


def test_what_others_have_claimed_while_the_database_was_away_is_left_to_them(shop: Shop) -> None:
    request, clock = a_charge(), Clock()

    def too_late(item: Begin) -> Begun:
        begun = shop.till.begin(item)[0]
        if clock.now == 0:
            clock.now = 60
            shop.time_passes(MINUTE, request.id)
            shop.till.sweep()
            shop.till.claim(request.id)
        return begun

    late = shop.executor_with(shop.processor, begin=too_late, clock=clock)
    assert late.create(request).phase == "unknown"
    assert shop.moved(request.id) == []


def test_the_order_of_a_refund_never_changes_its_key(shop: Shop) -> None:
    charge = a_charge(payment_method_id="pm_sandbox_refund_unavailable_2")
    shop.go(charge)
    refund = a_refund(charge, amount=10)
    shop.go(refund)
    keys = shop.till.query("SELECT key FROM sandbox_requests WHERE object_id = :id", id=refund.id)
    assert [row["key"] for row in keys] == [f"{refund.id}:refund"]


def test_a_charge_names_the_message_that_asked_for_it_if_that_can_be_shown(shop: Shop) -> None:
    named, nameless = a_charge(), a_charge()
    shop.executor.create(named, task_id="task-1")
    shop.executor.create(nameless, task_id="4111 1111")
    assert [shop.till.row(one.id)["request_id"] for one in (named, nameless)] == ["task-1", None]


@every("half", [{"kind": CHARGE}, {"id": "ch_1"}, {}], ids=str)
def test_what_is_to_begin_is_a_request_or_a_row_by_its_kind_and_id(half: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="neither a request nor an id"):
        _ = Begin(a_lease(), **half).target


def test_orders_carry_what_the_processor_needs(shop: Shop) -> None:
    request = a_charge(customer_id="cus_1", description="Tea", metadata={"a": "b"})
    order = shop.till.claim(request).order
    assert order == replace(
        order, amount=1000, currency="USD", customer_id="cus_1", description="Tea",
        metadata={"a": "b"},
    )  # fmt: skip


def test_what_waited_for_an_operator_has_all_its_time_once_that_is_mended(
    shared_engine: Engine,
) -> None:
    class Misconfigured:
        """The sandbox, behind a key that is wrong for a while."""

        is_wrong = True

        def __init__(self, sandbox: Sandbox) -> None:
            self._sandbox = sandbox

        def __getattr__(self, name: str) -> Any:
            return getattr(self._sandbox, name)

        def charge(self, order: Order, *, deadline_s: float) -> Outcome:
            if self.is_wrong:
                return Unavailable("authentication", 60.0, needs_operator=True)
            return self._sandbox.charge(order, deadline_s=deadline_s)

    shop = Shop(shared_engine, Misconfigured)
    charge = a_charge(payment_method_id="pm_sandbox_unavailable_2")
    shop.executor.create(charge)
    for _ in range(3):
        shop.time_passes(timedelta(days=2), charge.id)
        shop.executor.submit(kind(charge.id), charge.id)
        assert shop.till.stand(charge.id) == "queued"
    shop.processor.is_wrong = False
    assert shop.go_on(charge.id) == "succeeded"
    assert shop.moved(charge.id) == CHARGED
