"""When what is asked for is to happen, and until when it is wanted."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

from sqlalchemy import func, select

from payments.errors import InvalidRequest, Refused, RequestExpired
from payments.parsing import refused
from payments.sentences import MOMENT
from payments.transaction import Transaction

# Longer than any subscription's interval. What is further off is a mistake in a date.
AHEAD_MAX = timedelta(days=366)
EXPIRES_MAX_S = 366 * 24 * 3600
# Longer than a message waits for a broker or a worker. What lies further back is a mistake in a
# date, too, and would be charged at once.
BEHIND_MAX = timedelta(days=7)

# Of what Python reads, the form that RFC 3339 has.
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T")

Place = TypeVar("Place")


@dataclass(frozen=True, slots=True)
class Timing:
    """What the headers of a message say of time; both with a zone. They are no part of the
    request: a repeat under the same key comes at another time, and is the same request.

    `not_before` (Celery's `eta` and `countdown`): it is not made before then. `good_until`
    (Celery's `expires`): it is refused when it is accepted later than that.
    """

    not_before: datetime | None = None
    good_until: datetime | None = None


ANY_TIME = Timing()


def ahead(name: str, value: Any, *, is_judged: bool = True) -> datetime:
    """A moment at most AHEAD_MAX from now, in UTC, for a field of a request; what passed less than
    BEHIND_MAX ago is taken as it is. How far off it may be is a rule of today (`payments.rules`).
    Raises pydantic's error, as validators do."""
    at = _moment(value)
    if at is None:
        raise refused(f"{name} {MOMENT}")
    now = datetime.now(UTC)
    if is_judged and at > now + AHEAD_MAX:
        raise refused(f"{name} must be at most {AHEAD_MAX.days} days ahead")
    if is_judged and at < now - BEHIND_MAX:
        raise refused(
            f"{name} is more than {BEHIND_MAX.days} days past; leave it out to charge at once"
        )
    return at


def _moment(value: Any) -> datetime | None:
    try:
        if isinstance(value, str) and _DATE.match(value):
            value = datetime.fromisoformat(value)
        if isinstance(value, datetime) and value.tzinfo is not None:
            return value.astimezone(UTC)
    except (ValueError, OverflowError):
        pass  # as below
    return None


def objections(
    transaction: Transaction, timings: Mapping[Place, Timing], *, may_wait: bool
) -> dict[Place, Refused]:
    """What speaks against new requests at these times, by the database's clock: they came after
    their own end; they are to wait, though only charges may (`may_wait`); or for too long. A moment
    that has passed is now."""
    told = {place: timing for place, timing in timings.items() if timing != ANY_TIME}
    if not told:
        return {}
    now: datetime = transaction.execute(select(func.now())).scalar_one()
    against = {place: _objection(timing, now, may_wait) for place, timing in told.items()}
    return {place: refused for place, refused in against.items() if refused is not None}


def _objection(timing: Timing, now: datetime, may_wait: bool) -> Refused | None:
    if timing.good_until is not None and timing.good_until <= now:
        return RequestExpired(param="expires")
    if timing.not_before is None or timing.not_before <= now:
        return None
    if not may_wait:
        return InvalidRequest(
            "eta and countdown are for charges only; send this when it is to be done", param="eta"
        )
    if timing.not_before > now + AHEAD_MAX:
        return InvalidRequest(f"eta must be at most {AHEAD_MAX.days} days ahead", param="eta")
    return None
