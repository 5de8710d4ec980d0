"""Turns events into metrics: called once for each batch, not for each item, if possible.

It costs a few microseconds per charge. Nothing here raises: no metric is worth a payment.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from functools import cache, wraps
from time import monotonic
from typing import TYPE_CHECKING, ParamSpec

from infra.billing.contract.failures import DECLINES, FAILURES
from infra.billing.contract.ids import sampled_trace
from models.rows import LifecycleRow
from models.states import State
from payments.transaction import Moved
from service import faults, log
from service.metrics import metric_catalogue

if TYPE_CHECKING:  # its HTTP client is slow to import
    from payments.webhooks.draining.drains import Record
    from payments.webhooks.draining.posting import Answered

P = ParamSpec("P")
# Per histogram; Prometheus reads one for each bucket every few seconds.
EXAMPLE_EVERY_S = 0.1
logger = log.get(__name__)

KNOWN_FAILURES = DECLINES.keys() | FAILURES.keys() | {""}

# The child of a metric for its labels, cached: looking it up costs as much as counting.
_attempts = cache(metric_catalogue.ATTEMPTS.labels)
_settled = cache(metric_catalogue.SETTLED.labels)
_to_final = cache(metric_catalogue.ACCEPT_TO_FINAL.labels)
_accepted = cache(metric_catalogue.ACCEPTED.labels)
_posts = cache(metric_catalogue.POSTS.labels)
_arrival = cache(metric_catalogue.ARRIVAL.labels)
_deliveries = cache(metric_catalogue.DELIVERIES.labels)


class Examples:
    """Exemplars: the traces of single measurements. Only recorded traces, and few of them, as each
    costs ten times as much as counting."""

    def __init__(self) -> None:
        self._next_at = 0.0

    def of(self, traceparent: str | None) -> dict[str, str] | None:
        """The labels of an exemplar; None for no exemplar."""
        if (trace := sampled_trace(traceparent)) is None or monotonic() < self._next_at:
            return None
        self._next_at = monotonic() + EXAMPLE_EVERY_S
        return {"trace_id": trace}


_finals, _arrivals = Examples(), Examples()


def _harmless(count: Callable[P, None]) -> Callable[P, None]:
    """A counting function whose errors are only logged."""

    @wraps(count)
    def counted(*args: P.args, **kwargs: P.kwargs) -> None:
        try:
            count(*args, **kwargs)
        except Exception as error:  # noqa: BLE001  # the counted work is done, and must stay so
            fault = faults.describe(error)
            logger.error("could not be counted", error=fault.kind, where=fault.where)

    return counted


@_harmless
def moved(moves: Sequence[Moved]) -> None:
    """Charges and refunds were moved, and that is committed."""
    attempts = Counter((m.operation, m.verb, m.outcome, m.row.processor) for m in moves)
    for attempt, times in attempts.items():
        _attempts(*attempt).inc(times)
    final = [m for m in moves if isinstance(m.to, State)]
    ends = Counter((m.operation, m.to.value, _failure(m.row), m.row.processor) for m in final)
    for end, times in ends.items():
        _settled(*end).inc(times)
    for one in final:
        example = _finals.of(one.row.traceparent)
        _to_final(one.operation, one.to.value).observe(_took_s(one.row), example)


@_harmless
def accepted(door: str, rows: Iterable[tuple[str, LifecycleRow]]) -> None:
    """These rows, each with its operation, were read in the transaction that may have written
    them."""
    # The same row twice, if a batch had it twice.
    fresh = {row.id: operation for operation, row in rows if row.created_at >= row.now}
    for operation, count in Counter(fresh.values()).items():
        _accepted(operation, door).inc(count)


def _failure(row: LifecycleRow) -> str:
    code = row.failure_code or ""
    return code if code in KNOWN_FAILURES else "other"


def _took_s(row: LifecycleRow) -> float:
    began_at = max(row.created_at, getattr(row, "scheduled_at", None) or row.created_at)
    return max(0.0, ((row.settled_at or row.now) - began_at).total_seconds())


@_harmless
def posted(answered: Sequence["Answered"], records: Sequence["Record"]) -> None:
    """Webhooks were posted, and the results are recorded."""
    posts = Counter((_answer(record), _attempt(record)) for record in records)
    for post, times in posts.items():
        _posts(*post).inc(times)
    over = Counter(record.state for record in records if record.state != "pending")
    for state, times in over.items():
        _deliveries(state).inc(times)
    for one, record in zip(answered, records, strict=True):
        took_s = record.duration_ms / 1000
        metric_catalogue.POST_S.observe(took_s)
        if record.state == "delivered" and not one.due.is_replay:
            delay_s = max(0.0, one.started_at + took_s - one.due.committed_at)
            example = _arrivals.of(one.due.traceparent)
            _arrival(_attempt(record)).observe(delay_s, example)


def _answer(record: "Record") -> str:
    if record.status_code is not None:
        return f"{record.status_code // 100}xx"
    return "timeout" if record.error in ("timeout", "connect_timeout") else "failed"


def _attempt(record: "Record") -> str:
    return "first" if record.number == 1 else "later"
