"""The sandbox's own ways: what the contract does not ask of every processor."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine, text

from payments.payment_errors import MoveNotAllowed, NotFound
from payments.processors.event_signatures import TOLERANCE_S
from payments.processors.outcomes import Declined, Outcome, Pending, Succeeded, Unavailable, Unknown
from payments.processors.outcomes import NotFound as NothingFound
from payments.processors.port import EventRefused, Order
from payments.processors.sandbox import (
    Moved,
    Sandbox,
    complete,
    decline,
    everything_moved,
    moved_for,
)
from payments.processors.sandbox.books import apply
from payments.processors.sandbox.sandbox_events import OFFERED_AGAIN_AFTER
from payments.processors.sandbox.sandbox_requests import Instruction
from payments.processors.statements import Total, totals
from service.database.database_limits import SANDBOX
from service.wiring import open_sandbox
from tests.support.sandbox import (
    STATEMENTS,
    a_charge,
    a_refund,
    moved,
    moved_twice,
    movements_of,
    time_passes,
)
from tests.support.waiting import slowness, wait_for

DAY = timedelta(days=1)
DEADLINE_S = 5.0


@pytest.fixture
def engine(database_url: str) -> Iterator[Engine]:
    engine = open_sandbox(database_url)
    yield engine
    engine.dispose()


@pytest.fixture
def naps() -> list[float]:
    return []


@pytest.fixture
def sandbox(engine: Engine, naps: list[float]) -> Sandbox:
    return Sandbox(engine, sleep=naps.append)


def charged(sandbox: Sandbox, order: Order) -> Outcome:
    return sandbox.charge(order, deadline_s=DEADLINE_S)


def refunded(sandbox: Sandbox, order: Order) -> Outcome:
    return sandbox.refund(order, deadline_s=DEADLINE_S)


def told(sandbox: Sandbox) -> list[Outcome]:
    return [sandbox.read_event(*event).outcome for event in sandbox.pull_events(100)]


# --- payment methods --------------------------------------------------------------------------


@pytest.mark.parametrize("method", [None, "pm_card_visa", "pm_card_mastercard", "pm_of_a_stranger"])
def test_cards_without_a_script_succeed(
    sandbox: Sandbox, engine: Engine, method: str | None
) -> None:
    charge = a_charge(method)
    outcome = charged(sandbox, charge)
    assert isinstance(outcome, Succeeded)
    assert outcome.reference.startswith("sbx_")
    with engine.connect() as connection:
        assert moved(connection, charge) == [("charge", 1000)]


def test_unavailable_2_refuses_twice_and_then_works(sandbox: Sandbox) -> None:
    charge = a_charge("pm_sandbox_unavailable_2")
    refusals = [charged(sandbox, charge) for _ in range(2)]
    assert refusals == [Unavailable("service_unavailable")] * 2
    assert isinstance(charged(sandbox, charge), Succeeded)


def test_a_lost_charge_is_never_answered_never_known_and_never_moves(
    sandbox: Sandbox, engine: Engine
) -> None:
    charge = a_charge("pm_sandbox_lost")
    for _ in range(4):
        assert charged(sandbox, charge) == Unknown("timeout")
        assert sandbox.look_up(charge, deadline_s=DEADLINE_S) == NothingFound()
    with engine.connect() as connection:
        assert moved(connection, charge) == []


def test_a_customer_completes_what_requires_action(sandbox: Sandbox, engine: Engine) -> None:
    charge = a_charge("pm_sandbox_requires_action")
    pending = charged(sandbox, charge)
    assert isinstance(pending, Pending)
    assert pending.reason == "requires_action"
    time_passes(engine, DAY)
    assert sandbox.look_up(charge, deadline_s=DEADLINE_S) == pending
    with engine.begin() as connection:
        complete(connection, charge.id)
    assert told(sandbox) == [Succeeded(pending.reference)]
    with engine.connect() as connection:
        assert moved(connection, charge) == [("charge", 1000)]


def test_a_customer_declines_what_requires_action(sandbox: Sandbox, engine: Engine) -> None:
    charge = a_charge("pm_sandbox_requires_action")
    charged(sandbox, charge)
    with engine.begin() as connection:
        decline(connection, charge.id)
    [outcome] = told(sandbox)
    assert isinstance(outcome, Declined)
    assert outcome.code == "authentication_required"
    with engine.connect() as connection:
        assert moved(connection, charge) == []


@pytest.mark.parametrize("decide", [complete, decline])
def test_nobody_decides_twice_or_about_what_does_not_wait(
    sandbox: Sandbox, engine: Engine, decide: Callable[..., None]
) -> None:
    waiting, done, lost = (
        a_charge(method)
        for method in ("pm_sandbox_requires_action", "pm_card_visa", "pm_sandbox_lost")
    )
    for charge in (waiting, done, lost):
        charged(sandbox, charge)
    with engine.begin() as connection:
        decide(connection, waiting.id)
        for settled in (waiting, done):
            with pytest.raises(MoveNotAllowed):
                decide(connection, settled.id)
        for unheard_of in (lost, a_charge()):
            with pytest.raises(NotFound):
                decide(connection, unheard_of.id)


def test_a_pending_refund_counts_against_the_charge(sandbox: Sandbox, engine: Engine) -> None:
    charge = a_charge("pm_sandbox_refund_requires_action")
    charged(sandbox, charge)
    refund = a_refund(charge, amount=700)
    assert isinstance(refunded(sandbox, refund), Pending)
    assert isinstance(refunded(sandbox, a_refund(charge, amount=301)), Declined)
    assert isinstance(refunded(sandbox, a_refund(charge, amount=300)), Pending)
    with engine.begin() as connection:
        decline(connection, refund.id)
    assert isinstance(refunded(sandbox, a_refund(charge, amount=301)), Pending)


def test_an_event_may_overtake_its_answer(sandbox: Sandbox, engine: Engine) -> None:
    early: list[Outcome] = []
    slow = Sandbox(engine, sleep=lambda _: early.extend(told(sandbox)))
    answer = charged(slow, a_charge("pm_sandbox_event_first"))
    assert early == [answer]


# --- the road ---------------------------------------------------------------------------------


def test_latency_is_half_there_and_half_back(engine: Engine, naps: list[float]) -> None:
    charge = a_charge()
    seen: list[int] = []

    def nap(seconds: float) -> None:
        naps.append(seconds)
        with engine.connect() as connection:
            seen.append(len(moved(connection, charge)))

    charged(Sandbox(engine, latency_ms=300, sleep=nap), charge)
    assert naps == [pytest.approx(0.15), pytest.approx(0.15)]
    assert seen == [0, 1]


def test_a_timeout_takes_as_long_as_was_set(engine: Engine, naps: list[float]) -> None:
    sandbox = Sandbox(engine, timeout_ms=700, sleep=naps.append)
    assert charged(sandbox, a_charge("pm_sandbox_timeout_after")) == Unknown("timeout")
    assert naps == [pytest.approx(0.7)]


def test_a_database_that_is_gone_leaves_the_outcome_unknown(database_url: str) -> None:
    engine = open_sandbox(database_url + "_that_is_not_there")
    try:
        assert charged(Sandbox(engine), a_charge()) == Unknown("server_error")
    finally:
        engine.dispose()


def test_a_stopped_worker_holds_up_its_key_for_a_moment_only(database_url: str) -> None:
    charge = a_charge()
    idle_s = slowness()  # in which the first of the others must have asked
    engine = open_sandbox(database_url, limits=replace(SANDBOX, lock_s=0.1, idle_s=idle_s))
    sandbox = Sandbox(engine)
    outcomes: list[Outcome] = []

    def ask() -> Outcome:
        outcomes.append(charged(sandbox, charge))
        return outcomes[-1]

    try:
        with engine.connect() as stopped:  # It has moved the money, but never gets to commit.
            charged(sandbox, a_charge())  # on the connection of the others, which so is open
            apply(stopped, [Instruction("execute", charge)], memory=DAY)
            held = Unknown("server_error")
            wait_for(ask, until=lambda outcome: outcome != held, what="the key to be free")
            stopped.invalidate()
        assert outcomes[0] == held
        assert isinstance(outcomes[-1], Succeeded)
        with engine.connect() as connection:
            assert moved(connection, charge) == [("charge", 1000)]
    finally:
        engine.dispose()


# --- memory of keys ---------------------------------------------------------------------------


def test_a_forgotten_key_moves_money_again_and_the_ledger_shows_it(engine: Engine) -> None:
    sandbox = Sandbox(engine, key_window=timedelta(hours=1))
    charge = a_charge()
    first = charged(sandbox, charge)
    time_passes(engine, timedelta(hours=1))
    assert charged(sandbox, charge) != first
    with engine.connect() as connection:
        assert moved(connection, charge) == [("charge", 1000)] * 2
        assert moved_twice(connection) == [charge.id]


def test_a_forgotten_key_takes_another_request(engine: Engine) -> None:
    sandbox = Sandbox(engine, key_window=timedelta(hours=1))
    charge = a_charge()
    charged(sandbox, charge)
    time_passes(engine, timedelta(hours=1))
    assert isinstance(charged(sandbox, replace(charge, amount=5)), Succeeded)


# --- events -----------------------------------------------------------------------------------


def a_late_success(sandbox: Sandbox, engine: Engine) -> None:
    charged(sandbox, a_charge("pm_sandbox_late_success"))
    time_passes(engine, timedelta(minutes=1))


def test_an_event_is_offered_again_in_case_its_reader_died(
    sandbox: Sandbox, engine: Engine
) -> None:
    a_late_success(sandbox, engine)
    first = told(sandbox)
    assert len(first) == 1
    for wait in OFFERED_AGAIN_AFTER:
        assert told(sandbox) == []
        time_passes(engine, wait)
        assert told(sandbox) == first
    time_passes(engine, DAY)
    assert told(sandbox) == []


def test_no_more_events_come_than_were_asked_for(sandbox: Sandbox, engine: Engine) -> None:
    for _ in range(3):
        charged(sandbox, a_charge("pm_sandbox_late_success"))
    time_passes(engine, timedelta(minutes=1))
    assert [len(sandbox.pull_events(2)) for _ in range(3)] == [2, 1, 0]


def test_an_event_with_an_old_signature_is_refused(engine: Engine) -> None:
    now = [1_700_000_000.0]
    sandbox = Sandbox(engine, clock=lambda: now[0])
    a_late_success(sandbox, engine)
    [event] = sandbox.pull_events(1)
    now[0] += TOLERANCE_S
    assert isinstance(sandbox.read_event(*event).outcome, Succeeded)
    now[0] += 1
    with pytest.raises(EventRefused):
        sandbox.read_event(*event)


def test_an_event_of_another_secret_is_refused(sandbox: Sandbox, engine: Engine) -> None:
    a_late_success(sandbox, engine)
    [event] = sandbox.pull_events(1)
    with pytest.raises(EventRefused):
        Sandbox(engine, event_secret=b"another").read_event(*event)


# --- batches, and the witness -----------------------------------------------------------------


def test_a_batch_answers_each_of_its_instructions_in_order(engine: Engine) -> None:
    plain, declined, flaky = (
        a_charge(method) for method in (None, "pm_card_chargeDeclined", "pm_sandbox_unavailable_1")
    )
    refund = a_refund(plain, amount=600)
    too_much = a_refund(plain, amount=401)
    orders = [flaky, plain, refund, declined, flaky, too_much, refund, plain, flaky]
    instructions = [Instruction("execute", order) for order in orders]
    instructions += [Instruction("look_up", order) for order in (plain, refund, a_charge())]
    with engine.begin() as connection:
        answers = [answer.outcome for answer in apply(connection, instructions, memory=DAY)]
        assert [type(answer) for answer in answers] == [
            Unavailable, Succeeded, Succeeded, Declined, Succeeded, Declined, Succeeded, Succeeded,
            Succeeded, Succeeded, Succeeded, NothingFound,
        ]  # fmt: skip
        assert answers[1] == answers[7] == answers[9]
        assert answers[2] == answers[6] == answers[10]
        assert totals(connection, STATEMENTS)["USD"] == Total(2000, 600, 0)
        assert moved_twice(connection) == []


def test_batches_are_what_the_batch_wrapper_makes_of_them(engine: Engine) -> None:
    sizes: list[int] = []

    def in_threes(run: Callable[..., Any]) -> Callable[..., Any]:
        def submit(instruction: Instruction) -> Any:
            padding = [Instruction("execute", a_charge()) for _ in range(2)]
            answers = run([*padding, instruction])
            sizes.append(len(answers))
            return answers[-1]

        return submit

    outcome = charged(Sandbox(engine, batch=in_threes), a_charge("pm_card_chargeDeclined"))
    assert isinstance(outcome, Declined)
    assert sizes == [3]


def test_the_witness_tells_the_story_of_a_charge_and_of_a_refund(
    sandbox: Sandbox, engine: Engine
) -> None:
    charge = a_charge("pm_sandbox_refund_fails_later")
    charged(sandbox, charge)
    refund = a_refund(charge, amount=400)
    refunded(sandbox, refund)
    time_passes(engine, timedelta(minutes=1))
    sandbox.pull_events(10)
    with engine.connect() as connection:
        story = movements_of(connection, charge.id)
        assert [(m.object_id, m.direction, m.amount) for m in story] == [
            (charge.id, "charge", 1000),
            (refund.id, "refund", 400),
            (refund.id, "reversal", 400),
        ]
        refunds = [("refund", 400), ("reversal", 400)]
        assert moved(connection, refund) == refunds
        assert movements_of(connection, "ch_of_nobody") == []
        taken = Moved(charge.id, "USD", 1000, movements=1)
        came_back = Moved(refund.id, "USD", 0, movements=2)
        assert moved_for(connection, [charge.id]) == {charge.id: taken}
        assert moved_for(connection, [refund.id, "ch_of_nobody"]) == {refund.id: came_back}
        assert list(everything_moved(connection)) == [taken, came_back]


CALLS = st.lists(
    st.tuples(
        st.integers(0, 2),  # which charge
        st.sampled_from(["charge", "refund", "look up"]),
        st.integers(0, 3),  # which of its refunds
        st.integers(1, 1200),  # how much of it
    ),
    max_size=25,
)
METHODS = st.lists(
    st.sampled_from(
        [
            "pm_card_visa",
            "pm_card_chargeDeclined",
            "pm_sandbox_timeout_after",
            "pm_sandbox_timeout_before",
            "pm_sandbox_error_after",
            "pm_sandbox_unavailable_2",
            "pm_sandbox_lost",
            "pm_sandbox_late_success",
            "pm_sandbox_refund_fails_later",
            "pm_sandbox_refund_timeout_after",
            "pm_sandbox_refund_late_success",
        ]
    ),
    min_size=3,
    max_size=3,
)


@settings(
    max_examples=25,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(methods=METHODS, calls=CALLS)
def test_whatever_is_sent_in_whatever_order_no_key_moves_twice_and_no_refund_is_unpaid_for(
    engine: Engine, methods: list[str], calls: list[tuple[int, str, int, int]]
) -> None:
    sandbox = Sandbox(engine, sleep=lambda _: None)
    charges = [a_charge(method) for method in methods]
    refunds: dict[tuple[int, int], Order] = {}
    for which, verb, nth, amount in calls:
        charge = charges[which]
        refund = refunds.setdefault((which, nth), a_refund(charge, amount=amount))
        match verb:
            case "charge":
                charged(sandbox, charge)
            case "refund":
                refunded(sandbox, refund)
            case "look up":
                sandbox.look_up(refund, deadline_s=DEADLINE_S)
                time_passes(engine, timedelta(minutes=1))
    with engine.connect() as connection:
        assert moved_twice(connection) == []
        for charge in charges:
            story = movements_of(connection, charge.id)
            left = sum(m.amount * (-1 if m.direction == "refund" else 1) for m in story)
            assert 0 <= left <= charge.amount


def test_a_double_movement_would_be_seen(sandbox: Sandbox, engine: Engine) -> None:
    charge = a_charge()
    charged(sandbox, charge)
    with engine.begin() as connection:
        columns = "object_id, charge_id, reference, direction, amount, currency"
        connection.execute(
            text(f"INSERT INTO sandbox_ledger ({columns}) SELECT {columns} FROM sandbox_ledger")
        )
        assert moved_twice(connection) == [charge.id]
