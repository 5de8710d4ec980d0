"""How long to wait before the next attempt: pure functions, with the random source passed in.

When to give up is decided in `payments.lifecycle.settlement`.
"""

from collections.abc import Callable

# Returns a float in [0, 1).
Dice = Callable[[], float]

# The pauses after the processor was busy or down (`Unavailable`): nothing was executed.
UNAVAILABLE_MIN_S = 1.0
UNAVAILABLE_MAX_S = 300.0
# A processor may ask for a longer wait, but we never wait more than an hour. (Stripe's adapter has
# its own limit, in `refusals`: the lower one counts.)
RETRY_AFTER_MAX_S = 3600.0

# The pauses before look-ups of what is unknown, of what the processor still works on, and of what
# can't be canceled yet; the last one repeats. Most timeouts are settled at the processor within
# seconds; an outage may take hours. Their number matters, too: after that many look-ups without an
# answer, once the key may be forgotten, a person must decide (`settlement._unknown`).
LOOK_UP_S = (5.0, 30.0, 120.0, 600.0, 3600.0)


def unavailable_delay_s(retries: int, *, retry_after_s: float | None, dice: Dice) -> float:
    """Seconds until the next try after the n-th Unavailable in a row (n counts from 1).

    2ⁿ seconds, at most 5 min, less up to half of that at random (so a thousand charges refused at
    once don't come back at once); and never earlier than the processor asked for.
    """
    ceiling = min(UNAVAILABLE_MAX_S, UNAVAILABLE_MIN_S * 2.0 ** min(retries, 20))
    delay = max(UNAVAILABLE_MIN_S, ceiling * (0.5 + 0.5 * dice()))
    asked = min(retry_after_s or 0.0, RETRY_AFTER_MAX_S)
    return max(delay, asked)


def look_up_delay_s(retries: int, *, dice: Dice) -> float:
    """Seconds until the n-th look-up in a row (n counts from 1), up to 10 % later."""
    return LOOK_UP_S[min(retries, len(LOOK_UP_S)) - 1] * (1.0 + 0.1 * dice())
