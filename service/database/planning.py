"""Plans are made again as a connection gets older, and then once a minute.

PostgreSQL keeps the plan of a statement that runs often. That plan went by the tables as they were:
for an empty one, to read all of it, and so does each batch of a first import until autovacuum has
counted the rows, a minute or two later. A plan that is made anew goes by the pages that there are.
"""

import time
from collections.abc import Callable
from typing import Any

from sqlalchemy import Connection, Engine, event
from sqlalchemy.pool import ConnectionPoolEntry

# To plan a connection's statements takes some ten milliseconds: nothing once a minute. A table
# may double within the age of a young connection, so it plans again whenever its age has doubled.
SOONEST_S = 1.0
SELDOM_S = 60.0

FORGET = "DISCARD PLANS"
_MADE = "connection_made_at"
_PLANNED = "statements_planned_at"


def plan_again(engine: Engine, clock: Callable[[], float] = time.monotonic) -> None:
    """Let the connections of an engine forget their plans in time. `clock` is monotonic, in
    seconds. Not those behind a pooler, which prepare nothing."""

    @event.listens_for(engine, "connect")
    def made(_driver: object, record: ConnectionPoolEntry) -> None:
        record.info[_MADE] = record.info[_PLANNED] = clock()

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        driver: Any = connection.connection.driver_connection
        if driver.prepare_threshold is None:
            return
        info, now = connection.info, clock()
        age = info[_PLANNED] - info[_MADE]
        if now - info[_PLANNED] < min(max(age, SOONEST_S), SELDOM_S):
            return
        info[_PLANNED] = now
        connection.exec_driver_sql(FORGET)
