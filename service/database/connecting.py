"""How a connection is made: in which order hosts are tried, what is set, and whether a pooler is in
between.

A transaction pooler (PgBouncer's `pool_mode = transaction`) gives a session to others between two
transactions: what is prepared or SET in it may affect another client next. It is detected by
comparing process ids: the one that a client is told differs from the one that answers
`pg_backend_pid()`. Then nothing is prepared, settings are made for one transaction at a time
(`service.database.engine`), and what needs a session is refused. A session pooler looks the same,
and is treated the same.

A COMMIT that is given up is not canceled. Under synchronous replication it waits for a standby with
the row already on its own disk; if it were canceled, it would end at once, and show everyone a row
that a failover takes back. If the connection is only closed, it goes on waiting, and the row is
invisible until it is safe.
"""

import asyncio
import contextlib
import os
import socket
from collections.abc import Mapping
from typing import Any

import psycopg
from psycopg import errors, sql
from sqlalchemy import URL

from service.database.database_limits import Limits
from service.database.database_url import hosts_of, options_of
from service.database.diagnosis import Hopeless

# A server that vanishes is given up within ten seconds; by default the kernel would wait for hours.
# (`Connection.wait` limits one that acknowledges and stays silent.)
KEEPALIVES = {
    "keepalives_idle": 5,
    "keepalives_interval": 1,
    "keepalives_count": 5,
    "tcp_user_timeout": 10_000,
}
# For asking a pooler to cancel a statement that is no longer waited for; on an event loop a caller
# waits in the meantime.
CANCEL_S = 1.0
CANCEL_AT_ONCE_S = 0.3

NO_SESSION = (
    "BILLING_DATABASE_URL leads to a connection pooler, and migrations need a session of their own:"
    " set BILLING_DATABASE_DIRECT_URL to a URL that leads to PostgreSQL itself"
)


class Connection(psycopg.Connection[Any]):
    """psycopg's, without endless waits: if a server doesn't answer within `answer_s`, the
    connection is closed, and the error is that of a lost connection."""

    answer_s: float = 10.0
    is_pooled = False
    is_committing = False

    def commit(self) -> None:
        """Like psycopg's; it is noted, since a COMMIT must not be canceled."""
        self.is_committing = True
        try:
            super().commit()
        finally:
            self.is_committing = False

    def wait(self, gen: Any, interval: float = 0.1, timeout: float | None = None) -> Any:
        """Like psycopg's; every answer comes through here."""
        if timeout is not None:
            return super().wait(gen, interval, timeout)
        try:
            return super().wait(gen, interval, self.answer_s)
        except errors._WaitTimeout:  # noqa: SLF001  # documented
            self._give_up()
            raise psycopg.OperationalError(f"no answer within {self.answer_s:g} s") from None

    def _give_up(self) -> None:
        if self.is_pooled and not self.is_committing:
            # Without a limit of the server's own, the abandoned statement would go on, and another
            # behind the next connection, and so on.
            with contextlib.suppress(psycopg.Error):
                self.cancel_safe(timeout=CANCEL_S)
        self.pgconn.finish()


class AsyncConnection(psycopg.AsyncConnection[Any]):
    """psycopg's, for an event loop that ends its waits itself (`api.database`); it notes when it is
    committing."""

    is_pooled = False
    is_committing = False


