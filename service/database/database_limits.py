"""How long anything may take on a connection to PostgreSQL, and how the limits add up. Seconds.

Two clocks limit every statement. The server's (`statement_timeout` and its like) ends it and
reports that. Ours ends the wait if no answer comes at all: the peer may be a pooler or a load
balancer that hangs, acknowledges what it is sent, and will never answer. Ours is a little later, so
that a working server's error arrives.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from sqlalchemy import make_url

from payments.history.settled import TRANSACTION_S
from service.database.batching import GIVE_UP_S
from service.database.database_url import hosts_of

# For the transfer of an answer, and for an overloaded machine.
ANSWER_MARGIN_S = 1.0
# How long the broker may delay a sweep: a place in the pool, a connection, an answer.
BROKER_S = 6.0
# A beat without a sign of life for this long is ended (`worker.beat`).
BEAT_LIMIT_S = 45.0
# A task that runs longer counts as hanging (`worker.watchdog`), with additional time if its waits
# may add up to more.
TASK_LIMIT_S = 120.0
# For a drain's last answers (payments.webhooks.delivery_loop, .drainer).
DRAIN_END_S = 40.0
# The margin between the sum of the waits and the limit for hanging.
SLACK_S = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """The limits on the connections of one engine.

    `connect_s` is per host, a whole number of at least 2 (libpq's minimum). `lock_s` is how long a
    statement waits for a locked row, `idle_s` how long a transaction may be idle, `pool_s` how long
    to wait for a connection that others of this process use.
    """

    application_name: str
    statement_s: float
    lock_s: float
    idle_s: float
    connect_s: int
    pool_s: float
    transaction_s: float | None = None
    # Whether it relies on session state (locks, SET), which a transaction pooler does not keep.
    needs_session: bool = False

    @property
    def answer_s(self) -> float:
        """How long to wait for any single answer, by our own clock."""
        return self.statement_s + ANSWER_MARGIN_S

    def settings(self, server_version: int) -> dict[str, str]:
        """The server's own settings, as text; times in milliseconds."""
        limits = {
            "statement_timeout": self.statement_s,
            "lock_timeout": self.lock_s,
            "idle_in_transaction_session_timeout": self.idle_s,
        }
        if self.transaction_s is not None and server_version >= 170_000:
            limits["transaction_timeout"] = self.transaction_s
        return {
            "TimeZone": "UTC",
            **{name: str(round(seconds * 1000)) for name, seconds in limits.items()},
        }


# Our statements take milliseconds; a sweep over thousands of rows, or a slow disk, may need a
# second or two. An idle transaction belongs to a process that was stopped in the middle of it, and
# others wait for its locks.
WORK = Limits(
    application_name="billing",
    statement_s=5.0,
    lock_s=2.0,
    idle_s=10.0,
    connect_s=3,
    pool_s=10.0,
    transaction_s=TRANSACTION_S,
)
# A caller waits, and gets an answer within 3 s: `api.database` ends what takes longer in total.
WEB = Limits(
    application_name="billing web",
    statement_s=2.5,
    lock_s=0.5,
    idle_s=10.0,
    connect_s=2,
    pool_s=2.0,
    transaction_s=TRANSACTION_S,
)
# A key is locked for the few milliseconds of one transaction; a longer wait is for a process that
# was stopped. A batch that fails for that is retried one by one: twice this is well within a call's
# deadline.
SANDBOX = Limits(
    application_name="billing sandbox",
    statement_s=4.0,
    lock_s=2.0,
    idle_s=5.0,
    connect_s=3,
    pool_s=5.0,
    transaction_s=TRANSACTION_S,
)
# A person waits, perhaps for a list of many rows.
COMMAND = Limits(
    application_name="billing",
    statement_s=30.0,
    lock_s=2.0,
    idle_s=10.0,
    connect_s=3,
    pool_s=10.0,
)
# Sums over all rows.
BOOKS = Limits(
    application_name="billing books",
    statement_s=3600.0,
    lock_s=2.0,
    idle_s=600.0,
    connect_s=3,
    pool_s=10.0,
)
# A person who runs `billing doctor` has a problem, and no patience.
DOCTOR = Limits(
    application_name="billing doctor",
    statement_s=2.0,
    lock_s=0.5,
    idle_s=10.0,
    connect_s=3,
    pool_s=3.0,
)
# A scraper of gauges gives up after ten seconds, and asks again: better none than late.
MONITOR = Limits(
    application_name="billing metrics",
    statement_s=2.0,
    lock_s=0.5,
    idle_s=10.0,
    connect_s=2,
    pool_s=2.0,
)
# An index on a large table may take hours (`service.database.migrate` watches whether it makes
# progress). While a migration waits for a table everyone behind it waits, so it waits for less time
# than they would.
MIGRATION = Limits(
    application_name="billing migrate",
    statement_s=24 * 3600.0,
    lock_s=0.3,
    idle_s=600.0,
    connect_s=3,
    pool_s=10.0,
    needs_session=True,
)


def batch_wait_s() -> float:
    """How long a thread may wait for its batch in the worst case: behind two that are under way,
    for its own, and until that is split up as far as possible."""
    return 3 * WORK.answer_s + GIVE_UP_S + WORK.answer_s


def task_limit_s(*, call_deadline_s: float, drain_s: float) -> float:
    """After how long a task counts as hanging: more than the sum of its waits.

    A task claims, calls (twice if in doubt: the look-up and the repeat) and settles; or drains.
    """
    moves = 2 * batch_wait_s() + 2 * call_deadline_s + SLACK_S
    drains = drain_s + DRAIN_END_S + SLACK_S
    return max(TASK_LIMIT_S, moves, drains)


def sweep_wait_s(hosts: int) -> float:
    """How long a sweep may wait: the first wait without an answer ends the sweep."""
    return BROKER_S + WORK.pool_s + WORK.connect_s * max(1, hosts) + WORK.answer_s


def problems(database_url: str) -> Iterator[str]:
    """Which limits don't add up with this URL."""
    hosts = len(hosts_of(make_url(database_url)))
    if sweep_wait_s(hosts) >= BEAT_LIMIT_S:
        most = int((BEAT_LIMIT_S - sweep_wait_s(1)) / WORK.connect_s) + 1
        yield (
            f"BILLING_DATABASE_URL names {hosts} hosts, and each may take {WORK.connect_s} s to"
            f" give up: name {most} at most"
        )
