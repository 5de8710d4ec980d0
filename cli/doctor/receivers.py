"""Whether receivers of webhooks get their events: named individually if few, counted if many."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection

from cli.doctor.findings import Finding, Level, ago, ok, some
from cli.doctor.work import BEAT, LATE_FAIL_S, most
from payments.audit import health, outstanding
from payments.audit.health import DisabledByItself, Receiver
from payments.webhooks.pacing.breaker import DISABLED_AFTER_S, WARNED_AFTER_S

# Up to this many endpoints with the same problem are named individually; more are counted, and some
# named.
EACH_MAX = 3

WORKERS = "start more workers of the queue webhooks, or see what those that run log"


@dataclass(frozen=True, slots=True)
class _Problem:
    """A problem that an endpoint may have. `seen` describes it for one; `summed` for many,
    `longest` being the longest of them."""

    is_it: Callable[[Receiver], bool]
    level: Level
    seen: Callable[[Receiver], str]
    summed: Callable[[Sequence[Receiver]], str]
    advice: Callable[[str], str]


def webhooks(connection: Connection, *, is_swept: bool) -> Iterable[Finding]:
    """The problems of receivers. `is_swept`: sweeps run, so an endpoint that was not woken waits
    behind a full queue."""
    receivers = health.receivers(connection)
    given_up = list(_disabled(health.disabled_by_themselves(connection)))
    yield from given_up
    findings = [one for problem in _problems(is_swept) for one in _told(problem, receivers)]
    yield from findings
    if findings or given_up:
        return
    if not receivers:
        yield ok("webhooks", "no endpoint is enabled")
        return
    waiting = sum(one.waiting for one in receivers)
    oldest_s = max(one.waiting_s for one in receivers)
    more = f"; {most(waiting, 'webhook')} on the way, the oldest for {ago(oldest_s)}"
    yield ok("webhooks", f"{some(len(receivers), 'endpoint')}{more if waiting else ''}")


WHY_HELD_BACK = {
    "retry_after": "it asked for patience",
    "failing": "most webhooks failed lately",
    "gone": "it answered 410",
}
# Faults on our side: what they are, and what to do.
LOCAL_FAULTS = {
    "resolver_away": (
        "the resolver of the webhooks processes answers nobody",
        "look at /etc/resolv.conf there, and at the servers that it names",
    ),
    "no_route": (
        "the network of the webhooks processes leads nowhere",
        "look at their routes, and at the network policy around them",
    ),
    "no_sockets": (
        "the webhooks processes, or their machine, have no sockets left",
        "raise the limit of open files (`ulimit -n`), or start them on more machines",
    ),
    "internal_error": (
        "a bug kept webhooks from being sent",
        "see what the webhooks processes log, and report it",
    ),
}
WHY_DISABLED = {"gone": "it answered 410", "failing": "it accepted nothing for 120 hours"}


def _disabled(found: Sequence[DisabledByItself]) -> Iterable[Finding]:
    for one in found[:EACH_MAX]:
        seen = f"{one.endpoint_id} was disabled: {WHY_DISABLED[one.because]}"
        waits = f"; {most(one.waiting, 'webhook')} wait for it" if one.waiting else ""
        advice = f"ask its owner; then `billing endpoint enable {one.endpoint_id}`, or delete it"
        yield Finding("webhooks", "warn", f"{seen}{waits}", advice)
    if (more := len(found) - EACH_MAX) > 0:
        seen = f"{some(more, 'more endpoint')} disabled because they failed or are gone"
        yield Finding("webhooks", "warn", seen, "`billing endpoint list`")


def _told(problem: _Problem, receivers: Sequence[Receiver]) -> Iterable[Finding]:
    found = [one for one in receivers if problem.is_it(one)]
    if len(found) <= EACH_MAX:
        for one in found:
            advice = problem.advice(one.endpoint_id)
            yield Finding("webhooks", problem.level, problem.seen(one), advice)
        return
    found.sort(key=lambda one: -one.overdue_s)
    named = ", ".join(one.endpoint_id for one in found[:EACH_MAX])
    seen = f"{len(found)} endpoints {problem.summed(found)}, such as {named}"
    yield Finding("webhooks", problem.level, seen, problem.advice("we_…"))


def _due(found: Sequence[Receiver]) -> str:
    waiting = most(sum(one.waiting for one in found), "webhook")
    return f"with {waiting} due for {ago(max(one.overdue_s for one in found))} at most"


def _waiting(one: Receiver) -> str:
    return most(one.waiting, "webhook")


def _is_late(one: Receiver, *, level: Level) -> bool:
    is_long = one.overdue_s > LATE_FAIL_S
    return one.overdue_s > outstanding.LATE_S and is_long == (level == "fail")


def _problems(is_swept: bool) -> Iterable[_Problem]:
    yield _Problem(
        is_it=lambda one: one.is_unswept and not is_swept,
        level="fail",
        seen=lambda one: (
            f"{one.endpoint_id}: {_waiting(one)} due for {ago(one.overdue_s)}, and nobody is woken"
            " for them"
        ),
        summed=lambda found: f"{_due(found)}, and nobody is woken for them",
        advice=lambda _: BEAT,
    )
    for word, (what, advice) in LOCAL_FAULTS.items():
        yield _Problem(
            is_it=lambda one, word=word: one.local_fault == word,  # type: ignore[misc]  # as below
            level="fail",
            seen=lambda one, what=what: (  # type: ignore[misc]
                f"{one.endpoint_id}: {what}, last {ago(one.local_fault_s or 0.0)} ago;"
                f" {_waiting(one)} waiting, and no attempt is used up"
            ),
            summed=lambda found, what=what: (  # type: ignore[misc]
                f"wait: {what}, last {ago(min(one.local_fault_s or 0.0 for one in found))} ago"
            ),
            advice=lambda _, advice=advice: advice,  # type: ignore[misc]
        )
    for level in ("fail", "warn"):
        yield _Problem(
            is_it=lambda one, level=level: (  # type: ignore[misc]  # a lambda with a default
                _is_late(one, level=level) and (is_swept or not one.is_unswept)
            ),
            level=level,
            seen=lambda one: (
                f"{one.endpoint_id}: {_waiting(one)}, due for {ago(one.overdue_s)} at most"
            ),
            summed=_due,
            advice=lambda _: WORKERS,
        )
    yield _Problem(
        is_it=lambda one: (one.failing_s or 0.0) > WARNED_AFTER_S,
        level="warn",
        seen=lambda one: (
            f"{one.endpoint_id} has accepted nothing for {ago(one.failing_s or 0.0)}, and will be"
            f" disabled after {ago(DISABLED_AFTER_S)}"
        ),
        summed=lambda found: (
            f"have accepted nothing for {ago(WARNED_AFTER_S)} and more, and will be disabled after"
            f" {ago(DISABLED_AFTER_S)}"
        ),
        advice=lambda who: f"ask its owner; then `billing endpoint ping {who}`",
    )
    yield _Problem(
        is_it=lambda one: (
            bool(one.held_back_s and one.waiting) and one.held_back_because != "local_fault"
        ),
        level="warn",
        seen=lambda one: (
            f"{one.endpoint_id} is left alone for {ago(one.held_back_s)}:"
            f" {WHY_HELD_BACK[one.held_back_because or 'failing']}; {_waiting(one)} waiting"
        ),
        summed=lambda found: (
            f"are left alone, with {most(sum(one.waiting for one in found), 'webhook')} waiting"
        ),
        advice=lambda who: f"when it works again: `billing endpoint ping {who}`",
    )
    yield _Problem(
        is_it=lambda one: bool(one.failing) and not one.delivered,
        level="warn",
        seen=lambda one: (
            f"{one.endpoint_id} accepts nothing: {_waiting(one)} for {ago(one.waiting_s)} at most,"
            f" its last answer was {one.last_answer or 'none'}"
        ),
        summed=lambda found: (
            f"accept nothing: {most(sum(one.waiting for one in found), 'webhook')} for"
            f" {ago(max(one.waiting_s for one in found))} at most"
        ),
        advice=lambda who: f"ask its owner; then `billing endpoint ping {who}`",
    )
    yield _Problem(
        is_it=lambda one: bool(one.failing) and bool(one.delivered),
        level="warn",
        seen=lambda one: (
            f"{one.endpoint_id} refuses some: {one.failing} are tried again, last {one.last_answer}"
        ),
        summed=lambda found: f"refuse some: {sum(one.failing for one in found)} are tried again",
        advice=lambda _: "ask its owner",
    )
    yield _Problem(
        is_it=lambda one: bool(one.given_up),
        level="warn",
        seen=lambda one: f"{one.endpoint_id}: {some(one.given_up, 'webhook')} given up",
        summed=lambda found: f"with {sum(one.given_up for one in found)} webhooks given up",
        advice=lambda who: f"when it works again: `billing webhook replay {who} --since …`",
    )
