"""Spans of OpenTelemetry: one for each attempt at a charge or refund, and one for each call in it.

An attempt may come hours after the request. So it is a trace of its own, linked to the request's,
which its row keeps (`traceparent`).
"""

from functools import cache
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from models.rows import LifecycleRow
from payments.lifecycle.calls import Watch, Watched
from payments.lifecycle.claims import Claimed
from payments.processors.outcomes import Unknown
from service.execution.watching import CountedCall, Counting, ToldAttempt, outcome_of
from service.settings_errors import SettingsError

if TYPE_CHECKING:
    from opentelemetry.trace import Link, Tracer

NEEDED = "{} needs packages that are not installed: pip install -r requirements-telemetry.lock"


def watch_of(traces_url: str) -> Watch:
    """The watch of attempts: metrics, and with a URL also spans. Raises SettingsError if the
    exporter is not installed."""
    return Traced(tracer_of(traces_url)) if traces_url else Counting()


@cache
def tracer_of(traces_url: str) -> "Tracer":
    """The process's tracer: spans are sent from a separate thread, and the last at exit."""
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
    except ImportError:
        raise SettingsError(NEEDED.format("BILLING_TRACES_URL")) from None
    provider = TracerProvider(resource=Resource.create({"service.name": "billing"}))
    exporter = OTLPSpanExporter(endpoint=traces_url.rstrip("/") + "/v1/traces")
    provider.add_span_processor(BatchSpanProcessor(exporter))
    return provider.get_tracer("billing")


def link_to(traceparent: str | None) -> "list[Link]":
    """The link to the trace of a request, as read by `infra.billing.contract.ids.traceparent`."""
    from opentelemetry.trace import Link, SpanContext, TraceFlags

    if traceparent is None:
        return []
    _, trace, span, flags = traceparent.split("-")
    to = SpanContext(int(trace, 16), int(span, 16), True, TraceFlags(int(flags, 16)))
    return [Link(to)]


class Traced(Counting):
    """Counts, and creates spans."""

    def __init__(self, tracer: "Tracer") -> None:
        self._tracer = tracer

    def attempt(self, claimed: Claimed) -> Watched:
        return AttemptSpan(self._tracer, claimed)

    def call(self, claimed: Claimed, verb: str) -> Watched:
        return CallSpan(self._tracer, claimed, verb)


class AttemptSpan(ToldAttempt):
    """From the claim to the settlement; the parent of an adapter's own spans."""

    def __init__(self, tracer: "Tracer", claimed: Claimed) -> None:
        super().__init__(claimed)
        self._tracer, self._claimed = tracer, claimed

    def __enter__(self) -> Self:
        from opentelemetry.context import Context
        from opentelemetry.trace import SpanKind, use_span

        row, kind = self._claimed.row, self._claimed.kind.name
        self._span = self._tracer.start_span(
            f"{kind} attempt",
            context=Context(),
            kind=SpanKind.CONSUMER,
            links=link_to(row.traceparent),
            attributes=_attributes(self._claimed) | {"billing.attempt": row.attempts},
        )
        self._use: Any = use_span(
            self._span, end_on_exit=True, record_exception=False, set_status_on_exception=False
        )
        self._use.__enter__()
        return super().__enter__()

    def settled(self, verb: str, row: LifecycleRow) -> None:
        self._span.set_attribute("billing.verb", verb)
        self._span.set_attribute("billing.state", row.state)
        if row.phase is not None:
            self._span.set_attribute("billing.phase", row.phase)
        if row.failure_code is not None:
            self._span.set_attribute("billing.failure_code", row.failure_code)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        from opentelemetry.trace import StatusCode

        super().__exit__(kind, error, traceback)
        if kind is not None:
            # Its type, never its text: a database error quotes the row.
            self._span.set_status(StatusCode.ERROR, kind.__name__)
        self._use.__exit__(kind, error, traceback)


class CallSpan(CountedCall):
    """One call to a processor."""

    __slots__ = ("_span", "_tracer")

    def __init__(self, tracer: "Tracer", claimed: Claimed, verb: str) -> None:
        super().__init__(claimed, verb)
        self._tracer = tracer

    def __enter__(self) -> Self:
        from opentelemetry.trace import SpanKind

        self._span = self._tracer.start_span(
            f"{self._claimed.processor} {self._verb}",
            kind=SpanKind.CLIENT,
            attributes=_attributes(self._claimed) | {"billing.verb": self._verb},
        )
        return super().__enter__()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        from opentelemetry.trace import StatusCode

        super().__exit__(kind, error, traceback)
        self._span.set_attribute("billing.outcome", outcome_of(self._found))
        if self._found is None or isinstance(self._found, Unknown):
            # Its type, never its text, which may contain what was sent.
            said = kind.__name__ if kind is not None else getattr(self._found, "reason", None)
            self._span.set_status(StatusCode.ERROR, said)
        self._span.end()


def _attributes(claimed: Claimed) -> dict[str, Any]:
    facts = {
        f"billing.{claimed.kind.name}.id": claimed.id,
        "billing.processor": claimed.processor,
    }
    if claimed.row.request_id is not None:
        facts["billing.request.id"] = claimed.row.request_id
    return facts
