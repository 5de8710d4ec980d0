"""The edge: what every request passes, whatever its path.

It gives the request its id and logs its result in one line. A plain ASGI function: Starlette's own
base class for middleware costs more than all of this.
"""

import logging
import secrets
import time
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from functools import cache
from typing import Any

import structlog

from api.edge import problems
from api.edge.deprecations import Header, headers_by_operation
from api.edge.hosts import Hosts
from infra.billing.contract.card_data import holds_card_data
from infra.billing.contract.ids import is_request_id, trace_of, traceparent
from payments.payment_errors import Refused
from service import log
from service.metrics import metric_catalogue

logger = log.get("billing.http")
_stdlib = logging.getLogger("billing.http")

Message = MutableMapping[str, Any]
Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]

HEADER = b"x-request-id"
# Answers contain what customers bought, and secrets that are shown once.
NO_STORE = (b"cache-control", b"no-store")
DEPRECATED = headers_by_operation()


class Edge:
    """Wraps an ASGI application that answers under these host names."""

    def __init__(
        self,
        app: Application,
        hosts: Hosts,
        *,
        access_log: bool = False,
        deprecated: Mapping[str, list[Header]] = DEPRECATED,
    ) -> None:
        self._deprecated = deprecated
        self._tell = logger.info if access_log else logger.debug
        self._told_at = logging.INFO if access_log else logging.DEBUG
        self._app = app
        self._hosts = hosts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id = _request_id(scope)
        scope.setdefault("state", {})["request_id"] = request_id
        structlog.contextvars.bind_contextvars(request_id=request_id)
        given = next((value for name, value in scope["headers"] if name == b"traceparent"), None)
        if given is not None and (trace := traceparent(given.decode("latin-1"))) is not None:
            structlog.contextvars.bind_contextvars(trace_id=trace_of(trace))
        started_at, status = time.perf_counter(), 0

        async def answer(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                own = [(HEADER, request_id.encode())]
                if NO_STORE[0] not in dict(message["headers"]):
                    own.append(NO_STORE)
                if self._deprecated:
                    own += self._deprecated.get(getattr(scope.get("route"), "name", ""), ())
                message["headers"] = [*message["headers"], *own]
            await send(message)

        try:
            named = [value for name, value in scope["headers"] if name == b"host"]
            self._hosts.check(named, scope["target"], http_version=scope["http_version"])
        except Refused as refused:
            logger.info("request refused", code=refused.code, status=refused.status)
            await problems.response(refused, request_id=request_id)(scope, receive, answer)
            _requests(_method(scope), "", status).inc()
            return
        if scope["method"] == "HEAD":
            # Like GET, without the body (RFC 9110, 9.3.2), which the server omits: it knows the
            # original request.
            scope = {**scope, "method": "GET"}
        try:
            await self._app(scope, receive, answer)
        except Exception:
            # Starlette raises errors again after they were answered and logged
            # (api/edge/exception_handlers.py), and a server would log them with all their values.
            if status == 0:
                _requests(_method(scope), route_of(scope) or "", 500).inc()
                raise
        named_route = getattr(scope.get("route"), "path", "")
        method = scope["method"] if scope["method"] in _METHODS else "other"
        _requests(method, named_route, status).inc()
        _seconds(method, named_route).observe(time.perf_counter() - started_at)
        # Even a line that is dropped costs, so the level is checked first, and not through
        # structlog.
        if not _stdlib.isEnabledFor(self._told_at):
            return
        self._tell(
            "answered",
            method=_method(scope),
            route=route_of(scope),
            status=status,
            duration_ms=round((time.perf_counter() - started_at) * 1000, 1),
            producer=scope["state"].get("producer"),
        )


def route_of(scope: Scope) -> str | None:
    """The route's template. Never the path, which may contain anything."""
    return getattr(scope.get("route"), "path", None)


def new_request_id() -> str:
    """An id for a request without one."""
    return f"req_{secrets.token_hex(16)}"


def _request_id(scope: Scope) -> str:
    for name, value in scope["headers"]:
        # It is written into log lines and rows, so its form is checked.
        if name == HEADER and is_request_id(given := value.decode("latin-1")):
            return new_request_id() if holds_card_data(given) else given
    return new_request_id()


def _method(scope: Scope) -> str:
    return str(scope["method"]) if scope["method"] in _METHODS else "other"


# A child of a metric for its labels: a lookup costs as much as to count. Few: nobody can add any.
_requests = cache(metric_catalogue.HTTP.labels)
_seconds = cache(metric_catalogue.HTTP_S.labels)
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
