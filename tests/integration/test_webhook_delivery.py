"""Delivery: what a receiver sees, and what we write down, however it behaves."""

import socket
import ssl
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest
import trustme
from sqlalchemy import Engine
from standardwebhooks.webhooks import Webhook

from payments.webhooks import endpoints
from payments.webhooks.draining.drains import Drained
from payments.webhooks.pacing.window import FIRST, Verdict, Window
from tests.support.acting import Database
from tests.support.rude import Manners, drips, rude_receiver, says, stays_silent
from tests.support.sink import Answer, Received, Sink
from tests.support.waiting import patience_s, slowness, wait_for
from tests.support.webhooks import (
    PATIENT,
    a_deliverer,
    all_is_due,
    an_endpoint,
    attempts,
    deliveries,
    events_happen,
    hasty,
    is_due_again_after,
    rows,
)


def drain(engine: Engine, endpoint_id: str, **deliverer: Any) -> Drained:
    with a_deliverer(engine, **deliverer) as it:
        return it.drain(endpoint_id)


def test_a_webhook_arrives_with_its_exact_body_and_a_signature_that_verifies(
    engine: Engine, sink: Sink
) -> None:
    endpoint = an_endpoint(engine, sink.url)
    (charge_id,) = events_happen(engine)
    assert drain(engine, endpoint.id) == Drained(delivered=1)
    (request,) = sink.requests
    (event,) = rows(engine, "SELECT * FROM events")
    assert request.method == "POST"
    assert request.headers["content-type"] == "application/json"
    assert request.headers["webhook-id"] == event["id"]
    assert request.body == event["body"].encode()
    body = Webhook(endpoint.secrets[0]).verify(request.body, dict(request.headers))
    assert body["data"]["charge_id"] == charge_id


def test_what_came_of_it_is_written_down(engine: Engine, sink: Sink) -> None:
    sink.answer = Answer(200, body=b"thanks")
    endpoint = an_endpoint(engine, sink.url)
    events_happen(engine)
    drain(engine, endpoint.id)
    (delivery,) = deliveries(engine)
    assert (delivery["state"], delivery["attempts"]) == ("delivered", 1)
    assert delivery["finished_at"] is not None
    assert delivery["next_attempt_at"] is None
    (attempt,) = attempts(engine)
    assert (attempt["number"], attempt["status_code"], attempt["error"]) == (1, 200, None)
    assert (attempt["remote_ip"], attempt["response_body"]) == ("127.0.0.1", "thanks")
    assert delivery["created_at"] <= attempt["started_at"] <= delivery["finished_at"]


def test_a_hundred_webhooks_keep_to_the_window(engine: Engine, sink: Sink) -> None:
    under_way, most, count = [0], [0], threading.Lock()

    def answer(_: Received) -> Answer:
        with count:  # the sink has a thread for each
            under_way[0] += 1
            most[0] = max(most[0], under_way[0])
        wait_for(lambda: most[0] >= 8, what="as many at once as may be")
        with count:
            under_way[0] -= 1
        return Answer()

    sink.answer = answer
    endpoint = an_endpoint(engine, sink.url, max_in_flight=8)
    events_happen(engine, 100)
    with a_deliverer(engine) as deliverer:
        deliverer._windows._of[endpoint.id] = a_wide_window()
        assert deliverer.drain(endpoint.id) == Drained(delivered=100)
    assert most[0] == 8
    assert len({request.headers["webhook-id"] for request in sink.requests}) == 100
    assert len(sink.requests) == 100


def a_wide_window() -> Window:
    """Of an endpoint that has answered at once again and again."""
    window, now = Window(), time.monotonic()
    for _ in range(1_000):
        window.answered(Verdict.GOOD, took_s=0.0, was_full=True, under_way=0, most=256, now=now)
    assert window.places(256) == 256
    return window


def test_a_window_opens_as_answers_come_and_is_remembered(engine: Engine, sink: Sink) -> None:
    endpoint = an_endpoint(engine, sink.url, max_in_flight=64)
    with a_deliverer(engine) as deliverer:
        for _ in range(2):
            events_happen(engine, 100)
            deliverer.drain(endpoint.id)
        assert deliverer._windows.of(endpoint.id).places(64) > FIRST


