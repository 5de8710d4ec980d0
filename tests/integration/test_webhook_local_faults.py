"""Faults of ours cost no receiver anything: no attempt, nothing towards the breaker, no day."""

import errno
import socket
from typing import Any

import pytest
from aiohttp.abc import AbstractResolver, ResolveResult
from sqlalchemy import Engine

from payments.webhooks import reasons
from payments.webhooks.draining import posting
from payments.webhooks.draining.drains import Drained
from tests.support.command import Billing
from tests.support.name_server import name_server
from tests.support.sink import Answer, Sink
from tests.support.webhooks import (
    a_deliverer,
    all_is_due,
    an_endpoint,
    attempts,
    deliveries,
    events_happen,
    hasty,
    rows,
)


def fails_with(number: int) -> Any:
    def open_socket(*_: object) -> socket.socket:
        raise OSError(number, "not here")

    return open_socket


class Resolver(AbstractResolver):
    """A resolver that answers nobody, or nobody who asks for a name that is there."""

    def __init__(self, *, knows_that_nothing_is: bool = False) -> None:
        self._knows = knows_that_nothing_is

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        is_known = self._knows and host == "resolver-check.invalid."
        raise socket.gaierror(socket.EAI_NONAME if is_known else socket.EAI_AGAIN, "as it is")

    async def close(self) -> None:
        pass


def at_a_name(sink: Sink) -> str:
    return sink.url.replace("127.0.0.1", "receiver.example")


def is_put_off(engine: Engine, word: str) -> None:
    """Nothing was an attempt, nothing counts, and everybody can see what it was."""
    assert attempts(engine) == []
    assert {(row["state"], row["attempts"]) for row in deliveries(engine)} == {("pending", 0)}
    (row,) = rows(engine, "SELECT * FROM webhook_endpoints")
    assert row["local_fault"] == word
    assert row["local_fault_at"] is not None
    assert (row["counted"], row["back_offs"], row["failing_since"]) == (0, 0, None)
    assert row["recent_ms"] == []


def works_again(engine: Engine, sink: Sink, **options: Any) -> None:
    rows(
        engine, "UPDATE webhook_endpoints SET held_back_until = held_back_until - interval '1 day'"
    )
    all_is_due(engine)
    (endpoint,) = rows(engine, "SELECT id FROM webhook_endpoints")
    with a_deliverer(engine, **options) as deliverer:
        assert deliverer.drain(endpoint["id"]).delivered == len(deliveries(engine))
    assert {row["number"] for row in attempts(engine)} == {1}


@pytest.mark.parametrize(
    "number", [errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM, errno.EADDRNOTAVAIL]
)
def test_without_sockets_an_endpoint_is_left_alone_for_some_seconds(
    engine: Engine, sink: Sink, number: int
) -> None:
    endpoint = an_endpoint(engine, sink.url)
    events_happen(engine, 5)
    with a_deliverer(engine, open_socket=fails_with(number)) as deliverer:
        assert deliverer.drain(endpoint.id) == Drained()
        assert deliverer.drain(endpoint.id) == Drained()  # it is left alone
    is_put_off(engine, "no_sockets")
    (row,) = rows(
        engine,
        "SELECT held_back_because, extract(epoch FROM held_back_until - local_fault_at) AS seconds"
        " FROM webhook_endpoints",
    )
    assert row["held_back_because"] == "local_fault"
    assert 0 < row["seconds"] <= 10
    works_again(engine, sink)


def test_without_any_route_nobody_is_to_blame(
    engine: Engine, sink: Sink, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reasons, "has_route", lambda: False)
    endpoint = an_endpoint(engine, sink.url)
    events_happen(engine, 2)
    with a_deliverer(engine, open_socket=fails_with(errno.ENETUNREACH)) as deliverer:
        assert deliverer.drain(endpoint.id) == Drained()
    is_put_off(engine, "no_route")
    works_again(engine, sink)


@pytest.mark.parametrize(
    ("number", "has_route"), [(errno.ENETUNREACH, True), (errno.EHOSTUNREACH, False)]
)
def test_where_only_the_receiver_is_out_of_reach_it_is_an_attempt(
    engine: Engine, sink: Sink, monkeypatch: pytest.MonkeyPatch, number: int, has_route: bool
) -> None:
    monkeypatch.setattr(reasons, "has_route", lambda: has_route)
    endpoint = an_endpoint(engine, sink.url)
    events_happen(engine)
    with a_deliverer(engine, open_socket=fails_with(number)) as deliverer:
        assert deliverer.drain(endpoint.id) == Drained(retried=1)
    assert [row["error"] for row in attempts(engine)] == ["unreachable"]


def test_a_resolver_that_answers_nobody_is_ours(engine: Engine, sink: Sink) -> None:
    endpoint = an_endpoint(engine, at_a_name(sink))
    events_happen(engine, 2)
    with a_deliverer(engine, resolver=Resolver) as deliverer:
        assert deliverer.drain(endpoint.id) == Drained()
    is_put_off(engine, "resolver_away")
    with name_server(lambda _: ["127.0.0.1"]) as server:
        works_again(engine, sink, resolver=server.resolver)


