"""How attempts and calls are counted while they are in progress."""

import time
from functools import cache
from types import TracebackType
from typing import Self

from payments.lifecycle.calls import Watched
from payments.lifecycle.claims import Claimed
from payments.processors.outcomes import Found
from service import log
from service.metrics import counting, metric_catalogue

_calls = cache(metric_catalogue.CALLS.labels)
_examples = counting.Examples()
_OUTCOMES = {
    "Succeeded": "succeeded",
    "Authorized": "authorized",
    "Declined": "declined",
    "Canceled": "canceled",
    "Pending": "pending",
    "Unavailable": "unavailable",
    "Unknown": "unknown",
    "NotFound": "not_found",
}


def outcome_of(found: Found | None) -> str:
    """The word for a processor's answer; None: the call raised, so the outcome is unknown."""
    return "unknown" if found is None else _OUTCOMES.get(type(found).__name__, "other")


class CountedCall(Watched):
    """The duration of a call, and its answer."""

    __slots__ = ("_began_at", "_claimed", "_found", "_verb")

    def __init__(self, claimed: Claimed, verb: str) -> None:
        self._claimed, self._verb = claimed, verb
        self._found: Found | None = None

    def __enter__(self) -> Self:
        self._began_at = time.perf_counter()
        return self

    def answered(self, found: Found) -> None:
        self._found = found

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        took_s = time.perf_counter() - self._began_at
        child = _calls(self._claimed.processor, self._verb, outcome_of(self._found))
        child.observe(took_s, _examples.of(self._claimed.row.traceparent))


class ToldAttempt(Watched):
    """Adds the attempt's object to log lines."""

    __slots__ = ("_row", "_token")

    def __init__(self, claimed: Claimed) -> None:
        self._row = claimed.row

    def __enter__(self) -> Self:
        self._token = log.subject.set(self._row)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        log.subject.reset(self._token)


class Counting:
    """A `payments.lifecycle.calls.Watch` for metrics and for the log."""

    def attempt(self, claimed: Claimed) -> Watched:
        return ToldAttempt(claimed)

    def call(self, claimed: Claimed, verb: str) -> Watched:
        return CountedCall(claimed, verb)
