"""The work: whether somebody sweeps, what is late, and what waits for a person."""

from collections.abc import Collection, Iterable

from sqlalchemy import Connection

from payments import health
from payments.health import Elsewhere, Late, Receiver
from worker.doctor.findings import Finding, ago, fail, ok, some, warn

# Most unknown outcomes are looked up within seconds.
UNKNOWN_S = 3600.0
# Customers come back within a day or not at all; a bank may take a few.
WAITING_S = 3 * 86_400.0
# Half an hour's worth of workers that are down, or far too few.
LATE_FAIL_S = 600.0

BEAT = "see that `celery -A worker beat` runs, and what it logs"
WORKERS = "start more workers, or see what those that run log"


def sweeper(connection: Connection, processors: Collection[str]) -> Iterable[Finding]:
    """Whether somebody looks for what is due."""
    ago_s = health.swept_ago_s(connection)
    late = health.late(connection, processors)
    if stale := sum(one.stale_leases for one in late):
        seen = f"{some(stale, 'lease')} ended {ago(health.UNSWEPT_S)} ago and more"
        yield fail("sweeper", f"{seen}, and nobody took them back", BEAT)
    elif unswept := [one for one in late if one.unswept]:
        yield fail("sweeper", f"{_overdue(unswept)}, and nobody is woken for them", BEAT)
    elif ago_s is None:
        yield fail("sweeper", "nobody has ever looked for what is due", BEAT)
    elif ago_s > health.SWEEPS_STOPPED_S:
        yield fail("sweeper", f"nobody looked for what is due for {ago(ago_s)}", BEAT)
    else:
        yield ok("sweeper", "somebody looks for what is due")
    yield from _late(late)


def _late(late: Iterable[Late]) -> Iterable[Finding]:
    overdue = [one for one in late if one.overdue]
    if not overdue:
        yield ok("payments", "nothing that is due waits for long")
    elif max(one.overdue_s for one in overdue) > LATE_FAIL_S:
        yield fail("payments", _overdue(overdue), WORKERS)
    else:
        yield warn("payments", _overdue(overdue), WORKERS)


def _overdue(late: Iterable[Late]) -> str:
    told = [f"{_most(one.overdue, one.kind)}, {ago(one.overdue_s)} at most" for one in late]
    return f"overdue: {'; '.join(told)}"


def at_processors(connection: Connection, processors: Collection[str]) -> Iterable[Finding]:
    """Whether everything that is pending names a processor that there is."""
    missing: dict[str, list[Elsewhere]] = {}
    for one in health.elsewhere(connection, processors):
        missing.setdefault(one.processor, []).append(one)
    for name, waiting in missing.items():
        counts = " and ".join(some(one.count, one.kind) for one in waiting)
        oldest = ago(max(one.oldest_s for one in waiting))
        seen = f"{counts} left alone, the oldest for {oldest}: no processor is named {name}"
        advice = f"add {name} to BILLING_PROCESSORS of workers and beat, and restart them"
        yield fail("processors", seen, advice)
    if not missing:
        yield ok("processors", f"all that is pending is at {', '.join(sorted(processors))}")


def pending(connection: Connection) -> Iterable[Finding]:
    """What is pending, and what only a person can decide."""
    piles = health.piles(connection)
    told = [
        f"{some(pile.count, pile.kind)} {pile.phase}, the oldest for {ago(pile.oldest_s)}"
        for pile in piles
    ]
    yield ok("pending", "; ".join(told) or "nothing")
    for pile in piles:
        seen = f"{some(pile.count, pile.kind)}, the oldest {ago(pile.oldest_s)} old"
        if pile.phase == "needs_review":
            advice = f"`billing {pile.kind} list --phase needs_review`, then `billing resolve`"
            yield warn("needs review", seen, advice)
        elif pile.phase == "unknown" and pile.oldest_s > UNKNOWN_S:
            yield warn("unknown", seen, "see at the processor what became of them")
        elif pile.phase == "awaiting_customer" and pile.oldest_s > WAITING_S:
            advice = (
                f"`billing {pile.kind} list --phase awaiting_customer`; `billing charge cancel`"
                " ends what nobody will complete, and `expires_in_s` does so by itself"
            )
            yield warn("waiting", seen, advice)


def quarantine(connection: Connection) -> Iterable[Finding]:
    """Messages that could not be taken."""
    if count := health.quarantined(connection):
        advice = "`billing quarantine list`, then release or dismiss each"
        yield warn("quarantine", f"{some(count, 'message')} can't be taken", advice)
    else:
        yield ok("quarantine", "empty")


def webhooks(connection: Connection) -> Iterable[Finding]:
    """Whether receivers get what they asked for."""
    receivers = health.receivers(connection)
    findings = [finding for one in receivers for finding in _receiver(one)]
    yield from findings
    if findings:
        return
    if not receivers:
        yield ok("webhooks", "no endpoint is enabled")
        return
    waiting = sum(one.waiting for one in receivers)
    oldest_s = max(one.waiting_s for one in receivers)
    more = f"; {_most(waiting, 'webhook')} on the way, the oldest for {ago(oldest_s)}"
    yield ok("webhooks", f"{some(len(receivers), 'endpoint')}{more if waiting else ''}")


def _receiver(one: Receiver) -> Iterable[Finding]:
    who, waiting = one.endpoint_id, _most(one.waiting, "webhook")
    if one.is_unswept:
        seen = f"{who}: {waiting} due for {ago(one.overdue_s)}, and nobody is woken for them"
        yield fail("webhooks", seen, BEAT)
    elif one.overdue_s > health.LATE_S:
        level = fail if one.overdue_s > LATE_FAIL_S else warn
        seen = f"{who}: {waiting}, due for {ago(one.overdue_s)} at most"
        yield level("webhooks", seen, "start more workers of the queue webhooks")
    if one.failing and not one.delivered:
        seen = (
            f"{who} accepts nothing: {waiting} for {ago(one.waiting_s)} at most, its last answer"
            f" was {one.last_answer or 'none'}"
        )
        yield warn("webhooks", seen, f"ask its owner; then `billing endpoint ping {who}`")
    elif one.failing:
        seen = f"{who} refuses some: {one.failing} are tried again, last {one.last_answer}"
        yield warn("webhooks", seen, "ask its owner")
    if one.given_up:
        seen = f"{who}: {some(one.given_up, 'webhook')} given up"
        advice = f"when it works again: `billing webhook replay {who} --since …`"
        yield warn("webhooks", seen, advice)


def _most(count: int, noun: str) -> str:
    most = count >= health.COUNT_MAX
    return f"{count} {noun}s and more" if most else some(count, noun)
