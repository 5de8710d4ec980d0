"""The schedule of retries: Standard Webhooks' ten attempts, and what a receiver may ask for."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from payments.webhooks.draining.schedule import (
    ATTEMPTS_MAX,
    DELAYS_S,
    RETRY_AFTER_MAX_S,
    delays_s,
    retry_in_s,
)

NOW_S = 1_800_000_000.0
dice = st.floats(0, 1, exclude_max=True)


def middle() -> float:
    """Dice that add no jitter."""
    return 0.5


def test_ten_attempts_span_three_days_and_three_and_a_half_hours() -> None:
    assert ATTEMPTS_MAX == 10
    waits = [retry_in_s(attempts, dice=middle) for attempts in range(1, 10)]
    assert waits == [5, 300, 1800, 7200, 18000, 36000, 50400, 72000, 86400]
    assert sum(DELAYS_S) == (75 * 60 + 35) * 60 + 5


def test_after_the_tenth_attempt_there_is_no_other() -> None:
    assert retry_in_s(10, dice=middle) is None
    assert retry_in_s(10, dice=middle, retry_after_s=60) is None


@given(attempts=st.integers(1, 9), throw=dice)
def test_jitter_stays_within_a_fifth_of_the_schedule(attempts: int, throw: float) -> None:
    delay_s = retry_in_s(attempts, dice=lambda: throw)
    assert delay_s is not None
    assert 0.8 * DELAYS_S[attempts] <= delay_s <= 1.2 * DELAYS_S[attempts]


@given(attempts=st.integers(1, 9), throw=dice, asked_s=st.floats(0, 1e9))
def test_a_receiver_may_ask_for_patience_up_to_ten_hours_and_never_for_haste(
    attempts: int, throw: float, asked_s: float
) -> None:
    usual_s = retry_in_s(attempts, dice=lambda: throw)
    delay_s = retry_in_s(attempts, dice=lambda: throw, retry_after_s=asked_s)
    assert usual_s is not None
    assert delay_s == max(usual_s, min(asked_s, RETRY_AFTER_MAX_S))


def test_a_receiver_that_asks_for_days_is_tried_again_after_ten_hours() -> None:
    assert retry_in_s(1, dice=middle, retry_after_s=7 * 86_400.0) == 36_000
    assert retry_in_s(1, dice=middle, retry_after_s=9.0) == 9
    assert retry_in_s(2, dice=middle, retry_after_s=9.0) == 300


@pytest.mark.parametrize(("throw", "factor"), [(0.0, 0.8), (0.5, 1.0), (1.0, 1.2)])
def test_jitter_reaches_both_ends_of_a_fifth(throw: float, factor: float) -> None:
    assert retry_in_s(2, dice=lambda: throw) == pytest.approx(300 * factor)


def test_an_endpoint_may_have_a_schedule_of_its_own() -> None:
    own = delays_s((60, 600))
    waits = [retry_in_s(attempts, dice=middle, delays_s=own) for attempts in range(1, 4)]
    assert waits == [60, 600, None]
    assert retry_in_s(1, dice=middle, retry_after_s=90.0, delays_s=own) == 90
    assert retry_in_s(2, dice=lambda: 0.0, delays_s=own) == pytest.approx(480)
    assert delays_s(None) == DELAYS_S
