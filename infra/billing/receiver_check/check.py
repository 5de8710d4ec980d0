"""Tests a receiver: sends it the cases, one after the other, and grades its answers."""

import ssl
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from infra.billing.receiver_check.cases import CASES, SLOW_PAUSE_S, Case, Kit, Post
from infra.billing.receiver_check.dialing import Guard, Target
from infra.billing.receiver_check.grading import Answer, Report, Tried, diagnose

# For how long the service waits for an answer, with everything.
ANSWER_S = 15.0


def check(
    url: str,
    secret: str,
    *,
    headers: Mapping[str, str] | None = None,
    answer_s: float = ANSWER_S,
    pause_s: float = SLOW_PAUSE_S,
    handled: Callable[[str], int] | None = None,
    progress: Callable[[Tried], object] | None = None,
    guard: Guard | None = None,
    tls: ssl.SSLContext | None = None,
) -> Report:
    """Send made-up webhooks to the receiver at `url`, right ones and forged ones, and grade it.

    `secret` is what the receiver verifies with (`whsec_…`). All events are of type `ping`, or of a
    type that does not exist, about an endpoint that does not exist; they carry no
    `webhook-sequence`. A receiver that refuses the first one is tried no further.

    Whether an event was handled once can't be seen from outside. In a test of your own receiver it
    can: `handled(event_id)` says how often it was, and the grade counts that, too. `progress` is
    called with each case that was tried. `pause_s` is between the parts of the body that comes
    slowly. `guard(address, is_tls)` raises `OSError` for an address
    that may not be dialled. Raises InvalidRequest for a URL or a secret that is none.
    """
    from infra.billing.receiving.verification import sign

    sign(b"{}", secret, webhook_id="evt")  # raises for an invalid secret
    target = Target(
        url, headers=headers or {}, answer_s=answer_s, pause_s=pause_s, guard=guard, tls=tls
    )
    now = int(time.time())
    kit = Kit(secret, began=now, now=now)
    tried: list[Tried] = []
    for case in CASES:
        one = _try(case, kit, target)
        tried.append(one)
        if progress is not None:
            progress(one)
        if case.name == "valid" and not one.passed:
            break
    ids = {id_ for one in tried for id_ in one.event_ids}
    counts = {id_: handled(id_) for id_ in ids} if handled is not None else None
    return Report(url, tried, diagnose(tried, answer_s=answer_s, handled=counts))


def _try(case: Case, kit: Kit, target: Target) -> Tried:
    # Each is signed when it is sent: the cases before may have taken their time.
    kit = replace(kit, now=int(time.time()))
    posts = case.posts(kit)
    answers: Sequence[Answer]
    answers = _at_once(target, posts) if case.at_once else [target.post(post) for post in posts]
    return Tried(case, answers, [post.event_id for post in posts])


def _at_once(target: Target, posts: Sequence[Post]) -> list[Answer]:
    answers: list[Answer] = []

    def send(post: Post) -> None:
        answers.append(target.post(post))

    threads = [threading.Thread(target=send, args=(post,), daemon=True) for post in posts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return answers
