"""The header Retry-After, for the side that must wait."""

from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

# The longest form of an HTTP-date has 33 characters (RFC 9110, 5.6.7).
MOMENT_LENGTH_MAX = 64


def retry_after_s(header: str | None, *, now_s: float) -> float | None:
    """The header's value in seconds; None if it is unreadable or missing.

    Both forms of RFC 9110, 10.2.3: a number of seconds, or a moment. `now_s` is in seconds since
    the epoch.
    """
    text = (header or "").strip()
    if text.isascii() and text.isdigit():
        return float(text[:9])  # Nine digits are enough for decades.
    if not text or len(text) > MOMENT_LENGTH_MAX:
        return None
    try:
        moment = parsedate_to_datetime(text)
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=UTC)
        return max(0.0, (moment - datetime.fromtimestamp(now_s, UTC)).total_seconds())
    # The parser for dates in mail doesn't expect hostile input: years of twenty digits, zones of
    # days.
    except (ValueError, OverflowError, TypeError, IndexError):
        return None
