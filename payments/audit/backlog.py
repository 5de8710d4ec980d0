"""What waits, counted for monitors that ask every few seconds: as fast for ten million rows as for
ten.

Every statement reads a partial index, up to COUNT_MAX entries of it: a count of COUNT_MAX means
that many or more. `health` has what a person asks for now and then.
"""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, TextClause, text

from payments.audit import health
from payments.audit.outstanding import COUNT_MAX, Pile, of_each_kind, piles

# How many endpoints are listed with their delay: the latest ones.
ENDPOINTS_MAX = 20
# The tables that every charge writes to.
BUSY_TABLES = (
    "charges",
    "refunds",
    "attempts",
    "events",
    "deliveries",
    "delivery_attempts",
    "webhook_endpoints",
)


@dataclass(frozen=True, slots=True)
class Backlog:
    """Rows with the columns of the statements below; times are seconds before now."""

    pending: list[Pile]
    overdue: list[Row[Any]]  # operation, number, oldest_s: due, and not leased
    stock_held: Row[Any]  # units, charges: reserved by charges that are pending
    late_endpoints: list[Row[Any]]  # endpoint_id, overdue_s: how long something has been due
    failing_endpoints: list[Row[Any]]  # endpoint_id, failing_s: since its first failure in a row
    endpoints: list[Row[Any]]  # state, number
    quarantined: int
    sweeps: list[Row[Any]]  # sweep, ago_s
    unsealed_s: float  # since the end of the last sealed hour of the ledger
    tables: list[Row[Any]]  # name, live, dead: rows, as PostgreSQL's statistics have them
    oldest_transaction_s: float  # of those that this role may see


def look(connection: Connection) -> Backlog:
    """The present counts."""

    def rows(statement: TextClause, **parameters: object) -> list[Row[Any]]:
        return list(connection.execute(statement, parameters))

    return Backlog(
        pending=piles(connection),
        overdue=rows(_OVERDUE, most=COUNT_MAX),
        stock_held=connection.execute(_STOCK_HELD, {"most": COUNT_MAX}).one(),
        late_endpoints=rows(_LATE_ENDPOINTS, most=ENDPOINTS_MAX),
        failing_endpoints=rows(_FAILING_ENDPOINTS, most=ENDPOINTS_MAX),
        endpoints=rows(_ENDPOINTS),
        quarantined=health.quarantined(connection),
        sweeps=rows(_SWEEPS),
        unsealed_s=float(connection.execute(_UNSEALED).scalar_one()),
        tables=tables(connection),
        oldest_transaction_s=oldest_transaction_s(connection),
    )


def tables(connection: Connection) -> list[Row[Any]]:
    """Live and dead rows of the busy tables, as PostgreSQL's statistics have them."""
    return list(connection.execute(_TABLES, {"names": list(BUSY_TABLES)}))


def oldest_transaction_s(connection: Connection) -> float:
    """For how long the oldest transaction in this database is open, of those we may see."""
    return float(connection.execute(_OLDEST_TRANSACTION).scalar_one())


# --- The statements ---

_OVERDUE = of_each_kind("""
    SELECT KIND AS operation, count(*) AS number,
           greatest(0, coalesce(extract(epoch FROM now() - min(next_attempt_at)), 0))::float
               AS oldest_s
    FROM (SELECT next_attempt_at FROM TABLE
          WHERE state = 'pending' AND lease_token IS NULL AND next_attempt_at <= now()
          ORDER BY next_attempt_at LIMIT :most) AS due
""")
_STOCK_HELD = text("""
    SELECT coalesce(sum(r.quantity), 0)::bigint AS units, count(*) AS charges
    FROM (
        (SELECT id FROM (
             SELECT id, price_id FROM charges WHERE state = 'pending' AND lease_token IS NULL
             ORDER BY next_attempt_at LIMIT 10 * :most) AS due
         WHERE price_id IS NOT NULL LIMIT :most)
        UNION ALL
        (SELECT id FROM (
             SELECT id, price_id FROM charges WHERE lease_token IS NOT NULL
             ORDER BY lease_expires_at LIMIT 10 * :most) AS held
         WHERE price_id IS NOT NULL LIMIT :most)
    ) AS looked_at
    JOIN reservations r ON r.charge_id = looked_at.id AND r.state = 'held'
""")
# One probe for each endpoint. What is left alone on purpose is not late, and replays can wait.
_LATE_ENDPOINTS = text("""
    SELECT e.id AS endpoint_id,
           extract(epoch FROM now() - greatest(due.at, e.held_back_until))::float AS overdue_s
    FROM webhook_endpoints e
    CROSS JOIN LATERAL (
        SELECT d.next_attempt_at AS at FROM deliveries d
        WHERE d.endpoint_id = e.id AND d.state = 'pending' AND NOT d.is_replay
        ORDER BY d.next_attempt_at LIMIT 1
    ) due
    WHERE e.state = 'enabled' AND greatest(due.at, e.held_back_until) <= now()
    ORDER BY overdue_s DESC LIMIT :most
""")
_FAILING_ENDPOINTS = text("""
    SELECT id AS endpoint_id, extract(epoch FROM now() - failing_since)::float AS failing_s
    FROM webhook_endpoints WHERE state = 'enabled' AND failing_since <= now()
    ORDER BY failing_since LIMIT :most
""")
_ENDPOINTS = text(
    "SELECT state, count(*) AS number FROM webhook_endpoints"
    " WHERE state <> 'deleted' GROUP BY state"
)
_SWEEPS = text(
    "SELECT name AS sweep, greatest(0, extract(epoch FROM now() - at))::float AS ago_s"
    " FROM heartbeats ORDER BY name"
)
_UNSEALED = text("""
    SELECT coalesce((SELECT greatest(0, extract(epoch FROM now() - until)) FROM ledger_seals
                     ORDER BY until DESC LIMIT 1), 0)::float
""")
_TABLES = text("""
    SELECT relname AS name, n_live_tup AS live, n_dead_tup AS dead FROM pg_stat_user_tables
    WHERE relname = ANY(:names) AND schemaname = current_schema() ORDER BY relname
""")
_OLDEST_TRANSACTION = text("""
    SELECT coalesce(max(extract(epoch FROM now() - xact_start)), 0)::float
    FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()
""")
