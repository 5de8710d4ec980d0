"""Whether receivers of webhooks get what they asked for: each of a few, and many in sum."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection

from cli.doctor.findings import Finding, Level, ago, ok, some
from cli.doctor.work import BEAT, LATE_FAIL_S, most
from payments.audit import health
from payments.audit.health import Receiver

# So many endpoints with the same problem are named each; more are counted, and some named.
EACH_MAX = 3

WORKERS = "start more workers of the queue webhooks, or see what those that run log"


@dataclass(frozen=True, slots=True)
class _Problem:
    """What may be wrong with an endpoint. `seen` tells of one; `summed` of many, `longest` being
    the longest of them."""

    is_it: Callable[[Receiver], bool]
    level: Level
    seen: Callable[[Receiver], str]
    summed: Callable[[Sequence[Receiver]], str]
    advice: Callable[[str], str]


def webhooks(connection: Connection, *, is_swept: bool) -> Iterable[Finding]:
    """What is wrong at receivers. `is_swept`: somebody looks for what is due, so that what nobody
    was woken for waits behind a queue that is full."""
    receivers = health.receivers(connection)
    findings = [one for problem in _problems(is_swept) for one in _told(problem, receivers)]
    yield from findings
    if findings:
        return
    if not receivers:
        yield ok("webhooks", "no endpoint is enabled")
        return
    waiting = sum(one.waiting for one in receivers)
    oldest_s = max(one.waiting_s for one in receivers)
    more = f"; {most(waiting, 'webhook')} on the way, the oldest for {ago(oldest_s)}"
    yield ok("webhooks", f"{some(len(receivers), 'endpoint')}{more if waiting else ''}")


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
    return one.overdue_s > health.LATE_S and is_long == (level == "fail")


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
