"""The line of the log that each request leaves, if that is wanted."""

import asyncio
import logging
from types import SimpleNamespace
from typing import Any

import pytest
import structlog
from structlog.testing import capture_logs

from api.edge.edge import Edge
from api.edge.hosts import Hosts

TRACE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


async def shop(scope: Any, receive: Any, send: Any) -> None:
    """An application that has found its route, and knows who asks."""
    scope["route"] = SimpleNamespace(path="/v1/billing/charges/{id}")
    scope["state"]["producer"] = "shop"
    scope["state"]["seen"] = structlog.contextvars.get_contextvars()
    await send({"type": "http.response.start", "status": 404, "headers": []})
    await send({"type": "http.response.body", "body": b""})


def asked(monkeypatch: pytest.MonkeyPatch, *, access_log: bool) -> tuple[list[Any], Any]:
    monkeypatch.setattr(logging.getLogger("billing.http"), "level", logging.INFO)
    scope = {
        "type": "http",
        "method": "GET",
        "target": b"/v1/billing/charges/ch_secret?customer_id=secret",
        "path": "/v1/billing/charges/ch_secret",
        "query_string": b"customer_id=secret",
        "http_version": "1.1",
        "headers": [(b"host", b"localhost"), (b"traceparent", TRACE.encode())],
    }

    async def send(_: Any) -> None:
        return None

    async def receive() -> Any:
        return {"type": "http.disconnect"}

    edge = Edge(shop, Hosts((), listening="127.0.0.1"), access_log=access_log)
    with capture_logs() as lines:
        asyncio.run(edge(scope, receive, send))
    return lines, scope["state"]


def test_a_request_leaves_one_line_without_what_it_asked_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (line,), state = asked(monkeypatch, access_log=True)
    assert line["log_level"] == "info"
    told = {name: line[name] for name in ("event", "method", "route", "status", "producer")}
    assert told == {
        "event": "answered",
        "method": "GET",
        "route": "/v1/billing/charges/{id}",
        "status": 404,
        "producer": "shop",
    }
    assert line["duration_ms"] >= 0
    assert "secret" not in str(line)
    # What every line of the request has.
    assert state["seen"]["request_id"].startswith("req_")
    assert state["seen"]["trace_id"] == TRACE[3:35]


def test_it_leaves_none_unless_that_is_wanted(monkeypatch: pytest.MonkeyPatch) -> None:
    assert asked(monkeypatch, access_log=False)[0] == []
