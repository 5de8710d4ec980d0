"""Notifying running drainers without the broker: `NOTIFY` says which endpoints have something due.

The notification is sent after the commit that makes it due, in a transaction that writes nothing: a
transaction that notifies takes a lock that all such commits share, for as long as its own commit
takes. The row of an endpoint says whether its drainer listens; if not, a message wakes it, and what
was missed is found a second later (`leases.with_more_due`). So this affects only how soon.
"""

import asyncio
from collections.abc import Callable, Collection, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import psycopg
import structlog
from sqlalchemy import Connection, Engine, text

log = structlog.get_logger(__name__)

CHANNEL = "billing_due"
# Seconds until the next try after a connection was lost, or could not be made.
AGAIN_S = 1.0
# How often to check that the connection still works, and how long that may take: on an open but
# dead connection notifications would be missed unnoticed.
CHECK_EVERY_S = 10.0
CHECK_S = 5.0


def tell(connection: Connection, endpoint_ids: Collection[str]) -> set[str]:
    """Notify the drainers of these endpoints that something is due; returns the endpoints without a
    listening drainer. Call it after the commit, in a transaction of its own."""
    found = connection.execute(_TELL, {"ids": sorted(endpoint_ids)})
    return {id_ for id_, is_unheard in found if is_unheard}


def pass_on(connection: Connection, endpoint_ids: Sequence[str], *, waits: bool) -> list[None]:
    """`tell` as a step (`together.Step`), for a process that was woken for drainers of another."""
    tell(connection, endpoint_ids)
    return [None] * len(endpoint_ids)


# As a column, so that it is computed only for the rows found: a condition might be evaluated for
# all.
_TELL = text(f"""
    SELECT e.id, CASE WHEN e.drain_is_listening AND e.drain_expires_at > now()
                      THEN pg_notify('{CHANNEL}', e.id) IS NULL ELSE true END AS is_unheard
    FROM webhook_endpoints e
    WHERE e.id = ANY (CAST(:ids AS text[]))
""")  # noqa: S608  # no part of it is given


class Listener:
    """Listens on its own connection. `on_due` is called with the ids of endpoints, on the event
    loop. Behind a transaction pooler there is no listening, and messages do the work instead."""

    def __init__(self, engine: Engine, on_due: Callable[[str], None]) -> None:
        self._engine = engine
        self._on_due = on_due
        self.is_listening = False

    async def run(self) -> None:
        """Listen for ever, or until it is clear that notifications can't be received."""
        # Its own: names that don't resolve block all of the loop's threads for many seconds.
        self._thread = ThreadPoolExecutor(1, "webhooks-listener")
        is_known = False
        try:
            while True:
                was_listening = await self._listen()
                if was_listening is None:
                    log.info("behind a pooler nobody can listen; messages say what is due")
                    return
                if was_listening or not is_known:
                    log.warning("nobody listens for what is due; messages say it")
                is_known = True
                await asyncio.sleep(AGAIN_S)
        finally:
            self._thread.shutdown(wait=False)

    async def _listen(self) -> bool | None:
        """Listen until the connection is lost. Returns whether there was one; None if there can't
        be one."""
        was_listening = False
        try:
            driver = await self._connected()
            if driver is None:
                return None
            try:
                self.is_listening = was_listening = True
                await self._hear(driver)
            finally:
                self.is_listening = False
                # After what the thread may still be doing with it.
                self._thread.submit(driver.close)
        # Whatever the error: this process goes on delivering, and tries again.
        except Exception as error:  # noqa: BLE001
            log.debug("not listening", error=type(error).__name__)
        return was_listening

    async def _connected(self) -> "psycopg.Connection[Any] | None":
        connecting = self._thread.submit(self._connect)
        try:
            return await asyncio.wrap_future(connecting)
        except asyncio.CancelledError:  # a connection that still comes is closed
            connecting.add_done_callback(_close)
            raise

    def _connect(self) -> "psycopg.Connection[Any] | None":
        """A connection of its own that listens; None if another session may answer."""
        pooled = self._engine.raw_connection()
        driver: Any = pooled.driver_connection
        pooled.detach()
        try:
            if getattr(driver, "is_pooled", False):
                driver.close()
                return None
            driver.rollback()
            driver.autocommit = True
            driver.execute(f"LISTEN {CHANNEL}")
            driver.answer_s = CHECK_S  # also if the URL allows statements more time
        except BaseException:
            driver.close()
            raise
        listening: psycopg.Connection[Any] = driver
        return listening

    async def _hear(self, driver: "psycopg.Connection[Any]") -> None:
        """Pass on notifications. Raises the error that ends the connection."""
        loop = asyncio.get_running_loop()
        lost: asyncio.Future[psycopg.Error] = loop.create_future()
        socket = driver.fileno()

        # Notifications that arrive with the answer to a check are read in its thread.
        def heard(notification: psycopg.Notify) -> None:
            loop.call_soon_threadsafe(self._on_due, notification.payload)

        def read() -> None:
            try:
                driver.pgconn.consume_input()
                while (notification := driver.pgconn.notifies()) is not None:
                    self._on_due(notification.extra.decode())
            except psycopg.Error as error:
                # At once: the number of a closed socket is reused by the next one.
                loop.remove_reader(socket)
                if not lost.done():
                    lost.set_result(error)

        driver.add_notify_handler(heard)
        while True:
            loop.add_reader(socket, read)
            read()  # notifications after the answer to a check
            try:
                await asyncio.wait([lost], timeout=CHECK_EVERY_S)
            finally:
                if not lost.done():
                    loop.remove_reader(socket)
            if lost.done():
                raise lost.result()
            await loop.run_in_executor(self._thread, _check, driver)


def _close(connecting: "Future[psycopg.Connection[Any] | None]") -> None:
    if connecting.cancelled() or connecting.exception() is not None:
        return
    if (driver := connecting.result()) is not None:
        driver.close()


def _check(driver: "psycopg.Connection[Any]") -> None:
    """Raise unless it leads to a server that accepts writes."""
    row = driver.execute("SHOW transaction_read_only").fetchone()
    if row is None or row[0] != "off":
        raise psycopg.OperationalError("no primary any more")
