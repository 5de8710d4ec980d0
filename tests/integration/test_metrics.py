"""Metrics: what happened is counted once, by words of ours, and nothing costs a payment."""

import socket
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families
from sqlalchemy import Engine, text

from models.states import State
from payments.kinds import CHARGE
from payments.lifecycle.accepting.asked import Accepted
from payments.lifecycle.locks import locked
from payments.lifecycle.moving.moves import Move, move
from payments.payment_errors import Refused
from service.execution import watching
from service.metrics import counting, serving
from service.metrics.metric_catalogue import REGISTRY
from service.running import register
from service.settings import Settings
from service.wiring import REAL, sandbox
from tasks.task_arguments import Wishes
from tests.support.acting import Database
from tests.support.factories import Till, a_charge, a_key
from tests.support.handlers import task_handlers
from tests.support.sink import Answer, Sink
from tests.support.waiting import patience_s, wait_for
from tests.support.webhooks import a_deliverer, an_endpoint, events_happen

OPENMETRICS = "application/openmetrics-text; version=1.0.0"
TRACE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
UNSAMPLED = TRACE[:-2] + "00"
MakeSettings = Callable[..., Settings]


class Growth:
    """By how much series grow: others count in this process, too."""

    def __init__(self) -> None:
        self._before = self._now()

    def __call__(self, name: str, **labels: str) -> float:
        key = (name, frozenset(labels.items()))
        return self._now().get(key, 0.0) - self._before.get(key, 0.0)

    def of(self, name: str) -> dict[frozenset[tuple[str, str]], float]:
        """Every series of this name that grew."""
        grown = {
            labels: value - self._before.get((named, labels), 0.0)
            for (named, labels), value in self._now().items()
            if named == name
        }
        return {labels: by for labels, by in grown.items() if by}

    @staticmethod
    def _now() -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
        return {
            (sample.name, frozenset(sample.labels.items())): sample.value
            for family in REGISTRY.collect()
            for sample in family.samples
        }


@pytest.fixture
def grew() -> Growth:
    return Growth()


@pytest.fixture
def handlers(make_settings: MakeSettings, redis_url: str) -> Iterator[Any]:
    with task_handlers(make_settings(broker_url=redis_url)) as handlers:
        yield handlers


def create(handlers: Any, trace: str | None = None, **fields: Any) -> Any:
    given = {"amount": 1000, "currency": "USD", "producer": "tests", "idempotency_key": a_key()}
    given |= fields
    return handlers.create("charge", given, task_id=a_key(), wishes=Wishes(traceparent=trace))


def test_a_charge_is_counted_from_its_door_to_its_end_and_a_repeat_is_not(
    handlers: Any, grew: Growth
) -> None:
    key = a_key()
    create(handlers, idempotency_key=key)
    create(handlers, idempotency_key=key)
    create(handlers, payment_method_id="pm_card_chargeDeclinedInsufficientFunds")
    of = {"operation": "charge", "processor": "sandbox"}
    assert grew("billing_accepted_total", operation="charge", door="message") == 2
    assert grew("billing_settled_total", **of, state="succeeded", failure_code="") == 1
    assert (
        grew("billing_settled_total", **of, state="failed", failure_code="insufficient_funds") == 1
    )
    assert grew("billing_attempts_total", **of, verb="charge", outcome="succeeded") == 1
    assert grew("billing_attempts_total", **of, verb="charge", outcome="declined") == 1
    ended = {"operation": "charge", "state": "succeeded"}
    assert grew("billing_accept_to_final_seconds_count", **ended) == 1
    called = {"processor": "sandbox", "verb": "charge"}
    assert grew("billing_processor_call_seconds_count", **called, outcome="declined") == 1


def test_a_call_that_raises_is_counted_as_unknown(
    make_settings: MakeSettings, redis_url: str, grew: Growth
) -> None:
    def broken(settings: Settings) -> Any:
        made = sandbox(settings)

        def charge(order: Any, *, deadline_s: float) -> Any:
            raise OSError("an adapter's bug")

        made.charge = charge  # type: ignore[method-assign]
        return made

    parts = replace(REAL, processors={"sandbox": broken})
    with task_handlers(make_settings(broker_url=redis_url), parts) as handlers:
        assert create(handlers).phase == "unknown"
    called = {"processor": "sandbox", "verb": "charge", "outcome": "unknown"}
    assert grew("billing_processor_call_seconds_count", **called) == 1


