"""When a call is tried again, and after how long: the rules, without a network or a clock."""

from collections.abc import Callable
from dataclasses import dataclass

from infra.billing.calls.stepwise import NoAnswer
from infra.billing.errors import BillingError

# Doubled with each try, and then a random part of it, so that a thousand producers who all lost
# the service at once don't all come back at once.
BACKOFF_S = 0.2
BACKOFF_MAX_S = 5.0
# Of what is left of the deadline, a try gets half: one that hangs leaves time for another. What is
# shorter than this is not worth halving.
HALF_MIN_S = 1.0


PASSING = frozenset({429, 500, 502, 503, 504})
# With this the service says that it did nothing, so that even what may not be done twice may be
# sent again. Not 503: the database may have committed, and only its answer got lost.
NOTHING_DONE = frozenset({429})


@dataclass(frozen=True, slots=True)
class Failure:
    """A try that failed: the error it is if it was the last, and what may follow."""

    error: BillingError
    may_repeat: bool
    at_once: bool = False
    after_s: float | None = None  # Retry-After


def of_status(
    error: BillingError, status: int, *, repeatable: bool, after_s: float | None
) -> Failure:
    """An answer that is an error."""
    may_repeat = status in (PASSING if repeatable else NOTHING_DONE)
    return Failure(error, may_repeat, after_s=after_s)


def of_silence(error: BillingError, silence: NoAnswer, *, repeatable: bool) -> Failure:
    """No answer. A connection that the service closed while nobody used it says nothing about the
    service: the next try comes at once, on another."""
    may_repeat = not silence.is_hopeless and (repeatable or not silence.is_sent)
    return Failure(error, may_repeat, at_once=silence.was_kept)


def pause_s(failure: Failure, tries: int, *, dice: Callable[[], float]) -> float:
    """How long to wait before the next try, after so many. `dice` gives numbers below 1."""
    if failure.at_once:
        return 0.0
    backoff_s = dice() * min(BACKOFF_MAX_S, BACKOFF_S * 2.0 ** (tries - 1))
    # Also on top of what the service asked for, which it asked of everybody; and may be nothing.
    return (failure.after_s or 0.0) + backoff_s


def try_s(left_s: float, *, wait_s: float = 0.0) -> float:
    """How long a try may take, of the time that is left; `wait_s` of it we asked for ourselves."""
    rest_s = left_s - wait_s
    return wait_s + (rest_s / 2 if rest_s > HALF_MIN_S else max(0.0, rest_s))
