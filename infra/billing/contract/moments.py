"""Moments in requests: RFC 3339 with a zone, or a datetime that has one."""

import re
from datetime import UTC, datetime

from infra.billing.contract.invalid import Invalid
from infra.billing.contract.limits import BEHIND_MAX, MOMENT_AHEAD_MAX

# A refusal's text about an invalid moment, after the field.
MOMENT = "must be a moment with its zone, like 2026-11-22T10:00:00Z"
# The RFC 3339 form among those that Python reads.
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T")


def moment(value: object) -> datetime | None:
    """The moment in UTC that `value` says; None if it is not one."""
    try:
        if isinstance(value, str) and _DATE.match(value):
            value = datetime.fromisoformat(value)
        if isinstance(value, datetime) and value.tzinfo is not None:
            return value.astimezone(UTC)
    except (ValueError, OverflowError):
        pass  # as below
    return None


def rfc3339(at: datetime) -> str:
    """RFC 3339 in UTC with a `Z`, to the microsecond."""
    return at.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def ahead(
    param: str, value: object, *, is_judged: bool = True, may_be_past: bool = False
) -> datetime:
    """A moment at most MOMENT_AHEAD_MAX from now, in UTC; one that passed less than BEHIND_MAX ago
    is accepted unchanged. The distance is one of today's rules: without `is_judged`, any moment is
    accepted. `may_be_past` is for callers that don't know whether it is a repeat, as time has
    passed since the first request.

    Raises Invalid.
    """
    at = moment(value)
    if at is None:
        raise Invalid(f"{param} {MOMENT}", param=param)
    now = datetime.now(UTC)
    if is_judged and at > now + MOMENT_AHEAD_MAX:
        raise Invalid(f"{param} must be at most {MOMENT_AHEAD_MAX.days} days ahead", param=param)
    if is_judged and not may_be_past and at < now - BEHIND_MAX:
        raise Invalid(
            f"{param} is more than {BEHIND_MAX.days} days past; leave it out to charge at once",
            param=param,
        )
    return at
