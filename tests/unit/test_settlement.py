"""Every answer of a processor at every status: what it means, as a table."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from models.states import CHARGE_MOVES, Phase, State, Status
from payments.lifecycle.backoff import LOOK_UP_S
from payments.lifecycle.moving.moves import Move
from payments.lifecycle.settlement import GIVE_UP_TRIES, Policy, decide, policies_of
from payments.processors.outcomes import (
    UNANSWERED,
    Declined,
    Found,
    NotFound,
    Pending,
    Succeeded,
    Unavailable,
    Unknown,
)
from tests.support.every import every

NOW = datetime(2026, 1, 2, tzinfo=UTC)
POLICY = Policy(key_window=timedelta(hours=24))

IN_FLIGHT, UNKNOWN, AWAITING = Phase.IN_FLIGHT, Phase.UNKNOWN, Phase.AWAITING_CUSTOMER
QUEUED, REVIEW = Phase.QUEUED, Phase.NEEDS_REVIEW
YES = Succeeded("sbx_1")
NO = Declined("card_declined", "generic_decline", "")
LATER = Pending("sbx_1", "requires_action")
BUSY = Unavailable("service_unavailable")
SILENCE = Unknown("timeout")
NOTHING = NotFound()


DAY = timedelta(hours=24)


@dataclass(frozen=True)
class Remembers:
    """Of a processor, what a policy is made of."""

    key_window: timedelta


def a_row(phase: Phase, *, called_ago: timedelta = timedelta(minutes=1), **changes: Any) -> Any:
    columns = {
        "id": "ch_1",
        "state": "pending",
        "phase": phase,
        "retries": 0,
        "now": NOW,
        "created_at": NOW - called_ago,
        "first_called_at": NOW - called_ago,
        **changes,
    }
    return SimpleNamespace(**columns)


def decided(row: Any, found: Found, verb: str = "charge") -> Move:
    return decide(row, found, verb=verb, policy=POLICY, dice=lambda: 0.0)


# What was called, where it stands, what came of it → where it goes, and after how many seconds it
# is looked at again (None = never).
INSIDE_THE_WINDOW: list[tuple[str, Phase, Found, Status, float | None]] = [
    ("charge", IN_FLIGHT, YES, State.SUCCEEDED, None),
    ("charge", IN_FLIGHT, NO, State.FAILED, None),
    ("charge", IN_FLIGHT, LATER, AWAITING, 5),
    ("charge", IN_FLIGHT, BUSY, QUEUED, 1),
    ("charge", IN_FLIGHT, SILENCE, UNKNOWN, 5),
    ("charge", UNKNOWN, YES, State.SUCCEEDED, None),
    ("charge", UNKNOWN, NO, State.FAILED, None),
    ("charge", UNKNOWN, LATER, AWAITING, 5),
    ("charge", UNKNOWN, BUSY, UNKNOWN, 5),  # this call was not executed; the first?
    ("charge", UNKNOWN, SILENCE, UNKNOWN, 5),
    ("look_up", UNKNOWN, YES, State.SUCCEEDED, None),
    ("look_up", UNKNOWN, NO, State.FAILED, None),
    ("look_up", UNKNOWN, LATER, AWAITING, 5),
    ("look_up", UNKNOWN, BUSY, UNKNOWN, 5),
    ("look_up", UNKNOWN, SILENCE, UNKNOWN, 5),
    ("look_up", UNKNOWN, NOTHING, UNKNOWN, 5),
    ("look_up", AWAITING, YES, State.SUCCEEDED, None),
    ("look_up", AWAITING, NO, State.FAILED, None),
    ("look_up", AWAITING, LATER, AWAITING, 5),
    ("look_up", AWAITING, BUSY, AWAITING, 5),
    ("look_up", AWAITING, SILENCE, AWAITING, 5),
    ("look_up", AWAITING, NOTHING, UNKNOWN, 5),
    ("report", QUEUED, YES, State.SUCCEEDED, None),
    ("report", QUEUED, NO, State.FAILED, None),
    ("report", QUEUED, LATER, AWAITING, 5),
    ("report", IN_FLIGHT, YES, State.SUCCEEDED, None),
    ("report", AWAITING, NO, State.FAILED, None),
    ("report", REVIEW, YES, State.SUCCEEDED, None),
    ("report", REVIEW, NO, State.FAILED, None),
]  # fmt: skip


@every("verb, at, found, to, next_in_s", INSIDE_THE_WINDOW)
def test_every_answer_has_its_move(
    verb: str, at: Phase, found: Found, to: Status, next_in_s: float | None
) -> None:
    move = decided(a_row(at), found, verb)
    assert (move.to, move.next_in_s) == (to, next_in_s)
    assert move.verb == verb
    assert move.to in CHARGE_MOVES[at]


def test_a_decline_keeps_our_word_and_the_processors() -> None:
    move = decided(a_row(IN_FLIGHT), NO)
    assert move.failure_code == "card_declined"
    assert move.failure_message == "The card was declined."
    assert move.processor_code == move.code == "generic_decline"


def test_success_keeps_the_processors_reference() -> None:
    assert decided(a_row(IN_FLIGHT), YES).processor_reference == "sbx_1"


@pytest.mark.parametrize(
    ("at", "found", "verb"), [(UNKNOWN, NOTHING, "look_up"), (AWAITING, LATER, "look_up")]
)
def test_look_ups_become_rarer(at: Phase, found: Found, verb: str) -> None:
    delays = [decided(a_row(at, retries=n), found, verb).next_in_s for n in range(7)]
    assert delays == [*LOOK_UP_S, LOOK_UP_S[-1], LOOK_UP_S[-1]]


def test_a_busy_processor_is_asked_ever_more_rarely_or_when_it_says() -> None:
    delays = [decided(a_row(IN_FLIGHT, retries=n), BUSY).next_in_s for n in range(4)]
    assert delays == [1, 2, 4, 8]
    asked = Unavailable("rate_limited", retry_after_s=60)
    assert decided(a_row(IN_FLIGHT), asked).next_in_s == 60


def test_a_processor_that_refuses_for_a_day_is_given_up() -> None:
    day, often = timedelta(hours=24), GIVE_UP_TRIES
    early = a_row(IN_FLIGHT, called_ago=day - timedelta(seconds=1), retries=often)
    assert decided(early, BUSY).to is QUEUED
    # A day after the first call, a person may have decided to send it again.
    assert decided(a_row(IN_FLIGHT, called_ago=day, retries=often - 1), BUSY).to is QUEUED
    move = decided(a_row(IN_FLIGHT, called_ago=day, retries=often), BUSY)
    assert (move.to, move.failure_code) == (State.FAILED, "processor_unavailable")


def test_an_end_without_an_answer_leaves_what_was_never_sent_where_it_was() -> None:
    for reason in UNANSWERED:
        move = decided(a_row(IN_FLIGHT, retries=2), Unknown(reason), "cancel")
        assert (move.to, move.outcome, move.retries) == (QUEUED, "unknown", 3)
    # What may have been sent, or is known to be there, stays in doubt.
    assert decided(a_row(UNKNOWN), Unknown("timeout"), "cancel").to is UNKNOWN
    for found in (Unknown("another_amount"), Unknown("timeout", "pi_1")):
        assert decided(a_row(IN_FLIGHT), found, "cancel").to is UNKNOWN
    assert decided(a_row(IN_FLIGHT), Unknown("timeout"), "charge").to is UNKNOWN


def test_what_waits_for_an_operator_is_not_given_up_and_counts_as_never_sent() -> None:
    found = Unavailable("authentication", 60.0, needs_operator=True)
    move = decided(a_row(IN_FLIGHT, called_ago=timedelta(days=30), retries=99), found)
    assert (move.to, move.is_unsent) == (QUEUED, True)
    assert not decided(a_row(IN_FLIGHT), BUSY).is_unsent
    # What may have been executed before is still in doubt.
    assert decided(a_row(UNKNOWN), found, "look_up").to is UNKNOWN
    assert not decided(a_row(UNKNOWN), found, "look_up").is_unsent


def test_a_refund_that_waited_for_its_charge_is_not_given_up_at_the_first_refusal() -> None:
    waited = a_row(IN_FLIGHT, created_at=NOW - timedelta(days=3))
    assert decided(waited, BUSY).to is QUEUED


# --- after the processor may have forgotten the key ---

LATE = timedelta(hours=24)


@pytest.mark.parametrize("found", [YES, NO, LATER])
def test_an_answer_counts_however_late_it_comes(found: Found) -> None:
    row = a_row(UNKNOWN, called_ago=timedelta(days=30))
    assert decided(row, found, "look_up").to is decided(a_row(UNKNOWN), found, "look_up").to


def test_what_the_processor_never_heard_of_needs_review_once_it_cant_be_sent_again() -> None:
    assert decided(a_row(UNKNOWN, called_ago=LATE), NOTHING, "look_up").to is REVIEW


@pytest.mark.parametrize("found", [SILENCE, BUSY])
def test_a_processor_that_gives_no_answer_is_asked_a_few_times_before_a_person_is(
    found: Found,
) -> None:
    stands = [
        decided(a_row(UNKNOWN, called_ago=LATE, retries=n), found, "look_up").to for n in range(7)
    ]
    assert stands == [UNKNOWN] * 5 + [REVIEW] * 2


@pytest.mark.parametrize("found", [SILENCE, BUSY])
def test_after_the_last_call_it_is_looked_up_once_more(found: Found) -> None:
    move = decided(a_row(UNKNOWN, called_ago=LATE, retries=20), found, "charge")
    assert (move.to, move.next_in_s) == (UNKNOWN, 5)


def test_the_first_call_may_be_late_and_still_unknown() -> None:
    assert decided(a_row(IN_FLIGHT, called_ago=LATE), SILENCE).to is UNKNOWN


@every(
    "ago, may",
    [
        (timedelta(0), True),
        (timedelta(hours=23, minutes=54), True),
        (timedelta(hours=23, minutes=55), False),  # five minutes for clocks that differ
        (timedelta(hours=24), False),
    ],
)
def test_nothing_is_sent_again_in_the_last_minutes_of_a_key(ago: timedelta, may: bool) -> None:
    assert POLICY.may_resend(a_row(UNKNOWN, called_ago=ago), NOW) is may


def test_a_short_window_keeps_half_of_itself() -> None:
    policy = Policy(key_window=timedelta(minutes=1))
    row = a_row(UNKNOWN, called_ago=timedelta(seconds=29))
    assert policy.may_resend(row, NOW)
    assert not policy.may_resend(row, NOW + timedelta(seconds=1))


def test_what_was_never_sent_may_be_sent() -> None:
    assert POLICY.may_resend(a_row(QUEUED, first_called_at=None), NOW)


def test_each_processor_has_a_policy_of_its_own_memory() -> None:
    hours = {"a": Remembers(timedelta(hours=24)), "b": Remembers(timedelta(hours=1))}
    policies = policies_of(hours)  # type: ignore[arg-type]
    assert {name: one.key_window for name, one in policies.items()} == {
        "a": timedelta(hours=24),
        "b": timedelta(hours=1),
    }


@every(
    "window, ago, resends",
    [
        # Five minutes are left for clocks that differ; of a short memory, half.
        (timedelta(hours=24), timedelta(hours=23, minutes=54, seconds=59), True),
        (timedelta(hours=24), timedelta(hours=23, minutes=55), False),
        (timedelta(seconds=60), timedelta(seconds=29), True),
        (timedelta(seconds=60), timedelta(seconds=30), False),
    ],
)
def test_nothing_is_sent_again_in_the_last_minutes_of_a_keys_life(
    window: timedelta, ago: timedelta, resends: bool
) -> None:
    policy = Policy(key_window=window)
    assert policy.may_resend(a_row(UNKNOWN, called_ago=ago), NOW) is resends
    assert policy.may_resend(a_row(UNKNOWN, first_called_at=None), NOW)


@pytest.mark.parametrize(("ago", "to"), [(timedelta(hours=23), QUEUED), (DAY, State.FAILED)])
def test_a_processor_that_is_busy_for_a_day_is_given_up(ago: timedelta, to: Status) -> None:
    move = decided(a_row(IN_FLIGHT, called_ago=ago, retries=GIVE_UP_TRIES), BUSY)
    assert move.to is to
    assert move.failure_code == ("processor_unavailable" if to is State.FAILED else None)


def test_a_look_up_that_is_not_through_goes_on_soon_and_never_ends_with_a_person() -> None:
    seen = NOW - timedelta(hours=1)
    for retries in range(len(LOOK_UP_S) + 2):
        row = a_row(UNKNOWN, called_ago=DAY * 2, retries=retries)
        found = Unknown("look_up_incomplete", looked_until=seen)
        move = decide(row, found, verb="look_up", policy=POLICY, dice=lambda: 0.5)
        assert (move.to, move.next_in_s, move.retries) == (UNKNOWN, LOOK_UP_S[0], retries)
        assert move.looked_until == seen


def test_what_an_answer_lets_know_of_the_processors_id_is_kept() -> None:
    found = Unknown("look_up_failed", "pi_1")
    move = decide(a_row(IN_FLIGHT), found, verb="charge", policy=POLICY, dice=lambda: 0.5)
    assert (move.to, move.processor_reference) == (UNKNOWN, "pi_1")
