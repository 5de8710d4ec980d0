"""How a connection is made: whose turn it is among the hosts, what is set, and whether a pooler is
in between.

A pooler by transaction (PgBouncer's `pool_mode = transaction`) gives a session to others between
two transactions: what is prepared or SET in it is somebody else's next. It is found out by its
word: the process that a client is told it talks to is not the one that answers
`pg_backend_pid()`. Then nothing is prepared, nothing is set but for one transaction at a time
(`service.database.engine`), and what needs a session is refused. A pooler by session looks the
same, and is treated the same.

A COMMIT that is given up is not canceled. Under synchronous replication it waits for a standby with
the row on its own disk already; canceled, it would end there and then, and show everybody a row
that a failover takes back. Hung up on, it goes on waiting, and the row is unseen until it is safe.
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

from service.database.database_url import hosts_of, options_of
from service.database.diagnosis import Hopeless
from service.database.limits import Limits

# A server that vanishes without a word is given up within ten seconds; by default the kernel would
# wait for hours. (One that is silent and acknowledges, by `Connection.wait`.)
KEEPALIVES = {
    "keepalives_idle": 5,
    "keepalives_interval": 1,
    "keepalives_count": 5,
    "tcp_user_timeout": 10_000,
}
# To ask a pooler to end what nobody waits for any more; on an event loop a caller waits meanwhile.
CANCEL_S = 1.0
CANCEL_AT_ONCE_S = 0.3

NO_SESSION = (
    "BILLING_DATABASE_URL leads to a connection pooler, and migrations need a session of their own:"
    " set BILLING_DATABASE_DIRECT_URL to a URL that leads to PostgreSQL itself"
)


class Connection(psycopg.Connection[Any]):
    """psycopg's, on which no wait is endless: a server that doesn't answer within `answer_s` has
    its connection closed, and the error is that of a lost connection."""

    answer_s: float = 10.0
    is_pooled = False
    is_committing = False

    def commit(self) -> None:
        """As psycopg's; it is noted, since nobody may cancel it."""
        self.is_committing = True
        try:
            super().commit()
        finally:
            self.is_committing = False

    def wait(self, gen: Any, interval: float = 0.1, timeout: float | None = None) -> Any:
        """As psycopg's; every answer comes this way."""
        if timeout is not None:
            return super().wait(gen, interval, timeout)
        try:
            return super().wait(gen, interval, self.answer_s)
        except errors._WaitTimeout:  # noqa: SLF001  # its documented way to say so
            self._give_up()
            raise psycopg.OperationalError(f"no answer within {self.answer_s:g} s") from None

    def _give_up(self) -> None:
        if self.is_pooled and not self.is_committing:
            # Without a limit of the server's own, the statement would go on for nobody, and
            # another behind the next connection, and so on.
            with contextlib.suppress(psycopg.Error):
                self.cancel_safe(timeout=CANCEL_S)
        self.pgconn.finish()


class AsyncConnection(psycopg.AsyncConnection[Any]):
    """psycopg's, for an event loop that ends its waits itself (`api.database`), and says when it
    is committing."""

    is_pooled = False
    is_committing = False


class Road:
    """The way of one engine to its database."""

    def __init__(self, url: URL, limits: Limits) -> None:
        self.hosts = hosts_of(url)
        self._limits = limits
        self._options = options_of(url)
        self._first = 0

    def connect(self, given: Mapping[str, Any]) -> Connection:
        """A connection, set up. `given` is what the URL says, which ours is added to."""
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
        """As `connect`; whoever waits for it sets the limit."""
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

    # --- What is asked for ---

    def _parameters(self, given: Mapping[str, Any]) -> dict[str, Any]:
        ours: dict[str, Any] = {
            "application_name": self._limits.application_name,
            "connect_timeout": self._limits.connect_s,
            **KEEPALIVES,
        }
        if len(self.hosts) > 1:
            # Among several the one that can be written to, unless the URL says otherwise.
            ours["target_session_attrs"] = "read-write"
        parameters = {**ours, **given}
        if self.hosts:
            # Who answered last is asked first: the others may be gone, and each costs its limit.
            hosts = [*self.hosts[self._first :], *self.hosts[: self._first]]
            parameters["host"] = ",".join(host for host, _ in hosts)
            parameters["port"] = ",".join(str(port or "") for _, port in hosts)
        return parameters

    def _ours(self, server_version: int) -> dict[str, str]:
        """Our settings of the server, without those that the URL makes itself."""
        settings = self._limits.settings(server_version)
        asked = {name.lower() for name in self._options}
        return {name: value for name, value in settings.items() if name.lower() not in asked}

    # --- What is found ---

    def _failed(self, error: BaseException) -> None:
        self._first = (self._first + 1) % max(1, len(self.hosts))
        if "unsupported startup parameter" in str(error):
            raise Hopeless(_lost(", ".join(self._options) or "options")) from None

    def _set_up(self, connection: psycopg.BaseConnection[Any]) -> sql.Composed:
        """Asks who answers, and sets what is to be set if that is who we were told of."""
        is_ours = sql.SQL("pg_backend_pid() = {}").format(connection.pgconn.backend_pid)
        settings = [
            sql.SQL("set_config({}, {}, false)").format(name, value)
            for name, value in self._ours(connection.info.server_version).items()
        ]
        # CASE looks at one branch only: at a pooler nothing is set.
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
        """Whether what the URL asks the server for has arrived behind a pooler; each as it is and
        as it would be (set for this one statement only, to be compared in one spelling)."""
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
    """Shut down the socket under psycopg's connection, from any thread; who waits on it finds it
    broken."""
    if driver.closed:
        return
    with contextlib.suppress(OSError), socket.socket(fileno=os.dup(driver.fileno())) as link:
        link.shutdown(socket.SHUT_RDWR)


async def end(driver: AsyncConnection) -> None:
    """End what a server does for nobody any more, and hang up where it does not end at once.

    PostgreSQL at work learns of no hang-up. Without a pooler its own limit ends the statement;
    behind one there is such a limit in transactions only (`service.database.engine`), so the pooler
    is asked to cancel first: of a client that has gone it knows nothing any more. Afterwards the
    connection is to be thrown away: the request to cancel may be late. A COMMIT is not canceled
    (see above).
    """
    if driver.is_pooled and not driver.is_committing:
        telling = asyncio.ensure_future(driver.cancel_safe(timeout=CANCEL_S))
        await asyncio.wait([telling], timeout=CANCEL_AT_ONCE_S)
        telling.add_done_callback(_retrieved)
    hang_up(driver)


def _retrieved(telling: "asyncio.Future[None]") -> None:
    """What can't be told is not: the pooler is away, or silent."""
    if not telling.cancelled():
        telling.exception()


# PgBouncer keeps this one per client, and so does every pooler that follows it.
_AT_A_POOLER = "SET TimeZone = 'UTC'"


def _lost(names: str) -> str:
    return (
        f"BILLING_DATABASE_URL asks for {names} and leads to a connection pooler, where that gets"
        " lost: set it for the role (ALTER ROLE … SET …), or let the URL lead to PostgreSQL itself"
    )
