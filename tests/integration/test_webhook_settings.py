"""What is set of an endpoint counts when webhooks are sent there: headers, rate, retries."""

from typing import Any

from sqlalchemy import Engine
from standardwebhooks.webhooks import Webhook

from payments.webhooks.draining.drains import Drained
from payments.webhooks.sealed import seal_headers
from tests.support.sink import Answer, Received, Sink
from tests.support.vault import VAULT
from tests.support.webhooks import (
    a_deliverer,
    all_is_due,
    an_endpoint,
    attempts,
    deliveries,
    events_happen,
    is_due_again_after,
    rows,
)


def set_of(engine: Engine, endpoint_id: str, **columns: Any) -> None:
    named = ", ".join(f"{name} = :{name}" for name in columns)
    rows(engine, f"UPDATE webhook_endpoints SET {named} WHERE id = :id", id=endpoint_id, **columns)


def drain(engine: Engine, endpoint_id: str, **deliverer: Any) -> Drained:
    with a_deliverer(engine, **deliverer) as it:
        return it.drain(endpoint_id)


def test_its_own_headers_arrive_beside_ours_which_win(engine: Engine, sink: Sink) -> None:
    endpoint = an_endpoint(engine, sink.url)
    own = {"X-Api-Key": "k-1", "authorization": "Bearer of it", "Webhook-Id": "another"}
    kept = seal_headers(VAULT, endpoint.id, own)
    assert not set(own.values()) & set(kept.values())
    set_of(engine, endpoint.id, header_names=[*kept], header_values=[*kept.values()])
    events_happen(engine)
    assert drain(engine, endpoint.id) == Drained(delivered=1)
    (request,) = sink.requests
    assert request.headers["x-api-key"] == "k-1"
    assert request.headers["authorization"] == "Bearer of it"
    Webhook(endpoint.secrets[0]).verify(request.body, dict(request.headers))


def test_its_own_schedule_says_when_to_try_again_and_when_to_give_up(
    engine: Engine, sink: Sink
) -> None:
    sink.answer = Answer(500)
    endpoint = an_endpoint(engine, sink.url)
    set_of(engine, endpoint.id, retry_schedule=[77])
    events_happen(engine)
    assert drain(engine, endpoint.id) == Drained(retried=1)
    assert is_due_again_after(engine, 77.0)
    all_is_due(engine)
    assert drain(engine, endpoint.id) == Drained(exhausted=1)
    assert len(attempts(engine)) == 2


def test_while_the_rate_forbids_it_nothing_is_sent_and_no_attempt_is_used_up(
    engine: Engine, sink: Sink
) -> None:
    endpoint = an_endpoint(engine, sink.url)
    # Longer than any rate says, and than any machine takes.
    rows(
        engine,
        "UPDATE webhook_endpoints SET rate_limit = 1, next_post_at = now() + interval '1 hour'",
    )
    events_happen(engine, 3)
    assert drain(engine, endpoint.id, drain_s=0.2) == Drained(more=True)
    assert sink.requests == []
    assert {(row["state"], row["attempts"]) for row in deliveries(engine)} == {("pending", 0)}


def test_the_next_drainer_keeps_the_pace_of_the_one_before(engine: Engine, sink: Sink) -> None:
    endpoint = an_endpoint(engine, sink.url)
    set_of(engine, endpoint.id, rate_limit=1)
    events_happen(engine)
    assert drain(engine, endpoint.id) == Drained(delivered=1)
    (row,) = rows(
        engine,
        "SELECT next_post_at - started_at > interval '0.5 seconds' AS is_later"
        " FROM webhook_endpoints, delivery_attempts",
    )
    assert row["is_later"]


def test_a_limited_rate_delivers_everything(engine: Engine, sink: Sink) -> None:
    endpoint = an_endpoint(engine, sink.url)
    set_of(engine, endpoint.id, rate_limit=500)
    events_happen(engine, 100)
    assert drain(engine, endpoint.id) == Drained(delivered=100)
    assert len(sink.requests) == 100
    assert {row["attempts"] for row in deliveries(engine)} == {1}


def test_a_receiver_that_shows_what_it_was_sent_shows_its_headers_to_nobody(
    engine: Engine, sink: Sink
) -> None:
    endpoint = an_endpoint(engine, sink.url)
    kept = seal_headers(VAULT, endpoint.id, {"Authorization": "Bearer of-the-gateway"})
    set_of(engine, endpoint.id, header_names=[*kept], header_values=[*kept.values()])

    def debug_page(received: Received) -> Answer:
        sent = received.headers["authorization"]
        return Answer(500, {"x-seen": sent}, f"KeyError; headers: {sent}".encode())

    sink.answer = debug_page
    events_happen(engine)
    assert drain(engine, endpoint.id) == Drained(retried=1)
    (attempt,) = attempts(engine)
    assert "of-the-gateway" not in str(dict(attempt))
    assert attempt["response_body"] == "KeyError; headers: ****"
    assert attempt["response_headers"]["x-seen"] == "****"