class Road:
    """The connections of one engine to its database."""

    def __init__(self, url: URL, limits: Limits) -> None:
        self.hosts = hosts_of(url)
        self._limits = limits
        self._options = options_of(url)
        self._first = 0

    def connect(self, given: Mapping[str, Any]) -> Connection:
        """A connection, set up. `given` are the parameters from the URL, to which ours are
        added."""
        try:
            connection = Connection.connect(**self._parameters(given), autocommit=True)
        except BaseException as error:
            self._failed(error)
            raise
        try:
            connection.answer_s = self._limits.connect_s
            found = connection.execute(self._set_up(connection)).fetchone()
            if not self._is_ours(found):
                connection.execute(_AT_A_POOLER)
                self._require(connection.execute(self._compare()).fetchone())
            self._welcome(connection, found)
            connection.autocommit = False
            connection.answer_s = self._answer_s(found)
        except BaseException:
            connection.close()
            raise
        return connection

    async def connect_async(self, **given: Any) -> AsyncConnection:
        """Like `connect`; the caller sets the limit."""
        try:
            connection = await AsyncConnection.connect(**self._parameters(given), autocommit=True)
        except BaseException as error:
            self._failed(error)
            raise
        try:
            found = await (await connection.execute(self._set_up(connection))).fetchone()
            if not self._is_ours(found):
                await connection.execute(_AT_A_POOLER)
                self._require(await (await connection.execute(self._compare())).fetchone())
            self._welcome(connection, found)
            await connection.set_autocommit(False)
        except BaseException:
            await connection.close()
            raise
        return connection

    def set_local(self, connection: Connection | AsyncConnection) -> str:
        """Our limits for one transaction, as statements."""
        settings = self._ours(connection.info.server_version)
        return ";".join(f"SET LOCAL {name} = '{value}'" for name, value in settings.items())

    # --- Parameters ---

    def _parameters(self, given: Mapping[str, Any]) -> dict[str, Any]:
        ours: dict[str, Any] = {
            "application_name": self._limits.application_name,
            "connect_timeout": self._limits.connect_s,
            **KEEPALIVES,
        }
        if len(self.hosts) > 1:
            # Of several hosts the one that can be written to, unless the URL says otherwise.
            ours["target_session_attrs"] = "read-write"
        parameters = {**ours, **given}
        if self.hosts:
            # The host that answered last is tried first: the others may be gone, and each costs its
            # limit.
            hosts = [*self.hosts[self._first :], *self.hosts[: self._first]]
            parameters["host"] = ",".join(host for host, _ in hosts)
            parameters["port"] = ",".join(str(port or "") for _, port in hosts)
        return parameters

    def _ours(self, server_version: int) -> dict[str, str]:
        """Our server settings, without those that the URL makes itself."""
        settings = self._limits.settings(server_version)
        asked = {name.lower() for name in self._options}
        return {name: value for name, value in settings.items() if name.lower() not in asked}

    # --- Checks ---

    def _failed(self, error: BaseException) -> None:
        self._first = (self._first + 1) % max(1, len(self.hosts))
        if "unsupported startup parameter" in str(error):
            raise Hopeless(_lost(", ".join(self._options) or "options")) from None

    def _set_up(self, connection: psycopg.BaseConnection[Any]) -> sql.Composed:
        """A statement that asks for the process id, and makes the settings if it is the one that we
        were told."""
        is_ours = sql.SQL("pg_backend_pid() = {}").format(connection.pgconn.backend_pid)
        settings = [
            sql.SQL("set_config({}, {}, false)").format(name, value)
            for name, value in self._ours(connection.info.server_version).items()
        ]
        # CASE evaluates one branch only: at a pooler nothing is set.
        return sql.SQL(
            "SELECT {is_ours}, CASE WHEN {is_ours} THEN ARRAY[{settings}] END,"
            " (SELECT setting::bigint FROM pg_settings WHERE name = 'statement_timeout')"
        ).format(is_ours=is_ours, settings=sql.SQL(", ").join(settings))

    @staticmethod
    def _is_ours(found: Any) -> bool:
        return bool(found[0])

    def _welcome(self, connection: Connection | AsyncConnection, found: Any) -> None:
        connection.is_pooled = not self._is_ours(found)
        if connection.is_pooled:
            if self._limits.needs_session:
                raise Hopeless(NO_SESSION)
            connection.prepare_threshold = None
        at = connection.pgconn.host.decode(), connection.pgconn.port.decode()
        known = [(host, str(port or 5432)) for host, port in self.hosts]
        if at in known:
            self._first = known.index(at)

    def _answer_s(self, found: Any) -> float:
        """Ours, unless the URL gives statements more time (0: no limit, and so our longest)."""
        if "statement_timeout" not in self._options:
            return self._limits.answer_s
        return (found[2] / 1000 or 24 * 3600.0) + 1.0

    def _compare(self) -> sql.Composed:
        """Whether the settings that the URL asks for took effect behind a pooler; each with its
        present value and the wanted one (set for this one statement only, to compare both in the
        same spelling)."""
        pairs = [
            sql.SQL(
                "current_setting({0}, true) IS NOT DISTINCT FROM set_config({0}, {1}, true)"
            ).format(name, value)
            for name, value in self._options.items()
        ]
        return sql.SQL("SELECT {}").format(sql.SQL(", ").join([sql.SQL("true"), *pairs]))

    def _require(self, arrived: Any) -> None:
        lost = [name for name, there in zip(self._options, arrived[1:], strict=True) if not there]
        if lost:
            raise Hopeless(_lost(", ".join(lost)))


def hang_up(driver: Any) -> None:
    """Shut down the socket under psycopg's connection, from any thread; a thread that waits on it
    gets an error."""
    if driver.closed:
        return
    with contextlib.suppress(OSError), socket.socket(fileno=os.dup(driver.fileno())) as link:
        link.shutdown(socket.SHUT_RDWR)


async def end(driver: AsyncConnection) -> None:
    """End an abandoned statement on the server, and close the connection if that takes long.

    A working PostgreSQL doesn't notice a closed connection. Without a pooler the server's own limit
    ends the statement; behind one there is such a limit in transactions only
    (`service.database.engine`), so the pooler is asked to cancel first: it knows nothing about a
    client that has gone. Afterwards the connection must be discarded, as the cancel request may be
    late. A COMMIT is not canceled (see above).
    """
    if driver.is_pooled and not driver.is_committing:
        telling = asyncio.ensure_future(driver.cancel_safe(timeout=CANCEL_S))
        await asyncio.wait([telling], timeout=CANCEL_AT_ONCE_S)
        telling.add_done_callback(_retrieved)
    hang_up(driver)


def _retrieved(telling: "asyncio.Future[None]") -> None:
    """Ignore a failure to cancel: the pooler is away, or silent."""
    if not telling.cancelled():
        telling.exception()


# PgBouncer keeps this setting per client, and so does every pooler that follows it.
_AT_A_POOLER = "SET TimeZone = 'UTC'"


def _lost(names: str) -> str:
    return (
        f"BILLING_DATABASE_URL asks for {names} and leads to a connection pooler, where that gets"
        " lost: set it for the role (ALTER ROLE … SET …), or let the URL lead to PostgreSQL itself"
    )
