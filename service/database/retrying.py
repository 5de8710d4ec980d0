"""Waiting for the database: which errors are worth another try, and how long to wait.

PostgreSQL restarts, fails over, runs out of connections or breaks a deadlock. None of this is a
reason to drop a request: the thread waits, and the whole batch is run again. That is safe because
every batch can be repeated: an insert finds its row, a claim finds its own token, a settle finds
its lease gone.
"""

import random
import threading
import time
from collections.abc import Callable, Sequence
from typing import TypeVar

from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolExhausted

from service import log
from service.database.diagnosis import reason
from service.running import waiting_for_database

logger = log.get(__name__)

Item = TypeVar("Item")
Answer = TypeVar("Answer")

PAUSE_MIN_S = 0.05
PAUSE_MAX_S = 2.0

# SQLSTATE classes and codes (PostgreSQL, appendix A) after which the same work may succeed.
TRANSIENT_CLASSES = (
    "08",  # connection exceptions
    "53",  # insufficient resources: disk full, out of memory, too many connections
    "57",  # operator intervention: shutdown, crash, still starting
    "58",  # system errors
)
TRANSIENT_CODES = (
    "40001",  # serialization_failure
    "40P01",  # deadlock_detected
    "25P03",  # idle_in_transaction_session_timeout: this process was stopped for a while
    "25006",  # read_only_sql_transaction: a standby that is about to be promoted
)


class DatabaseUnavailable(Exception):
    """The process is stopping while the database is away."""


def is_transient(error: Exception) -> bool:
    """Whether the same work may succeed later, with nothing changed on our side."""
    if isinstance(error, PoolExhausted):
        return True
    if not isinstance(error, DBAPIError):
        return False
    if error.connection_invalidated:
        return True
    code = getattr(error.orig, "sqlstate", None)
    if is_held_up(error):
        return False
    if code is None:  # No answer from a server: it could not be reached, or it went away.
        return isinstance(error, (OperationalError, InterfaceError))
    return code[:2] in TRANSIENT_CLASSES or code in TRANSIENT_CODES


def is_away(error: Exception) -> bool:
    """Whether the database could not be asked at all: no server answered, or it is shutting down. A
    deadlock, say, is transient, too, but does not affect the next statement."""
    if not is_transient(error):
        return False
    code = getattr(getattr(error, "orig", None), "sqlstate", None)
    return (
        code is None or code[:2] in ("08", "57") or getattr(error, "connection_invalidated", False)
    )


def is_held_up(error: Exception) -> bool:
    """Whether the row is locked by another: a person in psql, or a transaction that hangs.

    Retrying does not help: the batch is split up, so that only items that need that row fail, and
    they come again later.
    """
    return getattr(getattr(error, "orig", None), "sqlstate", None) in (
        "55P03",  # lock_not_available
        "57014",  # query_canceled: by statement_timeout
    )


def nobody_waits() -> None:
    """Does nothing."""


class Retrying:
    """Runs work again until the database has accepted it; gives up only when the process stops.
    `waits` is called before each pause."""

    def __init__(self, stopping: threading.Event, waits: Callable[[], None] = nobody_waits) -> None:
        self._stopping, self._waits = stopping, waits

    def __call__(
        self, run: Callable[[Sequence[Item]], Sequence[Answer]]
    ) -> Callable[[Sequence[Item]], Sequence[Answer]]:
        def patiently(items: Sequence[Item]) -> Sequence[Answer]:
            try:
                return run(items)
            except Exception as error:
                if not is_transient(error):
                    raise
                return self._again(run, items, error)

        return patiently

    def _again(
        self,
        run: Callable[[Sequence[Item]], Sequence[Answer]],
        items: Sequence[Item],
        error: Exception,
    ) -> Sequence[Answer]:
        pause_s, since = PAUSE_MIN_S, time.monotonic()
        logger.warning("database unavailable, waiting", reason=reason(error))
        with waiting_for_database():
            while True:
                self._waits()
                # Stopping takes precedence: the message stays with the broker, the row with its
                # lease, and both are picked up later.
                jitter = 0.5 + 0.5 * random.random()  # noqa: S311  # spreads load, hides nothing
                if self._stopping.wait(pause_s * jitter):
                    raise DatabaseUnavailable
                try:
                    answers = run(items)
                except Exception as again:
                    if not is_transient(again):
                        raise
                    pause_s = min(PAUSE_MAX_S, pause_s * 2)
                else:
                    waited_s = round(time.monotonic() - since, 1)
                    logger.info("database available again", waited_s=waited_s)
                    return answers
