"""The trace of a request: kept from every door, and sent on only to whom it is to be sent."""

from collections.abc import Callable

import pytest
from sqlalchemy import Engine

from payments.webhooks import endpoints
from payments.webhooks.target import TargetCheck
from service.network_settings import LOOPBACK
from service.settings import Settings
from tasks.task_arguments import Wishes
from tests.support.acting import Database
from tests.support.factories import a_key
from tests.support.handlers import task_handlers
from tests.support.sink import Sink
from tests.support.webhooks import VAULT, a_deliverer, an_endpoint

TRACE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


def charged(make_settings: Callable[..., Settings], redis_url: str, trace: str | None) -> None:
    fields = {"amount": 1000, "currency": "USD", "producer": "tests", "idempotency_key": a_key()}
    with task_handlers(make_settings(broker_url=redis_url)) as handlers:
        row = handlers.create("charge", fields, task_id=a_key(), wishes=Wishes(traceparent=trace))
        assert row.state == "succeeded"


def forwarding(engine: Engine, endpoint_id: str, wanted: str | None) -> str:
    with Database(engine).transaction() as transaction:
        return endpoints.update(
            transaction,
            endpoint_id,
            changes={"trace_context": wanted},
            target_check=TargetCheck(LOOPBACK),
            vault=VAULT,
        ).trace_context


@pytest.mark.parametrize(("wanted", "sent"), [("forward", TRACE), ("off", None)])
def test_a_trace_is_sent_on_to_endpoints_that_ask_for_it(
    engine: Engine,
    sink: Sink,
    make_settings: Callable[..., Settings],
    redis_url: str,
    wanted: str,
    sent: str | None,
) -> None:
    endpoint = an_endpoint(engine, sink.url)
    assert forwarding(engine, endpoint.id, wanted) == wanted
    charged(make_settings, redis_url, TRACE)
    with a_deliverer(engine) as deliverer:
        deliverer.drain(endpoint.id)
    (request,) = sink.requests
    assert request.headers.get("traceparent") == sent
    assert "traceparent" not in request.body.decode()


def test_without_a_trace_none_is_sent_and_unset_is_off(
    engine: Engine, sink: Sink, make_settings: Callable[..., Settings], redis_url: str
) -> None:
    endpoint = an_endpoint(engine, sink.url)
    forwarding(engine, endpoint.id, "forward")
    charged(make_settings, redis_url, None)
    with a_deliverer(engine) as deliverer:
        deliverer.drain(endpoint.id)
    (request,) = sink.requests
    assert "traceparent" not in request.headers
    assert forwarding(engine, endpoint.id, None) == "off"
