"""PostgreSQL for an event loop: rules run unchanged, and none of them can block a request.

No thread waits for the database, so none can be stuck. A statement that gets no answer within
DEADLINE_S loses its connection: the socket is shut down, and behind a pooler the statement is
canceled first. It may have been committed all the same; the caller repeats the request under the
same key.
"""

import asyncio
import random
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolExhausted
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlalchemy.util import await_only, greenlet_spawn

from api.edge.problems import DatabaseUnavailable, Held
from payments.acting import Acting
from payments.transaction import Moved, Transaction, Wakes, uncounted
from service import log
from service.database.connecting import end
from service.database.database_limits import WEB
from service.database.diagnosis import Hopeless, is_lacking, reason
from service.database.engine import open_async_engine
from service.database.retrying import is_held_up, is_transient

logger = log.get(__name__)

T = TypeVar("T")

# A caller learns within 3 s that the database is away; half a second is for everything else.
DEADLINE_S = 2.5
# A restart of the database takes a second or two: within the deadline it is waited out.
PAUSE_MIN_S, PAUSE_MAX_S = 0.05, 0.5
CONNECTIONS_MAX = 12


def in_thread(call: Callable[[], T]) -> T:
    """For code inside a transaction: run this in a thread, since it may block, and all requests of
    the process would wait with it."""
    done: T = await_only(asyncio.to_thread(call))
    return done


class Database:
    """Runs functions of a `Connection` or a `Transaction` on connections of a pool."""

    def __init__(
        self,
        url: str,
        wake: Callable[[Wakes], None],
        *,
        count: Callable[[Sequence[Moved]], None] = uncounted,
        deadline_s: float = DEADLINE_S,
    ) -> None:
        self._count = count
        self._engine = open_async_engine(url, WEB, pool_size=4, max_overflow=CONNECTIONS_MAX - 4)
        self._reading = self._engine.execution_options(isolation_level="AUTOCOMMIT")
        self._snapshots = self._engine.execution_options(isolation_level="REPEATABLE READ")
        self._wake = wake
        self._deadline_s = deadline_s
        # Whether a pooler was in between when something was written last.
        self.is_pooled = False

    async def read(self, run: Callable[[Connection], T]) -> T:
        """The result of `run`, each statement by itself. Raises DatabaseUnavailable."""
        return await self._patiently(self._reading, run)

    async def snapshot(self, run: Callable[[Connection], T]) -> T:
        """The result of `run`, with all statements in one snapshot. Raises DatabaseUnavailable."""
        return await self._patiently(self._snapshots, run)

    async def transaction(
        self,
        run: Callable[[Transaction], T],
        *,
        acting: Acting | None = None,
        idempotent: bool = True,
    ) -> T:
        """The result of `run`, once it is committed; then `count` is called with what moved, and
        wake-ups are sent.

        `acting` is the actor for rows of the audit log.

        If the answer to a COMMIT gets lost, `run` runs again, unless it is not `idempotent`: then
        the outcome is unknown, and the caller gets an error. Raises DatabaseUnavailable; Held if
        another transaction has locked what it needs.
        """
        has_run = False

        def in_transaction(connection: Connection) -> tuple[T, Transaction]:
            nonlocal has_run
            has_run = False
            self._look_for_pooler(connection)
            transaction = Transaction(connection, acting)
            answer = run(transaction)
            has_run = True
            return answer, transaction

        def may_repeat() -> bool:
            return idempotent or not has_run

        answer, done = await self._patiently(self._engine, in_transaction, may_repeat)
        self._tell(done)
        return answer

    async def at_once(self, run: Callable[[Transaction], T]) -> T | None:
        """Like `transaction`, in one round trip: `run` makes one statement, which commits by
        itself, and may run again. None behind a pooler, where only a transaction has limits."""

        def unless_pooled(connection: Connection) -> tuple[T | None, Transaction]:
            transaction = Transaction(connection)
            self._look_for_pooler(connection)
            return None if self.is_pooled else run(transaction), transaction

        answer, done = await self._patiently(self._reading, unless_pooled)
        self._tell(done)
        return answer

    def _look_for_pooler(self, connection: Connection) -> None:
        driver: Any = connection.connection.driver_connection
        self.is_pooled = driver.is_pooled

    def _tell(self, done: Transaction) -> None:
        if done.moved:
            self._count(done.moved)
        if done.wakes:
            self._wake(done.wakes)

    async def close(self) -> None:
        await self._engine.dispose()

    async def _patiently(
        self,
        engine: AsyncEngine,
        run: Callable[[Connection], T],
        may_repeat: Callable[[], bool] = lambda: True,
    ) -> T:
        """Run, and retry while the database is away, until the deadline."""
        clock = asyncio.get_running_loop().time
        ends_at, pause_s = clock() + self._deadline_s, PAUSE_MIN_S
        while True:
            try:
                return await _once(engine, run, ends_at)
            except Hopeless as hopeless:
                logger.critical("database can't be used", reason=str(hopeless))
                raise DatabaseUnavailable from None
            except (DBAPIError, PoolExhausted, TimeoutError) as error:
                if is_held_up(error):
                    logger.warning("somebody holds a row", reason=reason(error))
                    raise Held from None
                unavailable = _unavailable(error)
                if unavailable is None:
                    raise
                pause_s *= 0.5 + random.random()  # noqa: S311  # spreads load, hides nothing
                if clock() + pause_s >= ends_at or not may_repeat():
                    # The driver's message about a connection that we have shut down looks like a
                    # crash.
                    why = "no answer in time" if clock() >= ends_at else unavailable
                    logger.warning("database unavailable", reason=why)
                    raise DatabaseUnavailable from None
            await asyncio.sleep(pause_s)
            pause_s = min(PAUSE_MAX_S, pause_s * 2)


# Keeps references, as a loop doesn't keep tasks that are not awaited.
_ENDING: set[asyncio.Task[None]] = set()


async def _once(engine: AsyncEngine, run: Callable[[Connection], T], ends_at: float) -> T:
    """One try. If it hangs past `ends_at`, the connection is closed, and it fails like a lost
    connection.

    All of it in one greenlet: `AsyncConnection` creates one for each of its steps, and each maps
    and unmaps a stack.
    """
    loop = asyncio.get_running_loop()

    def trip() -> T:
        with engine.sync_engine.connect() as connection:
            patience.reschedule(None)
            driver: Any = connection.connection.driver_connection
            ending: list[asyncio.Task[None]] = []

            def give_up() -> None:
                ending.append(task := loop.create_task(end(driver)))
                _ENDING.add(task)
                task.add_done_callback(_ENDING.discard)

            timer = loop.call_at(ends_at, give_up)
            driver.is_committing = False
            try:
                with connection.begin():
                    answer = run(connection)
                    driver.is_committing = True
                    return answer
            except DBAPIError:
                if ending:  # any result: a broken connection or a canceled statement
                    raise TimeoutError from None
                raise
            finally:
                timer.cancel()
                if ending:
                    connection.invalidate()

    async with asyncio.timeout_at(ends_at) as patience:  # waits for a connection, or opens one
        return await greenlet_spawn(trip)


def _unavailable(error: Exception) -> str | None:
    """Why the database could not be reached; None if a retry can't help."""
    if isinstance(error, TimeoutError):
        return "no connection within the time"
    if is_transient(error):
        return reason(error)
    if isinstance(error, DBAPIError) and is_lacking(error):
        return f"{reason(error)}: run `billing migrate`"
    return None
