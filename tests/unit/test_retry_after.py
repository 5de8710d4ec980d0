"""Retry-After, whatever is in it."""

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

from hypothesis import given
from hypothesis import strategies as st

from infra.billing.contract.retry_after import retry_after_s
from tests.support.every import every
from tests.support.strange import MOMENTS

NOW = datetime(2026, 11, 26, 12, tzinfo=UTC)

A_MOMENT = (
    r"([A-Z][a-z]{2}, )?\d{0,30} [A-Za-z]{3,9}[ -]-?\d{0,30} \d{0,30}(:\d{0,12}){0,3}"
    r" ?([+-]\d{0,30}|GMT|Z)?"
)
strange = st.sampled_from(MOMENTS) | st.text() | st.from_regex(A_MOMENT, fullmatch=True)


def asked(header: str | None) -> float | None:
    return retry_after_s(header, now_s=NOW.timestamp())


@every(
    "header, seconds",
    [
        ("120", 120.0),
        (" 0 ", 0.0),
        ("9" * 400, 999_999_999.0),
        (format_datetime(NOW - timedelta(seconds=90), usegmt=True), 0.0),
        (None, None),
        ("", None),
        ("soon", None),
        ("-5", None),
        ("1.5", None),
        ("²", None),
    ],
)
def test_the_odd_ones_are_read_or_ignored(header: str | None, seconds: float | None) -> None:
    assert asked(header) == seconds


@every("header", MOMENTS)
def test_what_is_unreadable_is_as_good_as_absent(header: str) -> None:
    assert asked(header) is None


@given(header=strange)
def test_no_header_is_too_strange_to_be_ignored(header: str) -> None:
    seconds = asked(header)
    assert seconds is None or 0 <= seconds < float("inf")


@given(seconds=st.integers(0, 10**9 - 1))
def test_both_forms_are_read(seconds: int) -> None:
    at = format_datetime(NOW + timedelta(seconds=seconds), usegmt=True)
    assert asked(str(seconds)) == asked(at) == seconds


def test_all_three_forms_of_a_date_are_read() -> None:
    # RFC 9110, 5.6.7: senders use the first, receivers read all of them.
    assert asked("Thu, 26 Nov 2026 12:00:30 GMT") == 30
    assert asked("Thursday, 26-Nov-26 12:00:30 GMT") == 30
    assert asked("Thu Nov 26 12:00:30 2026") == 30
