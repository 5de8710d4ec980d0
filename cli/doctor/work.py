"""The work: whether sweeps run, what is late, and what waits for a person."""

from collections.abc import Collection, Iterable

from sqlalchemy import Connection

from cli.doctor.findings import Finding, ago, fail, ok, some, warn
from payments.audit import health, outstanding
from payments.audit.outstanding import Elsewhere, Late, Pile
from payments.lifecycle.approving import waiting as approving

# Most unknown outcomes are looked up within seconds.
UNKNOWN_S = 3600.0
# Customers come back within a day or not at all; a bank may take a few.
WAITING_S = 3 * 86_400.0
# A working day: the person who asked has gone home, and a customer waits for their money.
APPROVAL_S = 86_400.0
# Half an hour's worth of workers that are down, or far too few.
LATE_FAIL_S = 600.0

# What to do about rows that wait this long. A refund can't be canceled, and waits for no customer.
WAITING = {
    "charge": "`billing charge list --phase awaiting_customer`; `billing charge cancel` ends what"
    " nobody will complete, and `expires_in_s` does so by itself",
    "refund": "`billing refund list --phase awaiting_customer`; see at the processor what became"
    " of them",
}

BEAT = "see that `celery -A worker beat` runs, and what it logs"
WORKERS = "start more workers, or see what those that run log"


def sweeper(connection: Connection, processors: Collection[str]) -> Iterable[Finding]:
    """Whether sweeps run."""
    ago_s = health.swept_ago_s(connection)
    late = outstanding.late(connection, processors)
    if stale := sum(one.stale_leases for one in late):
        seen = f"{some(stale, 'lease')} ended {ago(outstanding.UNSWEPT_S)} ago and more"
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
    parts = [f"{most(one.overdue, one.kind)}, {ago(one.overdue_s)} at most" for one in late]
    return f"overdue: {'; '.join(parts)}"


def at_processors(connection: Connection, processors: Collection[str]) -> Iterable[Finding]:
    """Whether everything pending names a processor that is set up."""
    missing: dict[str, list[Elsewhere]] = {}
    for one in outstanding.elsewhere(connection, processors):
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
    piles = outstanding.piles(connection)
    parts = [
        f"{_how_many(pile)} {pile.phase}, the oldest for {ago(pile.oldest_s)}" for pile in piles
    ]
    yield ok("pending", "; ".join(parts) or "nothing")
    for pile in piles:
        seen = f"{_how_many(pile)}, the oldest {ago(pile.oldest_s)} old"
        if pile.phase == "needs_review":
            advice = f"`billing {pile.kind} list --phase needs_review`, then `billing resolve`"
            yield warn("needs review", seen, advice)
        elif pile.phase == "unknown" and pile.oldest_s > UNKNOWN_S:
            yield warn("unknown", seen, "see at the processor what became of them")
        elif pile.phase == "awaiting_customer" and pile.oldest_s > WAITING_S:
            yield warn("waiting", seen, WAITING[pile.kind])


def approvals(connection: Connection) -> Iterable[Finding]:
    """What waits for a second person."""
    waits = approving.waiting(connection)
    seen = f"{some(waits.count, 'request')}, the oldest for {ago(waits.oldest_s)}"
    if not waits.count:
        yield ok("approvals", "nothing waits for a second person")
    elif waits.oldest_s > APPROVAL_S:
        advice = "`billing approval list --state pending`, then approve or reject each"
        yield warn("approvals", seen, advice)
    else:
        yield ok("approvals", seen)


def quarantine(connection: Connection) -> Iterable[Finding]:
    """Messages that could not be taken."""
    if count := health.quarantined(connection):
        advice = "`billing quarantine list`, then release or dismiss each"
        yield warn("quarantine", f"{some(count, 'message')} can't be taken", advice)
    else:
        yield ok("quarantine", "empty")


def _how_many(pile: Pile) -> str:
    return more_than(pile.count, pile.kind) if pile.is_part else some(pile.count, pile.kind)


def most(count: int, noun: str) -> str:
    return more_than(count, noun) if count >= outstanding.COUNT_MAX else some(count, noun)


def more_than(count: int, noun: str) -> str:
    return f"{count} {noun}s and more"