def test_a_name_whose_servers_do_not_answer_is_the_receivers(engine: Engine, sink: Sink) -> None:
    endpoint = an_endpoint(engine, at_a_name(sink))
    events_happen(engine)
    with a_deliverer(engine, resolver=lambda: Resolver(knows_that_nothing_is=True)) as deliverer:
        assert deliverer.drain(endpoint.id) == Drained(retried=1)
    assert [row["error"] for row in attempts(engine)] == ["dns_failed"]


def test_a_resolver_that_is_silent_is_ours_too(engine: Engine, sink: Sink) -> None:
    with name_server(lambda _: None) as server:
        endpoint = an_endpoint(engine, at_a_name(sink))
        events_happen(engine, 3)  # of which one looks up, for all
        with a_deliverer(engine, limits=hasty(), resolver=server.resolver) as deliverer:
            assert deliverer.drain(endpoint.id) == Drained()
    is_put_off(engine, "resolver_away")


def test_a_bug_puts_off_what_met_it_and_nothing_else(
    engine: Engine, sink: Sink, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, calls = posting.signed_headers, []

    def stumbles(*given: Any, **named: Any) -> Any:
        calls.append(named)
        if len(calls) == 2:
            raise IndexError
        return real(*given, **named)

    monkeypatch.setattr(posting, "signed_headers", stumbles)
    endpoint = an_endpoint(engine, sink.url)
    events_happen(engine, 3)
    with a_deliverer(engine) as deliverer:
        assert deliverer.drain(endpoint.id) == Drained(delivered=2)
    (left,) = rows(
        engine,
        "SELECT d.attempts, extract(epoch FROM d.next_attempt_at - e.local_fault_at) AS seconds"
        " FROM deliveries d JOIN webhook_endpoints e ON e.id = d.endpoint_id"
        " WHERE d.state = 'pending'",
    )
    assert left["attempts"] == 0
    assert 0 < left["seconds"] <= 5
    (row,) = rows(engine, "SELECT local_fault, held_back_until FROM webhook_endpoints")
    assert (row["local_fault"], row["held_back_until"]) == ("internal_error", None)
    assert [row["error"] for row in attempts(engine)] == [None, None]


def test_what_met_a_bug_waits_for_a_tenth_of_its_age(
    engine: Engine, sink: Sink, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stumbles(*_: Any, **__: Any) -> Any:
        raise IndexError

    monkeypatch.setattr(posting, "signed_headers", stumbles)
    endpoint = an_endpoint(engine, sink.url)
    events_happen(engine, 2)
    rows(engine, "UPDATE deliveries SET created_at = now() - id * interval '20 minutes'")
    (began,) = rows(engine, "SELECT now() AS at")
    with a_deliverer(engine) as deliverer:
        deliverer.drain(endpoint.id)
    waits = rows(
        engine,
        "SELECT extract(epoch FROM next_attempt_at - :began) AS at_least,"
        " extract(epoch FROM next_attempt_at - now()) AS at_most FROM deliveries ORDER BY id",
        began=began["at"],
    )
    # By the database's clock: no sooner than a tenth of 20 and of 40 minutes after it began.
    assert waits[0]["at_least"] >= 120
    assert waits[0]["at_most"] <= 125
    assert waits[1]["at_least"] >= 240
    assert waits[1]["at_most"] <= 245


def test_the_days_of_a_failing_endpoint_do_not_go_on_meanwhile(engine: Engine, sink: Sink) -> None:
    sink.answer = Answer(500)
    endpoint = an_endpoint(engine, sink.url)
    events_happen(engine)
    with a_deliverer(engine) as deliverer:
        deliverer.drain(endpoint.id)
    (before,) = rows(engine, "SELECT * FROM webhook_endpoints")
    all_is_due(engine)
    with a_deliverer(engine, open_socket=fails_with(errno.EMFILE)) as deliverer:
        deliverer.drain(endpoint.id)
    (after,) = rows(engine, "SELECT * FROM webhook_endpoints")
    held_s = (after["held_back_until"] - after["local_fault_at"]).total_seconds()
    assert (after["failing_since"] - before["failing_since"]).total_seconds() == held_s > 0
    assert (after["counted"], after["counted_failed"]) == (1, 1)
    assert len(attempts(engine)) == 1


def test_the_doctor_says_what_it_is_and_what_to_do(
    engine: Engine, sink: Sink, billing: Billing
) -> None:
    endpoint = an_endpoint(engine, sink.url)
    events_happen(engine)
    with a_deliverer(engine, open_socket=fails_with(errno.EMFILE)) as deliverer:
        deliverer.drain(endpoint.id)
    said = " ".join(billing("doctor").out.split())  # as it is cut into lines
    assert "no sockets left" in said
    assert "ulimit -n" in said
    assert '"local_fault": "no_sockets"' in billing("endpoint", "list", "--json").out
