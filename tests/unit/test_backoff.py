"""How long to wait: bounds that hold for every number of retries and every throw of the dice."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from payments.backoff import (
    LOOK_UP_S,
    RETRY_AFTER_MAX_S,
    UNAVAILABLE_MAX_S,
    UNAVAILABLE_MIN_S,
    look_up_delay_s,
    unavailable_delay_s,
)

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


@pytest.mark.parametrize(
    ("n", "least"), [*enumerate(LOOK_UP_S, start=1), (6, LOOK_UP_S[-1]), (500, LOOK_UP_S[-1])]
)
def test_look_ups_come_soon_and_then_every_hour(n: int, least: float) -> None:
    assert look_up_delay_s(n, dice=lambda: 0.0) == least
    assert least < look_up_delay_s(n, dice=lambda: 0.99) < least * 1.1
