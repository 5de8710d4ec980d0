"""Deliveries as they are kept and listed, and how an endpoint is doing."""

import socket
import ssl
import threading
from datetime import UTC, datetime, timedelta
from itertools import chain
from typing import Any

import pytest
import trustme
from sqlalchemy import Engine, text

from infra.billing.contract.ids import delivery_id
from models.rows import EndpointRow
from payments.access.scopes import WEBHOOKS_READ, Access
from payments.payment_errors import InvalidRequest, NotFound
from payments.transaction import Transaction
from payments.webhooks import endpoints, replays
from payments.webhooks.records import delivery_queries
from tests.support.acting import Database
from tests.support.command import Billing
from tests.support.rude import read_request, rude_receiver
from tests.support.sink import Answer, Sink
from tests.support.webhooks import (
    PATIENT,
    a_deliverer,
    all_is_due,
    an_endpoint,
    attempts,
    events_happen,
    rows,
)

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
STATES = ("delivered", "pending", "delivered", "exhausted", "delivered")


@pytest.fixture
def endpoint(engine: Engine, sink: Sink) -> EndpointRow:
    return an_endpoint(engine, sink.url)


@pytest.fixture
def many(engine: Engine, endpoint: EndpointRow) -> list[str]:
    """The ids of twenty deliveries, newest first, two at a time, in all states."""
    events_happen(engine, 20)
    for n, row in enumerate(rows(engine, "SELECT id, event_id FROM deliveries ORDER BY id")):
        rows(
            engine,
            "UPDATE deliveries SET created_at = :at, state = :state, next_attempt_at = NULL"
            " WHERE id = :id",
            at=NOON + timedelta(minutes=n // 2),
            state=STATES[n % 5],
            id=row["id"],
        )
        if n % 7 == 0:
            rows(engine, "UPDATE events SET type = 'ping' WHERE id = :id", id=row["event_id"])
    return [delivery_id(r["id"]) for r in rows(engine, "SELECT id FROM deliveries ORDER BY id")][
        ::-1
    ]


def listed(engine: Engine, endpoint_id: str, limit: int = 100, **filters: Any) -> list[list[str]]:
    """The ids on each page."""
    pages, cursor = [], None
    with engine.connect() as connection:
        while True:
            page = delivery_queries.page(
                connection, endpoint_id, filters=filters, limit=limit, cursor=cursor
            )
            pages.append([delivery_id(row.id) for row in page.rows])
            cursor = page.next_cursor
            if cursor is None:
                return pages


@pytest.mark.parametrize("limit", [1, 3, 19, 20, 100])
def test_every_delivery_is_on_one_page_newest_first(
    engine: Engine, endpoint: EndpointRow, many: list[str], limit: int
) -> None:
    pages = listed(engine, endpoint.id, limit)
    assert [*chain(*pages)] == many
    assert all(len(page) == limit for page in pages[:-1])
    assert pages[-1]


def test_a_list_is_narrowed_down(engine: Engine, endpoint: EndpointRow, many: list[str]) -> None:
    oldest_first = many[::-1]
    for state in set(STATES):
        those = [id_ for n, id_ in enumerate(oldest_first) if STATES[n % 5] == state]
        assert [*chain(*listed(engine, endpoint.id, 2, state=state))] == those[::-1]
    since, until = NOON + timedelta(minutes=2), NOON + timedelta(minutes=4)
    assert listed(engine, endpoint.id, since=since, until=until) == [oldest_first[4:8][::-1]]
    (event,) = rows(engine, "SELECT event_id FROM deliveries ORDER BY id LIMIT 1")
    assert listed(engine, endpoint.id, event_id=event["event_id"]) == [[oldest_first[0]]]
    with pytest.raises(InvalidRequest):
        listed(engine, endpoint.id, phase="queued")


def test_a_list_by_numbers_goes_on_where_its_last_row_was_deleted_meanwhile(
    engine: Engine, endpoint: EndpointRow, many: list[str]
) -> None:
    rows(engine, "UPDATE deliveries SET sequence = id")
    filters = {"after_sequence": 3}
    with engine.connect() as connection:
        page = delivery_queries.page(connection, endpoint.id, filters=filters, limit=2)
        rows(engine, "DELETE FROM deliveries WHERE id <= :id", id=page.rows[-1].id)
        rest = delivery_queries.page(
            connection, endpoint.id, filters=filters, cursor=page.next_cursor
        )
    assert [row.sequence for row in rest.rows] == list(range(6, len(many) + 1))


@pytest.mark.parametrize("limit", [1, 3, 100])
def test_who_lacks_some_finds_them_by_their_numbers(
    engine: Engine, endpoint: EndpointRow, many: list[str], limit: int
) -> None:
    rows(engine, "UPDATE deliveries SET sequence = 100 - id WHERE id > 3")
    numbered = many[: len(many) - 3]  # the newest has the lowest number
    assert [*chain(*listed(engine, endpoint.id, limit, after_sequence=0))] == numbered
    (row,) = rows(engine, "SELECT min(sequence) AS first FROM deliveries")
    first = row["first"]
    assert (
        listed(engine, endpoint.id, limit, after_sequence=first + 2)[0] == numbered[3 : 3 + limit]
    )
    pings = [*chain(*listed(engine, endpoint.id, limit, event_type="ping", after_sequence=0))]
    assert pings == [id_ for id_ in numbered if id_ in pings]
    assert pings
    for state in set(STATES):
        those = [*chain(*listed(engine, endpoint.id, limit, state=state, after_sequence=first))]
        assert those == [id_ for id_ in numbered[1:] if id_ in those]
        assert those
    with pytest.raises(InvalidRequest):
        listed(engine, endpoint.id, after_sequence=-1)


def test_a_type_is_looked_for_a_part_at_a_time(
    engine: Engine, endpoint: EndpointRow, many: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    pings = [id_ for n, id_ in enumerate(many[::-1]) if n % 7 == 0][::-1]
    assert listed(engine, endpoint.id, event_type="ping") == [pings]
    monkeypatch.setattr(delivery_queries, "LOOKED_AT_MAX", 4)
    pages = listed(engine, endpoint.id, event_type="ping")
    assert [*chain(*pages)] == pings
    assert len(pages) >= 5
    assert [] in pages


def test_a_page_reads_what_it_shows_however_many_there_are(
    engine: Engine, endpoint: EndpointRow
) -> None:
    other = an_endpoint(engine, "https://127.0.0.1:9/other")
    with engine.begin() as connection:
        connection.execute(
            text("""
            INSERT INTO events (id, type, object_id, sequence, producer, body)
            SELECT 'evt_' || n, 'charge.succeeded', 'ch_' || n, 1, 'shop', '{}'
            FROM generate_series(1, 20000) n""")
        )
        connection.execute(
            text("""
            INSERT INTO deliveries (event_id, endpoint_id, state, attempts, created_at)
            SELECT 'evt_' || n, e.id, CASE WHEN n % 1000 = 0 THEN 'exhausted' ELSE 'delivered' END,
                   1, now() - n * interval '1 second'
            FROM generate_series(1, 20000) n, webhook_endpoints e"""),
        )
        connection.execute(text("ANALYZE deliveries, events, webhook_endpoints"))
        for filters in ({}, {"state": "exhausted"}, {"state": "pending"}):
            walked = delivery_queries._walked(endpoint.id, filters, None, 21)
            sql = (
                delivery_queries._of(walked, None)
                .limit(21)
                .compile(connection, compile_kwargs={"literal_binds": True})
            )
            plan = "\n".join(connection.execute(text(f"EXPLAIN (ANALYZE) {sql}")).scalars())
            assert "deliveries_listed_idx" in plan
            assert "Seq Scan on deliveries" not in plan
            assert "Seq Scan on events" not in plan
            assert "rows=20000" not in plan
    assert other.id != endpoint.id


def test_a_key_sees_deliveries_to_endpoints_that_it_sees(
    engine: Engine, endpoint: EndpointRow, many: list[str]
) -> None:
    theirs = Access("shop", frozenset({WEBHOOKS_READ}))  # the endpoint is everybody's
    with engine.connect() as connection:
        with pytest.raises(NotFound):
            delivery_queries.get(connection, many[0], access=theirs)
        with pytest.raises(NotFound):
            delivery_queries.page(connection, endpoint.id, access=theirs)


# --- How long it took


def test_each_part_of_a_post_has_its_time_and_what_was_not_done_has_none(engine: Engine) -> None:
    def twice(connection: socket.socket, ending: threading.Event) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")
        if read_request(connection):
            connection.sendall(b"HTTP/1.1 204 No\r\n\r\n")

    authority, theirs = trustme.CA(), ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(theirs)
    ours = ssl.create_default_context()
    authority.configure_trust(ours)
    with rude_receiver(twice, tls=theirs) as url:
        endpoint = an_endpoint(engine, url, max_in_flight=1)
        events_happen(engine, 2)
        with a_deliverer(engine, limits=PATIENT, tls=ours) as deliverer:
            deliverer.drain(endpoint.id)
    first, second = attempts(engine)
    parts = ("dns_ms", "connect_ms", "tls_ms", "first_byte_ms")
    assert all(0 <= first[part] <= first["duration_ms"] for part in parts)
    # Over the connection that was kept.
    assert [second[part] is None for part in parts] == [True, True, True, False]


# --- What makes an attempt


def test_each_attempt_says_what_made_it(engine: Engine, endpoint: EndpointRow, sink: Sink) -> None:
    sink.answer = Answer(500)
    events_happen(engine)
    (row,) = rows(engine, "SELECT id, event_id FROM deliveries")
    id_ = delivery_id(row["id"])

    def drain() -> None:
        all_is_due(engine)
        with a_deliverer(engine) as deliverer:
            deliverer.drain(endpoint.id)

    drain()
    drain()
    with Database(engine).transaction() as transaction:
        replays.replay(transaction, endpoint.id, event_ids=[row["event_id"]])
    drain()
    drain()
    with Database(engine).transaction() as transaction:
        assert replays.retry(transaction, id_).state == "pending"
        assert transaction.wakes.endpoints == {endpoint.id}
    drain()
    with engine.connect() as connection:
        attempts = delivery_queries.with_attempts(connection, id_)["attempts"]
    assert [one["trigger"] for one in attempts] == [
        "scheduled", "scheduled", "replay", "scheduled", "manual"
    ]  # fmt: skip


# --- Health


def health(engine: Engine, endpoint_id: str) -> Any:
    with engine.begin() as connection:
        return endpoints.view(endpoints.get(Transaction(connection), endpoint_id))["health"]


def test_health_is_told_from_the_last_hundred_attempts(
    engine: Engine, endpoint: EndpointRow, sink: Sink
) -> None:
    events_happen(engine, 130)
    with a_deliverer(engine) as deliverer:
        deliverer.drain(endpoint.id)
        good = health(engine, endpoint.id)
        assert (good["attempts"], good["success_rate"]) == (100, 1.0)
        assert good["oldest_due_at"] is None
        sink.answer = Answer(500)
        events_happen(engine, 25)
        deliverer.drain(endpoint.id)
    worse = health(engine, endpoint.id)
    assert (worse["attempts"], worse["success_rate"]) == (100, 0.75)
    assert worse["last_success_at"] == good["last_success_at"]
    assert worse["oldest_due_at"] is None  # they wait for their next try
    all_is_due(engine)
    assert health(engine, endpoint.id)["oldest_due_at"] is not None


def test_the_95th_of_a_hundred_is_told_of_those_that_were_answered(
    engine: Engine, endpoint: EndpointRow
) -> None:
    rows(
        engine,
        "UPDATE webhook_endpoints SET recent_ms = (SELECT array_agg(n) FROM"
        " (SELECT generate_series(1, 20) AS n UNION ALL SELECT -15001) every)",
    )
    told = health(engine, endpoint.id)
    assert (told["attempts"], told["success_rate"], told["p95_ms"]) == (21, 0.9524, 19)


# --- The command line


def test_deliveries_on_the_command_line(
    billing: Billing, engine: Engine, endpoint: EndpointRow, sink: Sink
) -> None:
    sink.answer = Answer(500, headers={"set-cookie": "a=1"}, body=b"\x1b[31mno")
    events_happen(engine, 2)
    with a_deliverer(engine) as deliverer:
        deliverer.drain(endpoint.id)
    newest, oldest = billing("delivery", "list", endpoint.id, "--json").json
    assert newest["created_at"] >= oldest["created_at"]
    assert "500" in billing("delivery", "list", endpoint.id, "--state", "pending").out
    assert billing("delivery", "list", endpoint.id, "--state", "exhausted").err == "no deliveries\n"
    one = billing("delivery", "show", newest["id"])
    assert "set-cookie: <hidden>" in one.out
    assert "\\x1b[31mno" in one.out  # no terminal obeys a stranger
    assert "500 after" in one.out
    again = billing("delivery", "retry", newest["id"], "--json")
    assert (again.code, again.json["state"]) == (0, "pending")
    in_vain = billing("delivery", "retry", newest["id"], "--wait", "0.1")
    assert (in_vain.code, "nothing yet after 0.1 s" in in_vain.err) == (1, True)
    assert billing("delivery", "show", "del_x").code == 1
    shown = billing("endpoint", "list")
    assert "0.0% of 2" in shown.out
