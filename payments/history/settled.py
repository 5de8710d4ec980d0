"""Up to which moment a list is whole: nothing older can turn up in it any more.

Rows are ordered by the moment at which they were written, and become visible when their
transactions commit, in another order. Whoever reads on from the newest row seen would miss one that
is older and was committed later. So a list ends before what may still be being written.

Who writes into a table holds PostgreSQL's RowExclusiveLock on it until the transaction has ended
and is visible, and `created_at` is taken while it is held (`clock_timestamp()`, models.base). So of
everything older than a moment `at`, what is not visible right after `at` belongs to a transaction
that held the lock at `at`: those are the writers of that moment.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection, text

# Transactions last milliseconds: the end of those that write is waited for, so that whoever lists
# what it has just made finds it. After this long a list ends before what they have begun.
PATIENCE_S = 0.5
LOOK_S = 0.01
# None of ours lasts as long (PostgreSQL 17 and later see to it): what is older is a person's, who
# makes no charges.
TRANSACTION_S = 60.0


@dataclass(frozen=True, slots=True)
class Writers:
    """Who was writing into a table at a moment of the database's clock."""

    at: datetime
    transactions: frozenset[str]
    # When the first of them began, or the earliest that it can have; None when there is none.
    since: datetime | None


def writers(connection: Connection, table: str) -> Writers:
    """Who writes into the table right now. To be asked in a statement of its own, before the
    snapshot of whatever is read up to `until`."""
    row = connection.execute(_WRITERS, {"table": table, "most": _MOST}).one()
    return Writers(row.at, frozenset(row.transactions), row.since)


def until(first: Writers, now: Writers) -> datetime | None:
    """The moment up to which all is visible, if those who wrote `first` have ended by `now`."""
    return None if first.transactions & now.transactions else first.at


def cut(first: Writers, now: Writers) -> datetime:
    """The moment up to which all is visible while some of `first` write on, `now`."""
    return min(first.at, now.since or first.at)


def horizon(
    connection: Connection, table: str, *, sleep: Callable[[float], object] = time.sleep
) -> datetime:
    """The moment up to which a list of the table is whole; waits up to PATIENCE_S for it.

    `connection` must be in no transaction (AUTOCOMMIT).
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
