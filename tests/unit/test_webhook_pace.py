"""The pace of webhooks where the rate is limited, on a clock of its own."""

from payments.webhooks.draining.pace import LATE_S, Pace


def a_pace(rate_limit: int | None, *, next_post_in_s: float = 0.0) -> Pace:
    pace = Pace()
    pace.set(rate_limit, next_post_in_s, now=100.0)
    return pace


def test_without_a_limit_nobody_waits() -> None:
    pace = a_pace(None, next_post_in_s=5.0)
    pace.count(100.0)
    assert pace.wait_s(100.0) == 0
    assert pace.left_s(100.0) is None


def test_webhooks_follow_each_other_evenly() -> None:
    pace, now = a_pace(4), 100.0
    sent = []
    for _ in range(9):
        now += pace.wait_s(now)
        pace.count(now)
        sent.append(now)
    assert sent == [100.0 + n / 4 for n in range(9)]


def test_what_the_drainer_before_left_to_wait_for_counts_once() -> None:
    pace = a_pace(4, next_post_in_s=0.5)
    assert pace.wait_s(100.0) == 0.5
    pace.set(4, 30.0, now=100.25)
    assert pace.wait_s(100.25) == 0.25
    assert pace.left_s(100.5) == 0.0


def test_a_timer_that_rounds_up_costs_no_rate_and_a_pause_brings_no_burst() -> None:
    pace, now = a_pace(1000), 100.0
    for _ in range(1000):
        now += pace.wait_s(now) and 0.002  # woken twice as late as asked for
        pace.count(now)
    assert 101.0 - LATE_S <= now <= 101.0
    now += 3600
    burst = 0
    while not pace.wait_s(now):
        pace.count(now)
        burst += 1
    assert burst <= 1000 * LATE_S + 1


def test_another_rate_counts_from_the_next_on() -> None:
    pace = a_pace(1)
    pace.count(100.0)
    pace.set(10, 0.0, now=100.0)
    assert pace.wait_s(100.0) == 1.0
    pace.count(101.0)
    assert abs(pace.wait_s(101.0) - 0.1) < 1e-9
    pace.set(None, 0.0, now=101.0)
    assert pace.wait_s(101.0) == 0.0
