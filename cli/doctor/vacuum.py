"""What gradually slows the database down: dead rows, and transactions that keep them."""

from collections.abc import Iterable

from sqlalchemy import Connection

from cli.doctor.findings import Finding, ago, ok, warn
from payments.audit import backlog

# As long as the alert BillingLongTransaction allows; ours take seconds.
OPEN_WARN_S = 900.0
# Autovacuum begins when a fifth of a table is dead (autovacuum_vacuum_scale_factor). Twice that,
# and some more for small tables, means that it doesn't keep up: queries then take a hundred times
# as long (docs/runbooks/BillingDeadRows.md).
DEAD_SHARE, DEAD_ROWS = 0.4, 20_000


def transactions(connection: Connection, *, warn_s: float = OPEN_WARN_S) -> Iterable[Finding]:
    """Whether one has been open for long."""
    open_s = backlog.oldest_transaction_s(connection)
    if open_s <= warn_s:
        yield ok("transactions", "none that we may see has been open for long")
        return
    advice = (
        "find it in pg_stat_activity by xact_start, and end it: while it is open nothing that died"
        " since can be vacuumed (docs/runbooks/BillingLongTransaction.md)"
    )
    yield warn("transactions", f"one has been open for {ago(open_s)}", advice)


def dead_rows(connection: Connection) -> Iterable[Finding]:
    """Whether autovacuum keeps up with the busy tables."""
    behind = [
        one for one in backlog.tables(connection) if one.dead > DEAD_ROWS + DEAD_SHARE * one.live
    ]
    for one in behind:
        advice = f"`VACUUM {one.name}`; then docs/runbooks/BillingDeadRows.md for why"
        yield warn("dead rows", f"{one.name} has {one.dead} dead rows, {one.live} live", advice)
    if not behind:
        yield ok("dead rows", "autovacuum keeps up with the busy tables")
