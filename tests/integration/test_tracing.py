"""Spans and errors that are told to others: linked to the request, and without what it says."""

import json
import logging
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest
import sentry_sdk
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import NoOpTracer, SpanKind, StatusCode
from sqlalchemy import Engine

from infra.billing.contract.ids import delivery_id, traceparent
from service import log
from service.metrics import counting
from service.settings import Settings
from service.settings_errors import SettingsError
from service.tracing import sentry, spans
from service.tracing.post_spans import TracedPosts, posts_told
from service.wiring import REAL, Parts
from tasks.task_arguments import Wishes
from tests.support.every import every
from tests.support.factories import a_key
from tests.support.handlers import task_handlers
from tests.support.sink import Answer, Sink
from tests.support.webhooks import a_deliverer, an_endpoint, attempts, deliveries

TRACE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
URL = "http://127.0.0.1:4318"
MakeSettings = Callable[..., Settings]


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> InMemorySpanExporter:
    """The spans that are made, in place of sending them."""
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    monkeypatch.setattr(spans, "tracer_of", lambda _: provider.get_tracer("tests"))
    return exporter


def create(settings: Settings, parts: Parts = REAL, **fields: Any) -> Any:
    given = {"amount": 1000, "currency": "USD", "producer": "tests", "idempotency_key": a_key()}
    with task_handlers(settings, parts) as handlers:
        return handlers.create(
            "charge",
            given | fields,
            task_id="message-1",
            wishes=Wishes(traceparent=traceparent(TRACE)),
        )


def attributes_of(span: ReadableSpan) -> dict[str, Any]:
    return dict(span.attributes or {})


def test_an_attempt_is_a_trace_of_its_own_linked_to_the_request(
    make_settings: MakeSettings, redis_url: str, made: InMemorySpanExporter
) -> None:
    row = create(make_settings(broker_url=redis_url, traces_url=URL), customer_id="cus-secret")
    call, attempt = made.get_finished_spans()
    (link,) = attempt.links
    assert f"{link.context.trace_id:032x}-{link.context.span_id:016x}" == TRACE[3:52]
    assert attempt.context is not None
    assert attempt.context.trace_id != link.context.trace_id
    assert attempt.parent is None
    assert call.parent is not None
    assert call.parent.span_id == attempt.context.span_id
    assert (attempt.name, call.name) == ("charge attempt", "sandbox charge")
    assert attributes_of(attempt) == {
        "billing.charge.id": row.id,
        "billing.processor": "sandbox",
        "billing.request.id": "message-1",
        "billing.attempt": 1,
        "billing.verb": "charge",
        "billing.state": "succeeded",
    }
    assert attributes_of(call)["billing.outcome"] == "succeeded"
    assert "cus-secret" not in attempt.to_json() + call.to_json()


def test_a_call_that_nobody_answered_is_an_error_of_its_span(
    make_settings: MakeSettings, redis_url: str, made: InMemorySpanExporter
) -> None:
    settings = make_settings(broker_url=redis_url, traces_url=URL, sandbox_timeout_ms=1)
    create(settings, payment_method_id="pm_sandbox_timeout_after")
    call, attempt = made.get_finished_spans()
    assert call.status.status_code is StatusCode.ERROR
    assert attributes_of(call)["billing.outcome"] == "unknown"
    assert attributes_of(attempt)["billing.phase"] == "unknown"


def test_of_an_attempt_that_could_not_be_settled_its_span_tells_the_kind_of_error_alone(
    make_settings: MakeSettings, redis_url: str, made: InMemorySpanExporter
) -> None:
    def settle(*_: Any, **__: Any) -> Any:
        raise ValueError("Failing row contains (ch_1, cus-secret, ada@example.com)")

    settings = make_settings(broker_url=redis_url, traces_url=URL)
    with pytest.raises(ValueError, match="Failing row"):
        create(settings, parts=replace(REAL, settle=settle), customer_id="cus-secret")
    _, attempt = made.get_finished_spans()
    assert attempt.status.status_code is StatusCode.ERROR
    assert attempt.status.description == "ValueError"
    assert "cus-secret" not in attempt.to_json()


def test_without_a_url_no_span_is_made_and_nothing_of_opentelemetry_is_asked(
    make_settings: MakeSettings, redis_url: str, made: InMemorySpanExporter
) -> None:
    create(make_settings(broker_url=redis_url))
    assert made.get_finished_spans() == ()


