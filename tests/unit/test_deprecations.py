"""What ends is told a year ahead: in the table, in answers, in the description and in the docs."""

import asyncio
from collections.abc import Sequence
from datetime import UTC, date, datetime
from email.utils import parsedate_to_datetime
from typing import Any

import pytest
from fastapi import FastAPI
from starlette.responses import Response

from api.asgi_app import ROUTES
from api.documents import sunsets
from api.edge.deprecations import DEPRECATIONS, Deprecation, headers_by_operation
from api.edge.edge import Edge
from api.edge.hosts import Hosts
from payments.access.scopes import OPERATIONS
from tests.support.every import every

OLD = Deprecation(
    what="`GET /old`",
    since=date(2027, 1, 1),
    sunset=date(2028, 1, 1),
    instead="`GET /new`, which answers page by page.",
    operation="get_old",
    successor="/new",
)
SETTING = Deprecation(
    what="`BILLING_OLD`",
    since=date(2026, 12, 1),
    sunset=date(2027, 12, 1),
    instead="docs/reference/settings.md names the new one.",
)


def door(*table: Deprecation) -> Edge:
    """A small service behind the real edge."""
    app = FastAPI()

    async def get_old() -> Response:
        return Response("old", headers={"link": '</old?page=2>; rel="next"'})

    async def get_new() -> Response:
        return Response("new")

    for route in (get_old, get_new):
        app.add_api_route(f"/{route.__name__.removeprefix('get_')}", route, name=route.__name__)
    return Edge(app, Hosts([], listening="localhost"), deprecated=headers_by_operation(table))


def answered(edge: Edge, path: str, method: str = "GET") -> Sequence[tuple[str, str]]:
    """The headers of an answer."""
    started: list[Any] = []

    async def send(message: Any) -> None:
        started.append(message)

    async def receive() -> Any:
        return {"type": "http.request", "body": b"", "more_body": False}

    scope = {
        "type": "http", "method": method, "target": path.encode(), "path": path,
        "query_string": b"", "http_version": "1.1", "headers": [(b"host", b"localhost")],
    }  # fmt: skip
    asyncio.run(edge(scope, receive, send))
    return [(name.decode(), value.decode()) for name, value in started[0]["headers"]]


@every("method", ["GET", "HEAD"])
def test_every_answer_of_an_operation_that_ends_says_so(method: str) -> None:
    headers = answered(door(OLD), "/old", method)
    found = dict(headers)
    assert found["deprecation"] == "@1798761600"  # RFC 9745, section 2.1
    assert datetime.fromtimestamp(int(found["deprecation"][1:]), UTC).date() == OLD.since
    assert found["sunset"] == "Sat, 01 Jan 2028 00:00:00 GMT"  # RFC 8594, section 3
    assert parsedate_to_datetime(found["sunset"]).date() == OLD.sunset
    assert [value for name, value in headers if name == "link"] == [
        '</old?page=2>; rel="next"',
        '</openapi.json>; rel="deprecation"; type="application/json"',
        '</new>; rel="successor-version"',
    ]


@every("path", ["/new", "/nowhere"])
def test_what_stays_says_nothing(path: str) -> None:
    assert not {"deprecation", "sunset", "link"} & dict(answered(door(OLD), path)).keys()


def test_without_a_table_nothing_is_said() -> None:
    assert "deprecation" not in dict(answered(door(), "/old"))
    assert headers_by_operation([SETTING]) == {}, "no answer tells of a setting"


@every("sunset", [date(2027, 12, 31), date(2027, 1, 1), date(2026, 1, 1)])
def test_nothing_ends_within_a_year(sunset: date) -> None:
    with pytest.raises(ValueError, match="must stay for 12 months"):
        Deprecation(what="it", since=date(2027, 1, 1), sunset=sunset, instead="x")


def test_a_year_from_a_leap_day_is_a_day_that_there_is() -> None:
    day, last = date(2028, 2, 29), date(2029, 2, 28)
    with pytest.raises(ValueError, match="must stay"):
        Deprecation(what="it", since=day, sunset=last, instead="x")
    assert Deprecation(what="it", since=day, sunset=date(2029, 3, 1), instead="x")


def test_the_page_tells_of_all_of_it_the_nearest_first() -> None:
    page = sunsets.document([OLD, SETTING])
    assert page.index("`BILLING_OLD` | 2026-12-01 | 2027-12-01") < page.index("`GET /old`")
    assert "[settings](settings.md)" in page
    assert "Nothing, at present." in sunsets.document([])


def test_the_table_names_operations_that_there_are_and_describes_them() -> None:
    names = {one.operation for one in DEPRECATIONS if one.operation}
    assert names <= OPERATIONS.keys() | {route.name for route in ROUTES}
    assert names == {route.name for route in ROUTES if route.deprecated}
    assert [one.sunset for one in DEPRECATIONS] == sorted(one.sunset for one in DEPRECATIONS)
