"""What will end, and when: the only table of it, for answers, descriptions and the docs.

Everything visible to a caller stays for twelve months after the release that announces its end. An
answer of an operation in the table says so itself: `Deprecation` (RFC 9745) since when, `Sunset`
(RFC 8594) until when, and `Link` to its description and its replacement.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from email.utils import format_datetime

MONTHS_MIN = 12
Header = tuple[bytes, bytes]


@dataclass(frozen=True, slots=True, kw_only=True)
class Deprecation:
    """One thing that ends. Dates are days in UTC, of which the first moment counts."""

    what: str
    """As the docs name it: `GET /v1/billing/things`, `BILLING_THING`, `thing.happened`."""
    since: date
    """The day of the release that says so."""
    sunset: date
    """From this day on a release may be without it."""
    instead: str
    """What to use in its place, in a sentence."""
    operation: str | None = None
    """The operation's id, if it is one of HTTP: its answers tell."""
    successor: str | None = None
    """The path that takes its place, if there is one."""

    def __post_init__(self) -> None:
        if self.sunset < _later(self.since, months=MONTHS_MIN):
            raise ValueError(f"{self.what} must stay for {MONTHS_MIN} months after {self.since}")


# By the day on which it ends, the nearest first. A line goes when what it names has gone.
DEPRECATIONS: Sequence[Deprecation] = ()


def headers_by_operation(table: Sequence[Deprecation] = DEPRECATIONS) -> Mapping[str, list[Header]]:
    """Additional headers for answers of operations that end, by the operation's id."""
    return {one.operation: list(_headers(one)) for one in table if one.operation is not None}


def _headers(one: Deprecation) -> Iterator[Header]:
    yield b"deprecation", b"@%d" % _moment(one.since).timestamp()
    yield b"sunset", format_datetime(_moment(one.sunset), usegmt=True).encode()
    # The service's own description marks the operation, and is there wherever the service is.
    yield b"link", b'</openapi.json>; rel="deprecation"; type="application/json"'
    if one.successor is not None:
        yield b"link", f'<{one.successor}>; rel="successor-version"'.encode()


def _moment(day: date) -> datetime:
    return datetime.combine(day, time(), UTC)


def _later(day: date, *, months: int) -> date:
    """The same day `months` later; the first of the next month if that month has no such day."""
    years, month = divmod(day.month - 1 + months, 12)
    try:
        return day.replace(year=day.year + years, month=month + 1)
    except ValueError:
        return _later(day.replace(day=1), months=months + 1)
