"""When a webhook is tried again: pure arithmetic, with the dice passed in.

Standard Webhooks 1.0.0, "Operational considerations": ten attempts over three days.
"""

from collections.abc import Callable
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

# Seconds from one attempt's answer to the next attempt; the first one is made at once.
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
# A receiver may ask for patience, but not so much that one wrong header loses it for days.
RETRY_AFTER_MAX_S = 10 * 3600.0
# The longest form of an HTTP-date has 33 characters (RFC 9110, 5.6.7).
MOMENT_LENGTH_MAX = 64


def retry_in_s(
    attempts: int, *, dice: Callable[[], float], retry_after_s: float | None = None
) -> float | None:
    """Seconds until the next attempt after `attempts` failed ones; None when all are used up.

    `dice` returns a float in [0, 1): the delay lies within ±20 % of the schedule, and is never
    shorter than what the receiver asked for.
    """
    if attempts >= ATTEMPTS_MAX:
        return None
    delay_s = DELAYS_S[attempts] * (1.0 - JITTER + 2.0 * JITTER * dice())
    return max(delay_s, min(retry_after_s or 0.0, RETRY_AFTER_MAX_S))


def retry_after_s(header: str | None, *, now_s: float) -> float | None:
    """What a Retry-After header asks for, in seconds; None when it asks for nothing readable.

    Both forms of RFC 9110, 10.2.3: a number of seconds, or a moment. `now_s` is in seconds since
    the epoch. `infra.billing.retries` reads the same: `tests/contract/test_retry_after.py`.
    """
    text = (header or "").strip()
    if text.isascii() and text.isdigit():
        return float(text[:9])  # More digits than fit a century say no more than nine do.
    if not text or len(text) > MOMENT_LENGTH_MAX:
        return None
    try:
        moment = parsedate_to_datetime(text)
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=UTC)
        return max(0.0, (moment - datetime.fromtimestamp(now_s, UTC)).total_seconds())
    # The parser of mail's dates is not made for strangers: years of twenty digits, zones of days.
    except (ValueError, OverflowError, TypeError, IndexError):
        return None
