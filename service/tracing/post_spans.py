"""Spans of webhooks: one for each post, linked to the trace of the request behind its event.

They are created once a batch is recorded, with the times at which each was posted. So a post costs
nothing while it is under way, and one that was not recorded, and is posted again, gets one span.
"""

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from infra.billing.contract.ids import delivery_id
from service import faults, log
from service.metrics import counting
from service.tracing import spans

if TYPE_CHECKING:
    from opentelemetry.trace import Tracer

    from payments.webhooks.draining.drains import Record
    from payments.webhooks.draining.posting import Answered

logger = log.get(__name__)


def posts_told(traces_url: str) -> dict[str, Any]:
    """Options of a deliverer: `count`, which is called with posts, and whether they are `traced`.
    Raises SettingsError if the exporter of spans is not installed."""
    if not traces_url:
        return {"count": counting.posted, "traced": False}
    return {"count": TracedPosts(spans.tracer_of(traces_url)), "traced": True}


class TracedPosts:
    """Counts posts, and creates their spans."""

    def __init__(self, tracer: "Tracer") -> None:
        self._tracer = tracer

    def __call__(self, answered: Sequence["Answered"], records: Sequence["Record"]) -> None:
        counting.posted(answered, records)
        try:
            # `started_at` is on the loop's clock, which has no fixed origin.
            zero_ns = time.time_ns() - time.monotonic_ns()
            for one, record in zip(answered, records, strict=True):
                self._span(one, record, zero_ns + int(one.started_at * 1e9))
        except Exception as error:  # noqa: BLE001  # the traced work is done, and must stay so
            fault = faults.describe(error)
            logger.error("could not be traced", error=fault.kind, where=fault.where)

    def _span(self, one: "Answered", record: "Record", started_ns: int) -> None:
        from opentelemetry.context import Context
        from opentelemetry.trace import SpanKind, StatusCode

        due = one.due
        facts: dict[str, Any] = {
            "billing.event.id": due.event_id,
            "billing.delivery.id": delivery_id(due.delivery_id),
            "billing.endpoint.id": due.endpoint_id,
            "billing.attempt": record.number,
            "billing.state": record.state,
        }
        if due.is_replay:
            facts["billing.replay"] = True
        if record.status_code is not None:
            facts["http.response.status_code"] = record.status_code
        span = self._tracer.start_span(
            "webhook post",
            context=Context(),
            kind=SpanKind.CLIENT,
            links=spans.link_to(due.traceparent),
            attributes=facts,
            start_time=started_ns,
        )
        if not one.answer.is_ok:
            # Our own word, never the receiver's answer.
            span.set_status(StatusCode.ERROR, record.error)
        span.end(started_ns + record.duration_ms * 1_000_000)
