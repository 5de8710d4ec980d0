"""When a call is retried, and after how long: the rules, without a network or a clock."""

from collections.abc import Callable
from dataclasses import dataclass

from infra.billing.calls.stepwise import NoAnswer
from infra.billing.errors import BillingError

# Doubled with each try, and then a random part of it, so that a thousand producers that lost the
# service at once don't all come back at once.
BACKOFF_S = 0.2
BACKOFF_MAX_S = 5.0
# A try gets half of the remaining time: one that hangs leaves time for another. Less than this is
# not worth halving.
HALF_MIN_S = 1.0


PASSING = frozenset({429, 500, 502, 503, 504})
# With this status the service did nothing, so even requests that must not be done twice may be sent
# again. Not 503: the database may have committed, and only its answer got lost.
NOTHING_DONE = frozenset({429})


@dataclass(frozen=True, slots=True)
class Failure:
    """A failed try: its error, in case it was the last, and what may follow."""

    error: BillingError
    may_repeat: bool
    at_once: bool = False
    after_s: float | None = None  # Retry-After


def of_status(
    error: BillingError, status: int, *, repeatable: bool, after_s: float | None
) -> Failure:
    """An answer with an error."""
    may_repeat = status in (PASSING if repeatable else NOTHING_DONE)
    return Failure(error, may_repeat, after_s=after_s)


def of_silence(error: BillingError, silence: NoAnswer, *, repeatable: bool) -> Failure:
    """No answer. A connection that the service closed while idle says nothing about the service:
    the next try comes at once, on another connection."""
    may_repeat = not silence.is_hopeless and (repeatable or not silence.is_sent)
    return Failure(error, may_repeat, at_once=silence.was_kept)


def pause_s(failure: Failure, tries: int, *, dice: Callable[[], float]) -> float:
    """How long to wait before the next try, after `tries`. `dice` gives numbers below 1."""
    if failure.at_once:
        return 0.0
    backoff_s = dice() * min(BACKOFF_MAX_S, BACKOFF_S * 2.0 ** (tries - 1))
    # Also added to the service's Retry-After, which all clients got; it may be zero.
    return (failure.after_s or 0.0) + backoff_s


def try_s(left_s: float, *, wait_s: float = 0.0) -> float:
    """How long a try may take, of the remaining time; `wait_s` of it is a wait that we asked
    for."""
    rest_s = left_s - wait_s
    return wait_s + (rest_s / 2 if rest_s > HALF_MIN_S else max(0.0, rest_s))
