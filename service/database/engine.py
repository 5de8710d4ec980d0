"""The one factory of engines: every connection to PostgreSQL is made here.

The URL's parameters are kept and ours are added (`service.database.connecting`). A connection that
answers "read-only" is discarded with all others of its pool: its server is no longer the primary,
and would answer every client so.
"""

from collections.abc import Callable
from time import monotonic
from typing import Any

from sqlalchemy import Connection, Engine, ExceptionContext, NullPool, create_engine, event
from sqlalchemy.engine import make_url
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.pool import ConnectionPoolEntry

from service.database.connecting import Road
from service.database.database_limits import Limits
from service.database.database_url import address
from service.database.diagnosis import note_where
from service.database.planning import AGAIN_AT, note_made, plan_again

READ_ONLY = "25006"  # read_only_sql_transaction: PostgreSQL, appendix A


def open_engine(
    url: str,
    limits: Limits,
    *,
    pool_size: int = 8,
    max_overflow: int = 4,
    pooled: bool = True,
    json: Callable[[bytes], Any] | None = None,
) -> Engine:
    """An engine with these limits. Nothing connects before it is used.

    `pooled=False` makes a new connection for each use. `json` reads JSON values; the default is
    Python's own reader, which supports numbers of any length. Parameters never appear in an error's
    text. Connecting raises diagnosis.Hopeless if a pooler prevents what the URL asks for.
    """
    pool: dict[str, Any] = {"poolclass": NullPool}
    if pooled:
        pool = {
            "pool_size": pool_size,
            "max_overflow": max_overflow,
            "pool_timeout": limits.pool_s,
            # Not checked before each use: after a restart of the database the first use fails, the
            # pool drops all its connections, and the failed work runs again
            # (service/database/retrying.py).
            "pool_pre_ping": False,
        }
    target, road = _road(url, limits)
    engine = create_engine(
        target, hide_parameters=True, use_native_hstore=False, json_deserializer=json, **pool
    )

    @event.listens_for(engine, "do_connect")
    def connect(_dialect: Any, _record: Any, _args: Any, parameters: dict[str, Any]) -> Any:
        return road.connect(parameters)

    _listen(engine, road, url)
    return engine


def open_async_engine(
    url: str, limits: Limits, *, pool_size: int, max_overflow: int
) -> AsyncEngine:
    """Like `open_engine`, for an event loop; the caller limits its waits."""
    target, road = _road(url, limits)
    engine = create_async_engine(
        target,
        hide_parameters=True,
        use_native_hstore=False,
        pool_size=pool_size,
        max_overflow=max_overflow,
        pool_timeout=limits.pool_s,
        pool_pre_ping=False,
        connect_args={"async_creator_fn": road.connect_async},
    )
    _listen(engine.sync_engine, road, url)
    return engine


def _road(url: str, limits: Limits) -> tuple[Any, Road]:
    parsed = make_url(url)
    # The road names the hosts, in its own order.
    return parsed.difference_update_query(["host", "port"]), Road(parsed, limits)


def _listen(engine: Engine, road: Road, url: str) -> None:
    note_where(engine, address(url))

    @event.listens_for(engine, "connect")
    def made(_driver: Any, record: ConnectionPoolEntry) -> None:
        note_made(record)

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        driver: Any = connection.connection.driver_connection
        if driver.is_pooled:  # nothing is prepared on it, and it has no limits of its own
            if not driver.autocommit:
                connection.exec_driver_sql(road.set_local(driver))
        elif monotonic() >= connection.info[AGAIN_AT]:
            plan_again(connection)

    @event.listens_for(engine, "handle_error")
    def drop(context: ExceptionContext) -> None:
        if getattr(context.original_exception, "sqlstate", None) == READ_ONLY:
            context.is_disconnect = True