def test_what_a_transaction_did_that_was_rolled_back_is_not_counted(
    engine: Engine, grew: Growth
) -> None:
    database = Database(engine, count=counting.moved)
    (accepted,) = Till(engine).accept(a_charge())
    assert isinstance(accepted, Accepted)
    id_ = accepted.row.id

    def fail() -> None:
        with database.transaction() as transaction:
            held = locked(transaction, CHARGE, [id_])[id_]
            move(transaction, CHARGE, [Move(held, State.SUCCEEDED, "report", "succeeded")])
            assert transaction.moved
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert not grew.of("billing_settled_total")


def test_a_bug_in_counting_costs_no_payment(engine: Engine) -> None:
    with Database(engine, count=counting.moved).transaction() as transaction:
        transaction.moved.append(object())  # type: ignore[arg-type]
        transaction.execute(text("CREATE TABLE kept (id int)"))
    with engine.connect() as connection:
        assert connection.execute(text("SELECT count(*) FROM kept")).scalar_one() == 0


def test_refused_messages_are_counted_by_their_code(handlers: Any, grew: Growth) -> None:
    with pytest.raises(Refused):
        create(handlers, amount=-1)
    refused = {"task": "billing.charge.create", "code": "invalid_request"}
    assert grew("billing_messages_refused_total", **refused) == 1
    handlers.quarantine(b"{", queue="payments", reason="not JSON", headers=None)
    assert grew("billing_messages_quarantined_total") == 1


def test_webhooks_are_counted_when_their_answer_is_recorded(
    engine: Engine, sink: Sink, grew: Growth
) -> None:
    endpoint = an_endpoint(engine, sink.url)
    events_happen(engine)
    with a_deliverer(engine, count=counting.posted) as deliverer:
        deliverer.drain(endpoint.id)
        sink.answer = Answer(500)
        events_happen(engine)
        deliverer.drain(endpoint.id)
    assert grew("billing_webhook_posts_total", answer="2xx", attempt="first") == 1
    assert grew("billing_webhook_posts_total", answer="5xx", attempt="first") == 1
    assert grew("billing_webhook_deliveries_total", state="delivered") == 1
    assert grew("billing_webhook_post_seconds_count") == 2
    assert grew("billing_commit_to_arrival_seconds_count", attempt="first") == 1


def test_a_number_is_an_example_of_a_trace_only_if_that_is_kept(
    handlers: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(counting, "EXAMPLE_EVERY_S", 0.0)
    wait_for(
        lambda: all(one.of(TRACE) for one in (counting._finals, watching._examples)),
        what="room for an example",
    )
    create(handlers, TRACE)
    told = serving.answer(OPENMETRICS)[0].decode()
    assert f'# {{trace_id="{TRACE[3:35]}"}}' in told
    other = UNSAMPLED.replace("4bf9", "5bf9")
    create(handlers, other)
    assert other[3:35] not in serving.answer(OPENMETRICS)[0].decode()


def test_no_label_holds_what_anybody_may_write(handlers: Any, grew: Growth) -> None:
    secret = a_key()
    create(
        handlers,
        customer_id=f"cus-{secret}",
        reference=f"ref-{secret}",
        description=secret,
        idempotency_key=secret,
        producer=f"p-{secret}",
        metadata={"note": secret},
    )
    body, content_type = serving.answer(OPENMETRICS)
    assert content_type.startswith("application/openmetrics-text")
    assert secret not in body.decode()
    list(text_string_to_metric_families(body.decode()))  # it can be read


# --- where they are told -----------------------------------------------------------------------


@contextmanager
def served(settings: Settings) -> Iterator[str]:
    end = serving.serve(settings)
    try:
        yield f"http://127.0.0.1:{settings.metrics_port}/metrics"
    finally:
        end()


def fetched(url: str) -> str | None:
    try:
        with urllib.request.urlopen(url, timeout=patience_s()) as answer:  # noqa: S310  # ours
            return str(answer.read().decode())
    except OSError:
        return None


def test_a_port_that_is_taken_is_tried_again_and_stops_nobody(
    make_settings: MakeSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(serving, "AGAIN_S", 0.05)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        settings = make_settings(metrics_port=taken.getsockname()[1])
        serve = served(settings)
        url = serve.__enter__()
    try:
        told = wait_for(lambda: fetched(url), what="metrics on the port that has become free")
        assert "billing_settled" in str(told)
    finally:
        serve.__exit__(None, None, None)
    assert fetched(url) is None


def test_without_a_port_nobody_listens(make_settings: MakeSettings) -> None:
    assert make_settings().metrics_port == 0
    serving.serve(make_settings())()


def test_what_runs_is_in_flight(grew: Growth) -> None:
    register.begin("billing.charge.create", "t1", key="t1")
    assert grew("billing_in_flight") == 1
    register.end(key="t1")
    assert grew("billing_in_flight") == 0
