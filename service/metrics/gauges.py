"""The gauges about the database. Beat serves them, as there is only one beat.

They are read on request, and at most once in FRESH_S seconds.
"""

import threading
import time
from collections.abc import Callable, Iterable, Iterator

from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from sqlalchemy import Engine

from payments.audit import backlog, outstanding
from payments.audit.backlog import Backlog
from service import faults, log
from service.database.database_limits import MONITOR
from service.database.engine import open_engine

logger = log.get(__name__)

FRESH_S = 10.0


class DatabaseGauges(Collector):
    """Gauges read from the database, and whether it answers. `look` may raise."""

    def __init__(
        self, look: Callable[[], Backlog], *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._look = look
        self._clock = clock
        self._lock = threading.Lock()
        self._known: list[Metric] = []
        self._known_until = 0.0

    def describe(self) -> Iterable[Metric]:
        """Nothing: registering must not query the database."""
        return ()

    def collect(self) -> Iterable[Metric]:
        with self._lock:
            if self._clock() >= self._known_until:
                self._known = list(self._ask())
                self._known_until = self._clock() + FRESH_S
            return self._known

    def _ask(self) -> Iterator[Metric]:
        began_at = self._clock()
        try:
            found = self._look()
        except Exception as error:  # noqa: BLE001  # any error shows as missing gauges
            fault = faults.describe(error)
            logger.warning("gauges could not be read", error=fault.kind, where=fault.where)
            yield from of_the_look(None)
            return
        yield from of_the_look(self._clock() - began_at)
        yield from families(found)


def of_the_look(took_s: float | None) -> Iterator[Metric]:
    """Whether the database answered, and how long that took; None: it did not."""
    yield _one(
        "billing_database_up", "Whether the database answered (1) or not (0).", took_s is not None
    )
    if took_s is not None:
        yield _one("billing_database_look_seconds", "How long these gauges took to read.", took_s)


def families(found: Backlog) -> Iterator[Metric]:
    """The gauges for these counts."""
    most = f" (up to {outstanding.COUNT_MAX} are counted)"
    both = ("operation", "phase")
    yield _many(
        "billing_pending",
        f"Charges and refunds that are pending, by phase{most}.",
        both,
        {(one.kind, one.phase): one.count for one in found.pending},
    )
    yield _many(
        "billing_pending_oldest_seconds",
        "For how long the oldest of them is pending, from its first call on; in_flight: leased.",
        both,
        {(one.kind, one.phase): one.oldest_s for one in found.pending},
    )
    yield _many(
        "billing_overdue",
        f"Charges and refunds that are due, and nobody is at work on them{most}.",
        ("operation",),
        {(one.operation,): one.number for one in found.overdue},
    )
    yield _many(
        "billing_overdue_oldest_seconds",
        "For how long the first of them has been due.",
        ("operation",),
        {(one.operation,): one.oldest_s for one in found.overdue},
    )
    yield _one(
        "billing_stock_held_units",
        "Units of prices that charges which are pending hold.",
        found.stock_held.units,
    )
    yield _one("billing_stock_held_charges", "Charges that hold them.", found.stock_held.charges)
    latest = f" The {backlog.ENDPOINTS_MAX} that are worst."
    yield _many(
        "billing_webhook_overdue_seconds",
        f"For how long a webhook has been due, by its endpoint.{latest}",
        ("endpoint_id",),
        {(one.endpoint_id,): one.overdue_s for one in found.late_endpoints},
    )
    yield _many(
        "billing_webhook_failing_seconds",
        f"For how long an endpoint has answered nothing but failures.{latest}",
        ("endpoint_id",),
        {(one.endpoint_id,): one.failing_s for one in found.failing_endpoints},
    )
    yield _many(
        "billing_webhook_endpoints",
        "Webhook endpoints, by state.",
        ("state",),
        {(one.state,): one.number for one in found.endpoints},
    )
    yield _one(
        "billing_quarantined",
        f"Messages in quarantine that nobody is done with{most}.",
        found.quarantined,
    )
    yield _many(
        "billing_sweep_age_seconds",
        "How long ago each sweep was last made, by any beat.",
        ("sweep",),
        {(one.sweep,): one.ago_s for one in found.sweeps},
    )
    yield _one(
        "billing_ledger_unsealed_seconds",
        "For how long nothing of the ledger has been sealed: since the end of the last seal.",
        found.unsealed_s,
    )
    yield _many(
        "billing_table_live_rows",
        "Rows of a table, as PostgreSQL's statistics have them.",
        ("table",),
        {(one.name,): one.live for one in found.tables},
    )
    yield _many(
        "billing_table_dead_rows",
        "Rows of a table that are dead and not vacuumed yet.",
        ("table",),
        {(one.name,): one.dead for one in found.tables},
    )
    yield _one(
        "billing_database_oldest_transaction_seconds",
        "For how long the oldest transaction in this database has been open, of those that our"
        " role may see: it keeps dead rows from being vacuumed.",
        found.oldest_transaction_s,
    )


def of_database(url: str) -> DatabaseGauges:
    """The gauges of the database at this URL. Nothing connects before they are read."""
    engine: Engine = open_engine(url, MONITOR, pool_size=1, max_overflow=0)
    engine = engine.execution_options(isolation_level="AUTOCOMMIT")

    def look() -> Backlog:
        with engine.connect() as connection:
            return backlog.look(connection)

    return DatabaseGauges(look)


def _one(name: str, says: str, value: float) -> Metric:
    return GaugeMetricFamily(name, says, value=value)


def _many(
    name: str, says: str, labels: tuple[str, ...], values: dict[tuple[str, ...], float]
) -> Metric:
    family = GaugeMetricFamily(name, says, labels=labels)
    for named, value in values.items():
        family.add_metric(named, value)
    return family