def test_one_slow_answer_does_not_hold_up_the_others(engine: Engine, sink: Sink) -> None:
    ids = events_happen_at(engine, sink, 60, max_in_flight=4)
    slow = ids[0]

    def answer(request: Received) -> Answer:
        if request.json()["data"]["charge_id"] == slow:
            sink.wait_for(60)  # answers only after all the others were received
        return Answer()

    sink.answer = answer
    (endpoint,) = rows(engine, "SELECT id FROM webhook_endpoints")
    assert drain(engine, endpoint["id"]) == Drained(delivered=60)


def test_what_becomes_due_while_a_post_is_under_way_is_posted_beside_it(
    engine: Engine, sink: Sink
) -> None:
    (first,) = events_happen_at(engine, sink, 1)

    def answer(request: Received) -> Answer:
        if request.json()["data"]["charge_id"] == first:
            sink.wait_for(2)
        return Answer()

    sink.answer = answer
    (endpoint,) = rows(engine, "SELECT id FROM webhook_endpoints")
    with a_deliverer(engine) as deliverer:
        drained = deliverer.submit(endpoint["id"])
        sink.wait_for(1)
        events_happen(engine)
        assert deliverer.drain(endpoint["id"]) == Drained()  # a nudge
        assert drained.result(patience_s()) == Drained(delivered=2)


@pytest.mark.parametrize("status", [300, 302, 304, 400, 404, 429, 500, 503])
def test_anything_but_2xx_is_tried_again_five_seconds_later(
    engine: Engine, sink: Sink, status: int
) -> None:
    sink.answer = Answer(status, headers={"location": f"{sink.url}/elsewhere"}, body=b"")
    endpoint = an_endpoint(engine, f"{sink.url}/hook")
    events_happen(engine)
    assert drain(engine, endpoint.id) == Drained(retried=1)
    (delivery,) = deliveries(engine)
    assert (delivery["state"], delivery["attempts"]) == ("pending", 1)
    assert is_due_again_after(engine, 5)
    assert [attempt["status_code"] for attempt in attempts(engine)] == [status]
    assert [request.path for request in sink.requests] == ["/hook"]  # no redirect was followed


def test_retry_after_is_heeded(engine: Engine, sink: Sink) -> None:
    sink.answer = Answer(503, headers={"retry-after": "1000"})
    endpoint = an_endpoint(engine, sink.url)
    events_happen(engine)
    drain(engine, endpoint.id)
    assert is_due_again_after(engine, 1000)


def test_after_ten_attempts_under_one_id_it_is_given_up(engine: Engine, sink: Sink) -> None:
    sink.answer = Answer(500, body=b"oh no")
    endpoint = an_endpoint(engine, sink.url)
    events_happen(engine)
    with a_deliverer(engine) as deliverer:
        drained = []
        for _ in range(11):
            drained.append(deliverer.drain(endpoint.id))
            all_is_due(engine)
    assert drained == [*[Drained(retried=1)] * 9, Drained(exhausted=1), Drained()]
    (delivery,) = deliveries(engine)
    assert (delivery["state"], delivery["attempts"]) == ("exhausted", 10)
    assert [attempt["number"] for attempt in attempts(engine)] == list(range(1, 11))
    assert len({request.headers["webhook-id"] for request in sink.requests}) == 1


