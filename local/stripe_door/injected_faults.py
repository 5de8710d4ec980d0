"""What a payment method makes go wrong on the road, by its name.

`pm_fault_[VERB_]FAULT[_NUMBER][_once|_twice]`: FAULT happens to the requests that confirm the
payment, or to those of VERB (`refund`, `capture`, `cancel`, `look_up`) that follow it; to each of
them, or to the first one or two under one idempotency key. `pm_fault_applied_then_reset_once`
moves the money and loses the connection; the second try hears what came of the first.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Literal, cast

from local.stripe_door.shapes import Object
from local.stripe_door.wire.stripe_errors import Refused, api_error

Verb = Literal["charge", "refund", "capture", "cancel", "look_up"]
Road = Literal["told", "silence", "reset", "drip", "broken_json", "empty", "html"]
Events = Literal["", "first", "twice", "reversed", "late", "never"]

FIRST_EVENT_S = 10.0  # An event that comes before the answer holds the answer up for so long.


@dataclass(frozen=True, slots=True)
class Fault:
    """What goes wrong."""

    # Whether the request is carried out; False = it never arrived, or was turned away.
    executes: bool = True
    # The answer instead of the true one; it is not kept under the key.
    answer: "tuple[int, Object, Mapping[str, str]] | None" = None
    road: Road = "told"
    # Bytes of the answer that arrive, milliseconds between two bytes or before something happens.
    number: int = 0
    # Carried out `number` ms later, when the caller has gone.
    executes_late: bool = False
    waits: bool = False  # `number` ms before the answer leaves; its key is in use meanwhile
    events: Events = ""
    # To which requests, and to how many under one key.
    verb: Verb = "charge"
    times: int = 2**31


def _error(status: int, type_: str, code: str | None, message: str) -> Object:
    return Refused(status, {"type": type_, "code": code, "message": message}).error


_RATE_LIMITED = _error(
    429, "invalid_request_error", "rate_limit", "Request rate limit exceeded. Learn more about"
    " rate limits here https://stripe.com/docs/rate-limits."
)  # fmt: skip
_LOCKED = _error(
    429, "invalid_request_error", "lock_timeout", "This object cannot be accessed right now because"
    " another API request or Stripe process is currently accessing it."
)  # fmt: skip
IN_USE = _error(
    409, "idempotency_error", "idempotency_key_in_use", "There is currently another in-progress"
    " request using this Idempotent Key (that probably means you submitted twice, and the other"
    " request is still going through)."
)  # fmt: skip
_UNAUTHORIZED = _error(
    401, "invalid_request_error", "api_key_expired", "Expired API Key provided: sk_test_********"
)
_SERVER_ERROR = api_error().error
RETRY: Mapping[str, str] = {"Stripe-Should-Retry": "true"}
_SOON: Mapping[str, str] = {"Retry-After": "1", "Stripe-Rate-Limited-Reason": "global-rate"}

FAULTS: Mapping[str, Fault] = {
    # Nothing is carried out.
    "timeout_before": Fault(executes=False, road="silence"),
    "reset_before": Fault(executes=False, road="reset"),
    "500_before": Fault(executes=False, answer=(500, _SERVER_ERROR, {})),
    "503_before": Fault(executes=False, answer=(503, _SERVER_ERROR, {})),
    "401": Fault(executes=False, answer=(401, _UNAUTHORIZED, {})),
    "409": Fault(executes=False, answer=(409, IN_USE, RETRY)),
    "429": Fault(executes=False, answer=(429, _RATE_LIMITED, _SOON)),
    "lock_timeout": Fault(executes=False, answer=(429, _LOCKED, RETRY)),
    # It is carried out, but the answer is lost, or false.
    "applied_then_timeout": Fault(road="silence"),
    "applied_then_reset": Fault(road="reset"),
    "applied_then_500": Fault(answer=(500, _SERVER_ERROR, {})),
    "applied_late": Fault(road="silence", executes_late=True, number=1000),
    "reset_at_byte": Fault(road="reset"),
    "slow_drip": Fault(road="drip", number=50),
    "slow": Fault(waits=True, number=1000),
    "broken_json": Fault(road="broken_json"),
    "empty_answer": Fault(road="empty"),
    "html_answer": Fault(road="html"),
    # The answer is true, and the events are not as one would wish.
    "event_before_answer": Fault(events="first"),
    "duplicate_event": Fault(events="twice"),
    "reordered_events": Fault(events="reversed"),
    "late_event": Fault(events="late", number=2000),
    "no_event": Fault(events="never"),
}
PLAIN = Fault()

_FAULTS = "|".join(sorted(FAULTS, key=len, reverse=True))
_NAME = re.compile(
    rf"pm_fault_(?:(?P<verb>refund|capture|cancel|look_up)_)?(?P<fault>{_FAULTS})"
    r"(?:_(?P<number>[0-9]{1,6}))?(?:_(?P<times>once|twice))?"
)
_TIMES = {"once": 1, "twice": 2}


@lru_cache(maxsize=4096)
def fault_named(payment_method: str) -> Fault | None:
    """The fault of a payment method; None when it names none that there is."""
    read = _NAME.fullmatch(payment_method)
    fault = FAULTS.get(read["fault"]) if read else None
    if read is None or fault is None:
        return None
    return replace(
        fault,
        verb=cast("Verb", read["verb"] or "charge"),
        number=int(read["number"] or fault.number),
        times=_TIMES.get(read["times"] or "", fault.times),
    )
