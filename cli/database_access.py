"""The database for a command: read it, or write to it and wake a worker."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

from cli.actor import somebody

if TYPE_CHECKING:
    from sqlalchemy import Connection, Engine

    from payments.approval_policy import Approvals
    from payments.kinds import KindOf, R
    from payments.processors.statements import Statements
    from payments.transaction import Database, Transaction
    from service.database.database_limits import Limits
    from service.settings import Settings

T = TypeVar("T")

# The state is changed by a worker, so we poll: quickly at first, as most are final at once.
POLL_MIN_S, POLL_MAX_S = 0.05, 1.0
# A full queue, or a broker that is away, is left alone for this long.
FULL_S = 2.0


@contextmanager
def opened(
    settings: "Settings | None" = None, *, limits: "Limits | None" = None
) -> "Iterator[Engine]":
    """An engine for one command; read-only commands need no broker.

    Raises revisions.Behind if a statement fails because a migration is missing.
    """
    from sqlalchemy.exc import DBAPIError

    from service import settings as worker_settings
    from service.database import revisions
    from service.database.database_limits import COMMAND
    from service.database.diagnosis import is_lacking
    from service.wiring import open_database

    settings = settings or worker_settings.load(broker_url="redis://unused")
    engine = open_database(settings.database_url, pool_size=1, limits=limits or COMMAND)
    try:
        yield engine
    except DBAPIError as error:
        if is_lacking(error):
            revisions.require_current(engine)
        raise
    finally:
        engine.dispose()


def statements() -> "Statements":
    """The statements of processors, for commands that show them."""
    from service import settings, wiring

    return wiring.statements(settings.load(broker_url="redis://unused"))


@contextmanager
def reading(*, snapshot: bool = False) -> "Iterator[Connection]":
    """A connection that can only read: each statement by itself, or all in one snapshot.

    By itself, so that a person who pages through a list does not hold up the vacuum.
    """
    level = "REPEATABLE READ" if snapshot else "AUTOCOMMIT"
    options: dict[str, Any] = {"isolation_level": level, "postgresql_readonly": True}
    with opened() as engine, engine.execution_options(**options).connect() as connection:
        yield connection


@contextmanager
def database(*, waiting_max: int | None = None) -> "Iterator[Database]":
    """The database, to open transactions. After each commit a worker is woken, if the broker is
    there; if it isn't, the sweep finds the row within a second.

    With `waiting_max` no worker is woken while that many messages wait: the sweep will do it.
    """
    from payments.transaction import Database, Wakes
    from service import log
    from service.broker.celery_config import PAYMENTS
    from service.broker.publisher import Publisher
    from service.settings import load
    from worker.app import app

    log.configure("console", "warning")  # as for every command; the app has set its own
    publisher, full_until = Publisher(app), 0.0

    def wake(wakes: Wakes) -> None:
        nonlocal full_until
        if waiting_max is not None:
            if time.monotonic() < full_until:
                return
            if not publisher.room(PAYMENTS, waiting_max):  # full, or not there
                full_until = time.monotonic() + FULL_S
                return
        publisher(wakes)

    with opened(load()) as engine:
        yield Database(engine, wake, acting=somebody())


def approvals() -> "Approvals":
    """What a second person must approve, as the settings have it."""
    from service import settings, wiring

    return wiring.approvals(settings.load(broker_url="redis://unused"))


@contextmanager
def writing() -> "Iterator[Transaction]":
    """One transaction of `database`."""
    with database() as ours, ours.transaction() as transaction:
        yield transaction


def wait_until_at_rest(kind: "KindOf[R]", id_: str, *, wait_s: float) -> "R":
    """The row as soon as nothing more happens by itself, or as it stands after `wait_s`."""
    from models.states import Phase
    from payments.lifecycle.payment_queries import get, is_at_rest

    with reading() as connection:
        return wait_until(
            lambda: get(connection, kind, id_),
            lambda row: is_at_rest(row) or row.phase == Phase.NEEDS_REVIEW,
            wait_s=wait_s,
        )


def wait_until(look: Callable[[], T], is_it: Callable[[T], bool], *, wait_s: float) -> T:
    """The result of `look` as soon as it satisfies `is_it`, or the last one after `wait_s`."""
    ends_at, pause_s = time.monotonic() + wait_s, POLL_MIN_S
    while True:
        seen = look()
        left_s = ends_at - time.monotonic()
        if is_it(seen) or left_s <= 0:
            return seen
        time.sleep(min(pause_s, left_s))
        pause_s = min(pause_s * 1.5, POLL_MAX_S)
