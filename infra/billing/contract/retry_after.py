"""The header Retry-After, as whoever was asked to wait reads it."""

from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

# The longest form of an HTTP-date has 33 characters (RFC 9110, 5.6.7).
MOMENT_LENGTH_MAX = 64


def retry_after_s(header: str | None, *, now_s: float) -> float | None:
    """What the header asks for, in seconds; None when it asks for nothing readable.

    Both forms of RFC 9110, 10.2.3: a number of seconds, or a moment. `now_s` is in seconds since
    the epoch.
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