# Those who go on for ever are left at our limit; for the others there is all the time they need.
ENDLESS = {
    "silence": hasty,
    "drips its head": hasty,
    "drips its body": lambda: replace(PATIENT, body_s=0.3),
}
RUDE: dict[str, tuple[Manners, dict[str, Any]]] = {
    "silence": (stays_silent, {"error": "timeout"}),
    "hangs up": (says(b""), {"error": "connection_closed"}),
    "hangs up in the head": (
        says(b"HTTP/1.1 200 OK\r\ncontent-le"),
        {"error": "connection_closed"},
    ),
    "speaks another protocol": (says(b"SSH-2.0-OpenSSH_9.6\r\n"), {"error": "bad_response"}),
    "drips its head": (drips(b"HTTP/1.1 200 OK\r\nx: ", b"y"), {"error": "timeout"}),
    "endless headers": (
        drips(b"HTTP/1.1 200 OK\r\n", b"x: y\r\n" * 9999),
        {"error": "bad_response"},
    ),
    "drips its body": (
        drips(b"HTTP/1.1 200 OK\r\ncontent-length: 100000\r\n\r\n", b"z"),
        {"status_code": 200, "error": None},
    ),
    "endless body": (
        drips(b"HTTP/1.1 500 No\r\n\r\n", b"z" * 65536, every_s=0.0),
        {"status_code": 500, "error": None, "response_body": "z" * 16384},
    ),
    "hangs up in the body": (
        says(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhalf"),
        {"status_code": 200, "response_body": "half"},
    ),
    "no text": (
        says(b"HTTP/1.1 500 No\r\ncontent-length: 4\r\n\r\na\x00\xff\xfe"),
        {"status_code": 500, "response_body": "a\ufffd\ufffd"},
    ),
    "strange headers": (
        says(b"HTTP/1.1 429 \xff\r\nretry-after: \xe9\xff\r\ncontent-length: 0\r\n\r\n"),
        {"status_code": 429, "error": None},
    ),
    "a bomb": (
        says(b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: 3\r\n\r\n\x1f\x8b\x08"),
        {"status_code": 200},
    ),
}


@pytest.mark.parametrize("manners", RUDE)
def test_no_receiver_is_too_rude(engine: Engine, manners: str) -> None:
    behave, expected = RUDE[manners]
    with rude_receiver(behave) as url:
        endpoint = an_endpoint(engine, url)
        events_happen(engine)
        drained = drain(engine, endpoint.id, limits=ENDLESS.get(manners, lambda: PATIENT)())
    (attempt,) = attempts(engine)
    assert {name: attempt[name] for name in expected} == expected
    assert drained.delivered == (attempt["status_code"] == 200)


def test_a_receiver_that_is_not_there_is_written_down_as_such(engine: Engine) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    endpoint = an_endpoint(engine, f"http://127.0.0.1:{port}/")
    events_happen(engine)
    assert drain(engine, endpoint.id) == Drained(retried=1)
    assert attempts(engine)[0]["error"] == "connection_refused"


def test_a_receiver_without_tls_behind_https_is_a_tls_error(engine: Engine, sink: Sink) -> None:
    endpoint = an_endpoint(engine, sink.url.replace("http://", "https://"))
    events_happen(engine)
    drain(engine, endpoint.id)
    assert attempts(engine)[0]["error"] == "tls_error"


@pytest.mark.parametrize(
    ("name", "trusted", "outcome"),
    [
        ("localhost", True, (200, None)),
        ("localhost", False, (None, "tls_error")),
        ("elsewhere.example", True, (None, "tls_error")),
    ],
)
def test_a_certificate_must_be_for_the_host_and_from_an_authority_we_trust(
    engine: Engine, name: str, trusted: bool, outcome: tuple[int | None, str | None]
) -> None:
    authority = trustme.CA()
    theirs = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(name).configure_cert(theirs)
    ours = ssl.create_default_context()
    if trusted:
        authority.configure_trust(ours)
    with rude_receiver(says(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"), tls=theirs) as url:
        endpoint = an_endpoint(engine, url)
        events_happen(engine)
        drain(engine, endpoint.id, tls=ours)
    (attempt,) = attempts(engine)
    assert (attempt["status_code"], attempt["error"]) == outcome


def test_a_name_that_does_not_resolve_is_a_dns_error(engine: Engine) -> None:
    endpoint = an_endpoint(engine, "https://receiver.invalid/")
    events_happen(engine)
    drain(engine, endpoint.id)
    assert attempts(engine)[0]["error"] == "dns_failed"


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
@pytest.mark.parametrize("scheme", ["http", "https"])
def test_an_inner_target_is_refused_when_it_is_dialled(
    engine: Engine, sink: Sink, host: str, scheme: str
) -> None:
    url = sink.url.replace("http://127.0.0.1", f"{scheme}://{host}")
    endpoint = an_endpoint(engine, url)  # saved while it was allowed
    events_happen(engine)
    drain(engine, endpoint.id, private=False)
    assert attempts(engine)[0]["error"] == "target_not_allowed"
    assert sink.requests == []


def test_a_disabled_endpoint_keeps_what_waits_and_gets_it_when_it_is_enabled(
    engine: Engine, sink: Sink
) -> None:
    endpoint = an_endpoint(engine, sink.url)
    events_happen(engine)
    with a_deliverer(engine) as deliverer:
        with Database(engine).transaction() as transaction:
            endpoints.disable(transaction, endpoint.id)
        assert deliverer.drain(endpoint.id) == Drained()
        assert deliveries(engine)[0]["state"] == "pending"
        with Database(engine).transaction() as transaction:
            endpoints.enable(transaction, endpoint.id)
        assert deliverer.drain(endpoint.id) == Drained(delivered=1)


def test_a_secret_that_is_changed_counts_from_the_next_turn_on(engine: Engine, sink: Sink) -> None:
    endpoint = an_endpoint(engine, sink.url)
    events_happen(engine)
    old, new = endpoint.secrets[0], "whsec_" + "bmV3" * 8
    rows(
        engine,
        "UPDATE webhook_endpoints SET secrets = ARRAY[:new, :old],"
        " older_secrets_until = now() + interval '1 minute'",
        new=new,
        old=old,
    )
    drain(engine, endpoint.id)
    (request,) = sink.requests
    for secret in (old, new):
        Webhook(secret).verify(request.body, dict(request.headers))


def test_when_its_time_is_up_a_drain_ends_what_it_began_and_says_there_is_more(
    engine: Engine, sink: Sink
) -> None:
    endpoint = an_endpoint(engine, sink.url, max_in_flight=1)
    events_happen(engine, 3)
    drain_s = 2 * slowness()  # time to begin, and none any more when the first answer comes
    sink.answer = Answer(delay_s=drain_s)
    drained = drain(engine, endpoint.id, drain_s=drain_s, limits=PATIENT)
    assert drained == Drained(delivered=1, more=True)
    assert [row["state"] for row in deliveries(engine)] == ["delivered", "pending", "pending"]
    (lease,) = rows(engine, "SELECT drain_token FROM webhook_endpoints")
    assert lease["drain_token"] is None


def test_closing_lets_posts_under_way_end_and_records_them(engine: Engine, sink: Sink) -> None:
    endpoint = an_endpoint(engine, sink.url, max_in_flight=2)
    events_happen(engine, 10)
    closing = threading.Event()

    def answer(_: Received) -> Answer:
        assert closing.wait(patience_s())
        return Answer()

    sink.answer = answer
    with a_deliverer(engine, limits=PATIENT) as deliverer:
        drained = deliverer.submit(endpoint.id)
        sink.wait_for(2)
        with ThreadPoolExecutor(1) as threads:
            closed = threads.submit(deliverer.close)
            wait_for(lambda: deliverer._is_closing, what="it to close")
            closing.set()
            closed.result(patience_s())
    assert drained.result(0) == Drained(delivered=2, more=True)
    assert len(attempts(engine)) == len(sink.requests) == 2


def test_two_processes_drain_an_endpoint_without_posting_anything_twice(
    engine: Engine, sink: Sink
) -> None:
    endpoint = an_endpoint(engine, sink.url)
    with a_deliverer(engine) as one, a_deliverer(engine) as other, ThreadPoolExecutor(8) as pool:
        drains = []
        for _ in range(10):
            events_happen(engine, 7)
            drains += [pool.submit(it.drain, endpoint.id) for it in (one, other)]
        delivered = sum(one_drain.result(patience_s()).delivered for one_drain in drains)
    assert delivered + undelivered(engine) == 70
    assert undelivered(engine) == 0
    assert len(sink.requests) == 70


def test_a_hundred_dead_endpoints_do_not_slow_down_a_healthy_one(
    engine: Engine, sink: Sink
) -> None:
    with rude_receiver(stays_silent) as dead_url:
        dead = [an_endpoint(engine, dead_url).id for _ in range(100)]
        healthy = an_endpoint(engine, sink.url)
        events_happen(engine, 2)
        with a_deliverer(engine, limits=hasty(times=3)) as deliverer:
            drains = [deliverer.submit(endpoint_id) for endpoint_id in dead]
            assert deliverer.drain(healthy.id) == Drained(delivered=2)
            assert {one.result(patience_s()) for one in drains} == {Drained(retried=2)}


def test_a_secret_that_is_none_fails_its_drain_with_the_reason_and_frees_the_endpoint(
    engine: Engine, sink: Sink
) -> None:
    endpoint = an_endpoint(engine, sink.url)
    events_happen(engine)
    rows(engine, "UPDATE webhook_endpoints SET secrets = ARRAY['whsec_?']")
    with a_deliverer(engine) as deliverer, pytest.raises(ValueError, match="base64"):
        deliverer.drain(endpoint.id)
    (row,) = rows(engine, "SELECT drain_token FROM webhook_endpoints")
    assert row["drain_token"] is None


def undelivered(engine: Engine) -> int:
    return sum(row["state"] != "delivered" for row in deliveries(engine))


def events_happen_at(engine: Engine, sink: Sink, number: int, **endpoint: int) -> list[str]:
    an_endpoint(engine, sink.url, **endpoint)
    return events_happen(engine, number)
