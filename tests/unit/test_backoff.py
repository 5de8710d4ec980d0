"""How long to wait: bounds that hold for every number of retries and every throw of the dice."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from payments.lifecycle.backoff import (
    LOOK_UP_S,
    RETRY_AFTER_MAX_S,
    UNAVAILABLE_MAX_S,
    UNAVAILABLE_MIN_S,
    look_up_delay_s,
    unavailable_delay_s,
)
from tests.support.every import every

retries = st.integers(1, 10_000)
throws = st.floats(0, 1, exclude_max=True)


@given(retries, throws)
def test_the_wait_for_a_busy_processor_is_between_a_second_and_five_minutes(
    n: int, throw: float
) -> None:
    delay = unavailable_delay_s(n, retry_after_s=None, dice=lambda: throw)
    assert UNAVAILABLE_MIN_S <= delay <= UNAVAILABLE_MAX_S


@given(throws)
def test_the_wait_doubles_until_it_is_long_enough(throw: float) -> None:
    delays = [unavailable_delay_s(n, retry_after_s=None, dice=lambda: throw) for n in range(1, 12)]
    assert all(a <= b <= 2 * a for a, b in pairwise(delays))
    assert delays[-1] >= UNAVAILABLE_MAX_S / 2


def test_a_thousand_that_were_refused_at_once_do_not_come_back_at_once() -> None:
    throws = iter([n / 1000 for n in range(1000)])
    delays = [
        unavailable_delay_s(5, retry_after_s=None, dice=lambda: next(throws)) for _ in range(1000)
    ]
    assert max(delays) - min(delays) > 15


@given(retries, throws, st.floats(0, 1e6))
def test_what_the_processor_asks_for_is_honoured_up_to_an_hour(
    n: int, throw: float, asked: float
) -> None:
    delay = unavailable_delay_s(n, retry_after_s=asked, dice=lambda: throw)
    assert delay >= min(asked, RETRY_AFTER_MAX_S)
    assert delay <= RETRY_AFTER_MAX_S


@every("n, least", [*enumerate(LOOK_UP_S, start=1), (6, LOOK_UP_S[-1]), (500, LOOK_UP_S[-1])])
def test_look_ups_come_soon_and_then_every_hour(n: int, least: float) -> None:
    assert look_up_delay_s(n, dice=lambda: 0.0) == least
    assert least < look_up_delay_s(n, dice=lambda: 0.99) < least * 1.1


# In numbers of their own, as docs/reference/states.md and docs/architecture.md promise them: tests
# that compare the constants with themselves would let any of them change.
@every(
    "n, least, most",
    [(1, 1, 2), (2, 2, 4), (3, 4, 8), (8, 128, 256), (9, 150, 300), (10_000, 150, 300)],
)
def test_a_busy_processor_is_tried_again_after_a_second_up_to_five_minutes(
    n: int, least: float, most: float
) -> None:
    assert unavailable_delay_s(n, retry_after_s=None, dice=lambda: 0.0) == least
    assert unavailable_delay_s(n, retry_after_s=None, dice=lambda: 1.0) == most


def test_a_processor_that_asks_for_a_day_is_asked_again_after_an_hour() -> None:
    assert unavailable_delay_s(1, retry_after_s=86_400.0, dice=lambda: 0.0) == 3_600
    assert unavailable_delay_s(1, retry_after_s=7.0, dice=lambda: 1.0) == 7
    assert unavailable_delay_s(3, retry_after_s=0.5, dice=lambda: 1.0) == 8


def test_what_is_unknown_is_looked_up_after_5_s_30_s_2_min_10_min_and_each_hour() -> None:
    waits = [look_up_delay_s(n, dice=lambda: 0.0) for n in range(1, 8)]
    assert waits == [5, 30, 120, 600, 3_600, 3_600, 3_600]
    assert look_up_delay_s(1, dice=lambda: 1.0) == 5.5
