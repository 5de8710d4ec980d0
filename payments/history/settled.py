"""Up to which moment a list is complete, so that no older row can still appear in it.

Rows are ordered by the moment at which they were written, but become visible when their
transactions commit, in another order. A reader that continues from the newest row seen would miss
an older one that was committed later. So a list ends before what may still be being written.

A transaction that writes into a table holds PostgreSQL's RowExclusiveLock on it until it has ended
and is visible, and `created_at` is taken while that is held (`clock_timestamp()`, models.base). So
every row older than a moment `at` that is not visible right after `at` belongs to a transaction
that held the lock at `at`: those are the writers of that moment.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection, text

# Transactions last milliseconds: a list waits for those that write, so that a caller finds what it
# has just created. After this long the list ends before what they have begun.
PATIENCE_S = 0.5
LOOK_S = 0.01
# No transaction of the service lasts this long (PostgreSQL 17 and later enforce it): an older one
# is a person's, and creates no charges.
TRANSACTION_S = 60.0


@dataclass(frozen=True, slots=True)
class Writers:
    """The transactions writing into a table at a moment of the database's clock."""

    at: datetime
    transactions: frozenset[str]
    # When the first of them began, at the earliest; None if there is none.
    since: datetime | None


def writers(connection: Connection, table: str) -> Writers:
    """The transactions that write into the table right now. Call it in its own statement, before
    the snapshot for reading up to `until`."""
    row = connection.execute(_WRITERS, {"table": table, "most": _MOST}).one()
    return Writers(row.at, frozenset(row.transactions), row.since)


def until(first: Writers, now: Writers) -> datetime | None:
    """The moment up to which everything is visible, if the `first` writers have ended by `now`;
    else None."""
    return None if first.transactions & now.transactions else first.at


def cut(first: Writers, now: Writers) -> datetime:
    """The moment up to which everything is visible while some of the `first` writers continue,
    `now`."""
    return min(first.at, now.since or first.at)


def horizon(
    connection: Connection, table: str, *, sleep: Callable[[float], object] = time.sleep
) -> datetime:
    """The moment up to which a list of the table is complete; waits up to PATIENCE_S for it.

    `connection` must not be in a transaction (AUTOCOMMIT).
    """
    first = now = writers(connection, table)
    gives_up_at = time.monotonic() + PATIENCE_S
    while (whole := until(first, now)) is None:
        if time.monotonic() >= gives_up_at:
            return cut(first, now)
        sleep(LOOK_S)
        now = writers(connection, table)
    return whole


_MOST = timedelta(seconds=TRANSACTION_S)
_WRITERS = text("""
    SELECT statement_timestamp() AS at,
           coalesce(array_agg(w.virtualtransaction) FILTER (WHERE w.is_ours), '{}') AS transactions,
           min(w.began_at) FILTER (WHERE w.is_ours) AS since
    FROM (
        -- When another role's transaction began is shown only to members of pg_read_all_stats: to
        -- everybody else it may be as old as ours ever get.
        SELECT l.virtualtransaction,
               coalesce(a.xact_start, statement_timestamp() - CAST(:most AS interval)) AS began_at,
               coalesce(a.xact_start > statement_timestamp() - CAST(:most AS interval), true)
                   AS is_ours
        FROM pg_locks l JOIN pg_stat_activity a ON a.pid = l.pid
        WHERE l.locktype = 'relation' AND l.mode = 'RowExclusiveLock'
          AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
          AND l.relation = CAST(:table AS regclass)
    ) AS w
""")
