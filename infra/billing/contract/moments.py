"""Moments, as requests say them: RFC 3339 with a zone, or a datetime that has one."""

import re
from datetime import UTC, datetime

from infra.billing.contract.invalid import Invalid
from infra.billing.contract.limits import BEHIND_MAX, MOMENT_AHEAD_MAX

# What a refusal says of what is none, behind the field.
MOMENT = "must be a moment with its zone, like 2026-11-22T10:00:00Z"
# Of what Python reads, the form that RFC 3339 has.
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T")


def moment(value: object) -> datetime | None:
    """The moment in UTC that `value` says; None if it says none."""
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
    """A moment at most MOMENT_AHEAD_MAX from now, in UTC; what passed less than BEHIND_MAX ago is
    taken as it is. How far off it may be is a rule of today: without `is_judged`, any moment is
    taken. `may_be_past` is for callers who don't know whether it is a repeat: time goes on
    meanwhile.

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
