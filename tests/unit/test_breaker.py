"""When an endpoint that fails is left alone, and for how long."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from payments.webhooks.pacing import breaker
from payments.webhooks.pacing.breaker import (
    BACK_OFFS_S,
    COUNTED_S,
    GONE_S,
    JITTER,
    Standing,
    Tally,
    judged,
)

WELL = Standing()
tallies = st.builds(
    Tally,
    accepted=st.integers(0, 20),
    failed=st.integers(0, 20),
    given_up=st.integers(0, 3),
    patience_s=st.floats(0, 36_000),
    is_gone=st.booleans(),
)


def after(*tallies: Tally, was: Standing = WELL, dice: float = 0.0) -> Standing:
    for tally in tallies:
        was = judged(was, tally, dice=dice)
    return was


def past(standing: Standing, seconds: float) -> Standing:
    """The same, so much later."""

    def older(ago_s: float | None) -> float | None:
        return None if ago_s is None else ago_s + seconds

    return replace(
        standing,
        counted_ago_s=older(standing.counted_ago_s),
        failing_ago_s=older(standing.failing_ago_s),
        held_back_s=max(0.0, standing.held_back_s - seconds),
    )


@pytest.mark.parametrize(
    ("accepted", "failed", "trips"), [(0, 9, False), (0, 10, True), (3, 7, True), (4, 7, False)]
)
def test_most_of_ten_attempts_have_to_fail(accepted: int, failed: int, trips: bool) -> None:
    """Counting begins with a failure, so that one comes first."""
    standing = after(Tally(failed=1), Tally(accepted=accepted), Tally(failed=failed - 1))
    assert (standing.held_back_because == "failing") is trips
    assert standing.held_back_s == (30.0 if trips else 0.0)


def test_what_failed_long_ago_does_not_count() -> None:
    once = past(after(Tally(failed=9)), COUNTED_S)
    assert after(Tally(failed=1), was=once).counted_failed == 1
    assert after(Tally(accepted=1), was=once) == WELL


def test_what_was_accepted_before_the_first_failure_is_not_counted() -> None:
    assert after(Tally(accepted=1000)) == WELL


def test_each_probe_that_fails_doubles_the_wait_up_to_ten_minutes() -> None:
    standing, waits = after(Tally(failed=10)), []
    for _ in range(8):
        waits.append(standing.held_back_s)
        standing = after(Tally(failed=1), was=past(standing, standing.held_back_s))
    assert waits == [30, 60, 120, 240, 480, 600, 600, 600]


def test_what_was_under_way_when_it_was_left_alone_is_no_probe() -> None:
    standing = after(Tally(failed=10), Tally(failed=5))
    assert (standing.back_offs, standing.held_back_s) == (1, 30)


def test_a_probe_that_is_accepted_closes_it_and_begins_anew() -> None:
    standing = past(after(Tally(failed=10)), 30)
    assert after(Tally(accepted=1), was=standing) == WELL
    assert after(Tally(accepted=1), Tally(failed=10), was=standing).held_back_s == 30


def test_waits_are_longer_by_chance_and_never_shorter() -> None:
    assert after(Tally(failed=10), dice=0.5).held_back_s == 30 * (1 + JITTER / 2)


def test_of_two_reasons_the_one_that_lasts_longer_counts() -> None:
    busy = Tally(failed=1, patience_s=100)
    assert after(busy).held_back_because == "retry_after"
    assert after(busy, Tally(failed=1, patience_s=50)).held_back_s == 100
    assert after(replace(busy, failed=10)).held_back_because == "retry_after"
    assert after(replace(busy, failed=10, patience_s=10)).held_back_because == "failing"


def test_what_is_gone_is_left_alone_longest() -> None:
    standing = after(Tally(failed=10, patience_s=36_000, is_gone=True))
    assert (standing.held_back_s, standing.held_back_because) == (GONE_S, "gone")


def test_what_is_accepted_meanwhile_does_not_shorten_what_was_asked_for() -> None:
    standing = after(Tally(failed=1, patience_s=100), Tally(accepted=5))
    assert (standing.held_back_s, standing.held_back_because) == (100, "retry_after")


def test_it_fails_since_its_first_failure_and_until_its_next_success() -> None:
    standing = past(after(Tally(failed=1, given_up=1)), 1000)
    assert after(Tally(failed=1), was=standing).failing_ago_s == 1000
    assert after(Tally(failed=1), was=standing).has_given_up
    assert after(Tally(accepted=1, failed=3, given_up=1), was=standing).failing_ago_s is None
    assert not after(Tally(accepted=1, given_up=1), was=standing).has_given_up


@given(
    st.lists(st.tuples(tallies, st.floats(0, 1000)), max_size=30), st.floats(0, 1, exclude_max=True)
)
def test_whatever_happens_a_wait_has_a_reason_and_an_end(
    history: list[tuple[Tally, float]], dice: float
) -> None:
    standing = WELL
    longest = max(BACK_OFFS_S) * (1 + JITTER)
    for tally, pause_s in history:
        standing = past(judged(standing, tally, dice=dice), pause_s)
        assert 0 <= standing.counted_failed <= standing.counted
        assert standing.held_back_s <= max(GONE_S, longest)
        assert standing.held_back_because is not None or standing.held_back_s == 0
        assert standing.held_back_because in (None, "retry_after", "failing", "gone")


def test_the_last_try_by_the_schedule_is_before_it_is_disabled() -> None:
    assert sum(breaker.schedule.DELAYS_S) * 1.2 < breaker.DISABLED_AFTER_S
    assert breaker.WARNED_AFTER_S < breaker.DISABLED_AFTER_S
