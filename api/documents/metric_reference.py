"""docs/reference/metrics.md: every metric, its labels, and what it says."""

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

from prometheus_client import Counter, Gauge, Histogram
from prometheus_client.core import Metric

from api.documents.markdown import NOTICE, code, table
from payments.audit.backlog import Backlog
from service.metrics import gauges, metric_catalogue

HEAD = ("metric", "labels", "what it says")


def document() -> str:
    """The page."""
    return "\n".join(
        [
            "# Metrics",
            "",
            "What the processes tell Prometheus: every metric, with its labels and its meaning.",
            "",
            NOTICE,
            "",
            (
                "Where to scrape them, alerts and dashboards:"
                " [Monitor](../how-to/monitor.md#metrics). Times are in seconds. No label holds a"
                " customer, a producer, a key, or what anybody may write. With"
                " `Accept: application/openmetrics-text` histograms carry examples:"
                " `trace_id` is the trace of a charge whose caller sent a sampled `traceparent`."
            ),
            "",
            "## Of every process",
            "",
            (
                "Each counts what it did itself, from 0 when it starts, so sum them over processes."
                " Beside these it has the usual `process_…` (CPU, memory, files) and `python_gc_…`."
            ),
            "",
            *table(HEAD, list(_counted())),
            "## Of the database, told by `beat`",
            "",
            (
                "How much stands where, read when it is asked for, and at most every"
                f" {gauges.FRESH_S:g} seconds. Where several beats run they tell the same: take"
                " `max`, never a sum."
            ),
            "",
            *table(HEAD, list(_of_database())),
        ]
    )


def _counted() -> Iterator[tuple[str, str, str]]:
    for metric in vars(metric_catalogue).values():
        if isinstance(metric, (Counter, Gauge, Histogram)):
            (family,) = metric.describe()
            name = f"{family.name}_total" if family.type == "counter" else family.name
            kind = "a histogram: " if family.type == "histogram" else ""
            yield _row(name, metric._labelnames, kind + family.documentation)  # noqa: SLF001  # the only place they stand


def _of_database() -> Iterator[tuple[str, str, str]]:
    nothing: Any = SimpleNamespace(units=0, charges=0)
    found = Backlog([], [], nothing, [], [], [], 0, [], 0.0, [], 0.0)
    families = [*gauges.of_the_look(0.0), *gauges.families(found)]
    for family in families:
        yield _row(family.name, _labels(family), family.documentation)


def _labels(family: Metric) -> tuple[str, ...]:
    return tuple(getattr(family, "_labelnames", ()))


def _row(name: str, labels: tuple[str, ...], says: str) -> tuple[str, str, str]:
    return code(name), ", ".join(map(code, labels)), says
