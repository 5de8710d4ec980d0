"""When a failing endpoint is held back, and for how long. Pure functions, in seconds.

It works like a circuit breaker: if most of a few attempts fail, nothing is posted for a while; then
one post tests whether it is back. Deliveries that wait use up no attempt. After days without a
success the endpoint is disabled, and a person has to enable it.
"""

from dataclasses import dataclass, replace

from payments.webhooks.draining import schedule

# Attempts are counted for this long, starting with a failure.
COUNTED_S = 300.0
# At least this many must have been made, and this share of them failed.
COUNTED_MIN = 10
FAILED_PART = 0.7
# How long it is held back, the first time and each time that its probe fails.
BACK_OFFS_S = (30.0, 60.0, 120.0, 240.0, 480.0, 600.0)
# Endpoints that failed together must not be probed together: up to this share longer.
JITTER = 0.2
# Without a success for this long, and after at least one delivery was given up, it is disabled; the
# others are notified earlier. Svix uses the same time; the schedule's last attempt is after some 75
# hours.
DISABLED_AFTER_S = 120 * 3600.0
WARNED_AFTER_S = DISABLED_AFTER_S / 2

# Statuses whose Retry-After is about the whole server, and the status that asks for no more
# webhooks (Standard Webhooks 1.0.0, "Operational considerations").
BUSY = (429, 503)
GONE = 410
# An endpoint that is gone is held back until a sweep has disabled it; longer than for any other
# reason.
GONE_S = schedule.RETRY_AFTER_MAX_S + 3600.0


@dataclass(frozen=True, slots=True)
class Tally:
    """The results of some attempts at an endpoint. `patience_s` is the delay that it asks for."""

    accepted: int = 0
    failed: int = 0
    given_up: int = 0
    patience_s: float = 0.0
    is_gone: bool = False


@dataclass(frozen=True, slots=True)
class Standing:
    """The health of an endpoint. Times are seconds before now, or from now on."""

    # Attempts counted, and how many of them failed; None if not counting.
    counted_ago_s: float | None = None
    counted: int = 0
    counted_failed: int = 0
    # Since the first failure after the last success; None if the last attempt succeeded.
    failing_ago_s: float | None = None
    # Whether something was given up since then.
    has_given_up: bool = False
    # How often in a row it was held back because most attempts failed.
    back_offs: int = 0
    # For how much longer it is held back, and why.
    held_back_s: float = 0.0
    held_back_because: str | None = None


def judged(was: Standing, tally: Tally, *, dice: float) -> Standing:
    """The health of an endpoint after these attempts. `dice` is in [0, 1)."""
    counting = _counted(was, tally)
    # One failed probe is enough to hold it back again; but posts that were under way when it was
    # held back are not probes.
    is_held_back = was.held_back_s > 0
    is_probe_lost = bool(was.back_offs and tally.failed and not tally.accepted) and not is_held_back
    trips = is_probe_lost or _most_fail(counting, tally)
    back_offs = was.back_offs + 1 if trips else 0 if tally.accepted else was.back_offs
    wait_s = BACK_OFFS_S[min(was.back_offs, len(BACK_OFFS_S) - 1)] * (1 + JITTER * dice)
    # Of two reasons the longer one counts.
    held_back_s, because = max(
        (was.held_back_s, was.held_back_because or ""),
        (tally.patience_s, "retry_after"),
        (wait_s if trips else 0.0, "failing"),
        (GONE_S if tally.is_gone else 0.0, "gone"),
    )
    is_well = tally.accepted > 0
    began_ago_s = 0.0 if was.failing_ago_s is None and tally.failed else was.failing_ago_s
    return replace(
        Standing() if trips else counting,
        failing_ago_s=None if is_well else began_ago_s,
        has_given_up=not is_well and (was.has_given_up or tally.given_up > 0),
        back_offs=back_offs,
        held_back_s=held_back_s,
        held_back_because=because if held_back_s > 0 else None,
    )


def _counted(was: Standing, tally: Tally) -> Standing:
    """The counts with these attempts. Counting begins with a failure and ends after COUNTED_S."""
    if was.counted_ago_s is None or was.counted_ago_s >= COUNTED_S:
        if not tally.failed:
            return Standing()
        was = Standing(counted_ago_s=0.0)
    return Standing(
        counted_ago_s=was.counted_ago_s,
        counted=was.counted + tally.accepted + tally.failed,
        counted_failed=was.counted_failed + tally.failed,
    )


def _most_fail(counting: Standing, tally: Tally) -> bool:
    failed = counting.counted_failed
    is_enough = counting.counted >= COUNTED_MIN and failed >= FAILED_PART * counting.counted
    return is_enough and tally.failed > 0
