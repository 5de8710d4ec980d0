"""When a request is to be carried out, and until when it may be."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar

from sqlalchemy import func, select

from infra.billing.contract.limits import MOMENT_AHEAD_MAX
from payments.payment_errors import InvalidRequest, Refused, RequestExpired
from payments.transaction import Transaction

Place = TypeVar("Place")


@dataclass(frozen=True, slots=True)
class Timing:
    """The time limits in the headers of a message; both have a zone. They are not part of the
    request: a repeat under the same key comes at another time, and is the same request.

    `not_before` (Celery's `eta` and `countdown`): it is not carried out earlier. `good_until`
    (Celery's `expires`): it is refused if it is accepted later.
    """

    not_before: datetime | None = None
    good_until: datetime | None = None


ANY_TIME = Timing()


def objections(
    transaction: Transaction, timings: Mapping[Place, Timing], *, may_wait: bool
) -> dict[Place, Refused]:
    """The refusals of new requests for their timing, by the database's clock: they came after their
    own end; they are to wait, though only charges may (`may_wait`); or for too long. A moment that
    has passed counts as now."""
    limited = {place: timing for place, timing in timings.items() if timing != ANY_TIME}
    if not limited:
        return {}
    now: datetime = transaction.execute(select(func.now())).scalar_one()
    against = {place: _objection(timing, now, may_wait) for place, timing in limited.items()}
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
    if timing.not_before > now + MOMENT_AHEAD_MAX:
        return InvalidRequest(
            f"eta must be at most {MOMENT_AHEAD_MAX.days} days ahead", param="eta"
        )
    return None
