"""Retry-After is read alike by those who deliver webhooks and by the SDK, whatever is in it."""

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

from hypothesis import given
from hypothesis import strategies as st

from infra.billing import retries
from payments.webhooks import schedule
from tests.support.every import every
from tests.support.strange import MOMENTS

NOW = datetime(2026, 11, 26, 12, tzinfo=UTC)

A_MOMENT = (
    r"([A-Z][a-z]{2}, )?\d{0,30} [A-Za-z]{3,9}[ -]-?\d{0,30} \d{0,30}(:\d{0,12}){0,3}"
    r" ?([+-]\d{0,30}|GMT|Z)?"
)
strange = st.sampled_from(MOMENTS) | st.text() | st.from_regex(A_MOMENT, fullmatch=True)


def both(header: str) -> tuple[float | None, float | None]:
    ours = schedule.retry_after_s(header, now_s=NOW.timestamp())
    return ours, retries.retry_after_s({"retry-after": header}, now=lambda: NOW)


@every("header", MOMENTS)
def test_what_is_unreadable_is_as_good_as_absent(header: str) -> None:
    assert both(header) == (None, None)


@given(header=strange)
def test_both_read_the_same_and_neither_stumbles(header: str) -> None:
    ours, theirs = both(header)
    assert ours == theirs
    assert ours is None or 0 <= ours < float("inf")


@given(seconds=st.integers(0, 10**9 - 1))
def test_both_forms_are_read(seconds: int) -> None:
    at = format_datetime(NOW + timedelta(seconds=seconds), usegmt=True)
    assert both(str(seconds)) == both(at) == (seconds, seconds)


def test_all_three_forms_of_a_date_are_read() -> None:
    # RFC 9110, 5.6.7: senders use the first, receivers read all of them.
    assert both("Thu, 26 Nov 2026 12:00:30 GMT") == (30, 30)
    assert both("Thursday, 26-Nov-26 12:00:30 GMT") == (30, 30)
    assert both("Thu Nov 26 12:00:30 2026") == (30, 30)
