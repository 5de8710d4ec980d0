"""When a webhook is retried: pure functions, with the random source passed in.

Standard Webhooks 1.0.0, "Operational considerations": ten attempts over three days.
"""

from collections.abc import Callable, Sequence

# Seconds from one attempt's answer to the next attempt; the first attempt is made at once.
DELAYS_S = (
    0.0,
    5.0,
    5 * 60.0,
    30 * 60.0,
    2 * 3600.0,
    5 * 3600.0,
    10 * 3600.0,
    14 * 3600.0,
    20 * 3600.0,
    24 * 3600.0,
)
ATTEMPTS_MAX = len(DELAYS_S)
# A thousand deliveries that failed together must not come back together.
JITTER = 0.2
# A receiver may ask for a delay, but one wrong header must not lose it webhooks for days.
RETRY_AFTER_MAX_S = 10 * 3600.0


def delays_s(retry_schedule: Sequence[int] | None) -> Sequence[float]:
    """An endpoint's own schedule in place of DELAYS_S: the seconds before each attempt but the
    first."""
    return DELAYS_S if retry_schedule is None else (0.0, *retry_schedule)


def retry_in_s(
    attempts: int,
    *,
    dice: Callable[[], float],
    retry_after_s: float | None = None,
    delays_s: Sequence[float] = DELAYS_S,
) -> float | None:
    """Seconds until the next attempt after `attempts` failed ones; None if all are used up.

    `dice` returns a float in [0, 1): the delay lies within ±20 % of the schedule, and is never
    shorter than the receiver asked for.
    """
    if attempts >= len(delays_s):
        return None
    delay_s = delays_s[attempts] * (1.0 - JITTER + 2.0 * JITTER * dice())
    return max(delay_s, min(retry_after_s or 0.0, RETRY_AFTER_MAX_S))