# --- Webhooks ----------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [200, 500])
def test_each_post_of_a_webhook_is_a_trace_linked_to_the_request(
    engine: Engine,
    sink: Sink,
    make_settings: MakeSettings,
    redis_url: str,
    made: InMemorySpanExporter,
    status: int,
) -> None:
    endpoint = an_endpoint(engine, sink.url)
    sink.answer = Answer(status)
    create(make_settings(broker_url=redis_url), customer_id="cus-secret")
    with a_deliverer(engine, **posts_told(URL)) as deliverer:
        deliverer.drain(endpoint.id)
    (span,) = made.get_finished_spans()
    (link,) = span.links
    assert f"{link.context.trace_id:032x}-{link.context.span_id:016x}" == TRACE[3:52]
    assert (span.name, span.parent, span.kind) == ("webhook post", None, SpanKind.CLIENT)
    (delivery,) = deliveries(engine)
    (attempt,) = attempts(engine)
    assert attributes_of(span) == {
        "billing.event.id": delivery["event_id"],
        "billing.delivery.id": delivery_id(delivery["id"]),
        "billing.endpoint.id": endpoint.id,
        "billing.attempt": 1,
        "billing.state": "delivered" if status == 200 else "pending",
        "http.response.status_code": status,
    }
    failed = span.status.status_code is StatusCode.ERROR
    assert failed is (status == 500)
    assert span.start_time is not None
    assert span.end_time is not None
    assert (span.end_time - span.start_time) // 1_000_000 == attempt["duration_ms"]
    # To whom it is sent, the endpoint says, and not whether spans are made.
    assert "traceparent" not in sink.requests[0].headers
    assert "cus-secret" not in span.to_json()


def test_without_a_url_posts_make_no_spans_and_nobody_looks_for_their_traces(
    engine: Engine,
    sink: Sink,
    make_settings: MakeSettings,
    redis_url: str,
    made: InMemorySpanExporter,
) -> None:
    endpoint, seen = an_endpoint(engine, sink.url), []
    create(make_settings(broker_url=redis_url))
    told = posts_told("")
    assert told == {"count": counting.posted, "traced": False}
    told["count"] = lambda answered, _: seen.extend(one.due.traceparent for one in answered)
    with a_deliverer(engine, **told) as deliverer:
        deliverer.drain(endpoint.id)
    assert seen == [None]
    assert made.get_finished_spans() == ()


def test_what_goes_wrong_in_telling_costs_no_post(
    engine: Engine, sink: Sink, make_settings: MakeSettings, redis_url: str
) -> None:
    class Broken(NoOpTracer):
        def start_span(self, *_: Any, **__: Any) -> Any:
            raise ValueError("out of order")

    endpoint = an_endpoint(engine, sink.url)
    create(make_settings(broker_url=redis_url))
    with a_deliverer(engine, count=TracedPosts(Broken()), traced=True) as deliverer:
        assert deliverer.drain(endpoint.id).delivered == 1


@every("url", ["collector:4318", "ftp://x", "http://user:secret@collector"])
def test_a_url_that_is_none_is_refused_by_its_name(make_settings: MakeSettings, url: str) -> None:
    with pytest.raises(ValueError, match="traces_url"):
        make_settings(traces_url=url)


# --- the log -----------------------------------------------------------------------------------


def test_log_lines_of_an_attempt_say_what_they_are_about(
    make_settings: MakeSettings, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[Any] = []

    def note(*_: Any) -> str:
        told.append(log._about(None, "info", {"event": "in the middle"}))
        return "succeeded"

    monkeypatch.setattr("service.execution.watching.outcome_of", note)
    row = create(make_settings(broker_url=redis_url))
    (line,) = told
    about = {"object_id": row.id, "request_id": "message-1", "trace_id": TRACE[3:35]}
    assert line == {"event": "in the middle", **about}
    assert log._about(None, "info", {}) == {}


# --- Sentry ------------------------------------------------------------------------------------


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[dict[str, Any]]]:
    """The events that Sentry would get."""
    events: list[dict[str, Any]] = []
    monkeypatch.setattr(sentry_sdk, "capture_event", events.append)
    handler = sentry.start("https://public@sentry.example.com/1")
    assert handler is not None
    yield events
    logging.getLogger().removeHandler(handler)
    sentry_sdk.init()


def test_an_error_is_told_with_its_fields_and_without_secrets(told: list[dict[str, Any]]) -> None:
    key = "bek_" + "a" * 43
    try:
        raise ValueError("4242424242424242 of Jane")
    except ValueError as error:
        logging.getLogger("billing.tests").error("a task failed", exc_info=error)
        fields = {"event": f"with {key}", "task": "t", "exc_info": error}
        record = logging.makeLogRecord({"name": "x", "levelno": 40, "msg": fields})
    (event,) = told
    assert (event["message"], event["extra"]["error"]) == ("a task failed", "ValueError")
    assert event["extra"]["where"].startswith("tests/integration/test_tracing.py:")
    other = sentry.event_of(record)
    assert other["message"] == "with bek_***"
    assert other["extra"]["task"] == "t"
    assert "Jane" not in json.dumps([event, other])
    assert "4242" not in json.dumps([event, other])


def test_what_is_no_error_is_not_told(told: list[dict[str, Any]]) -> None:
    logging.getLogger("billing.tests").warning("the broker is away")
    assert told == []


def test_sentry_brings_nothing_of_its_own(told: list[dict[str, Any]]) -> None:
    client = sentry_sdk.get_client()
    assert set(client.integrations) == set()
    assert client.options["include_local_variables"] is False
    assert client.options["max_request_body_size"] == "never"


def test_without_a_dsn_nobody_is_told_and_a_wrong_one_is_refused() -> None:
    assert sentry.start("") is None
    with pytest.raises(SettingsError, match="BILLING_SENTRY_DSN"):
        sentry.start("sentry.example.com")
