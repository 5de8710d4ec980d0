"""Endpoints that are queues: streams of Redis, exchanges of RabbitMQ. The real servers."""

import asyncio
import json
import os
import re
import socket
import sqlite3
import ssl
import subprocess
import sys
import threading
import uuid
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, cast
from urllib.parse import urlsplit, urlunsplit

import kombu
import pytest
import redis
import trustme
from aiormq.exceptions import ChannelInvalidStateError
from sqlalchemy import Engine

from infra.billing import webhook
from payments.webhooks import endpoints
from payments.webhooks.draining.drains import Drained
from payments.webhooks.outbox import publish
from payments.webhooks.target import TargetCheck
from payments.webhooks.targets.amqp import _Channel
from payments.webhooks.targets.target_port import Message
from tests.support.acting import Database
from tests.support.programs import ROOT
from tests.support.silent_proxy import SilentProxy, silent_proxy
from tests.support.sink import Sink
from tests.support.tls_front import tls_front
from tests.support.vault import VAULT, opened
from tests.support.waiting import patience_s, slowness, wait_for
from tests.support.webhooks import (
    LOOPBACK,
    a_deliverer,
    a_fact,
    all_is_due,
    attempts,
    deliveries,
    events_happen,
    hasty,
    rows,
)


def add(engine: Engine, url: str, **fields: Any) -> Any:
    with Database(engine).transaction() as transaction:
        row, _ = endpoints.add(
            transaction, url=url, target_check=TargetCheck(LOOPBACK), vault=VAULT, **fields
        )
    return opened(row)


FORGED = {"webhook-id": "evt_1", "webhook-timestamp": "1", "webhook-signature": "v1,AAAA"}


class Stream:
    """A stream of the Redis of these tests."""

    def __init__(self, redis_url: str) -> None:
        self.name = f"billing-{uuid.uuid4().hex[:8]}"
        self.url = f"{redis_url}?stream={self.name}"
        self.client: Any = redis.Redis.from_url(redis_url)

    def received(self) -> list[tuple[dict[str, str], bytes]]:
        """The headers and the body of each message, in order."""
        found = []
        for _, fields in self.client.xrange(self.name):
            body = fields.pop(b"body")
            found.append(({k.decode(): v.decode() for k, v in fields.items()}, body))
        return found

    def forge(self) -> None:
        self.client.xadd(self.name, {**FORGED, "body": "{}"})

    def count(self) -> int:
        return int(self.client.xlen(self.name))


class Exchange:
    """A topic exchange of the RabbitMQ of these tests, and a queue that is bound to it."""

    def __init__(self, rabbitmq_url: str) -> None:
        self.name = f"billing-{uuid.uuid4().hex[:8]}"
        self.url = f"{rabbitmq_url}?exchange={self.name}&routing_key=billing.{{type}}"
        self.connection = kombu.Connection(rabbitmq_url)
        self.channel: Any = self.connection.channel()
        self.channel.exchange_declare(self.name, "topic", durable=True, auto_delete=False)

    def bind(self, key: str, **arguments: Any) -> None:
        self.channel.queue_declare(
            self.name, durable=True, auto_delete=False, arguments=arguments or None
        )
        self.channel.queue_bind(self.name, self.name, key)

    def received(self) -> list[tuple[dict[str, str], bytes]]:
        found = []
        while (message := self.channel.basic_get(self.name, no_ack=True)) is not None:
            body = message.body
            body = body.encode() if isinstance(body, str) else body
            found.append((message.properties["application_headers"], body))
        return found

    def forge(self) -> None:
        kombu.Producer(self.channel).publish(
            "{}", exchange=self.name, routing_key="billing.charge.forged", headers=FORGED
        )

    def close(self) -> None:
        self.channel.queue_delete(self.name)
        self.channel.exchange_delete(self.name)
        self.connection.release()


@pytest.fixture
def stream(redis_url: str) -> Iterator[Stream]:
    stream = Stream(redis_url)
    yield stream
    stream.client.delete(stream.name)
    stream.client.close()


@pytest.fixture
def exchange(rabbitmq_url: str) -> Iterator[Exchange]:
    exchange = Exchange(rabbitmq_url)
    yield exchange
    exchange.close()


Target = Stream | Exchange


@pytest.fixture(params=["redis", pytest.param("rabbitmq", marks=pytest.mark.rabbitmq)])
def target(request: pytest.FixtureRequest) -> Target:
    if request.param == "redis":
        found: Target = request.getfixturevalue("stream")
        return found
    exchange: Exchange = request.getfixturevalue("exchange")
    exchange.bind("billing.charge.*")
    return exchange


def test_a_queue_is_given_the_body_and_the_headers_that_sign_it(
    engine: Engine, target: Target
) -> None:
    endpoint = add(engine, target.url, headers={"x-tenant": "für uns".encode().hex()})
    charges = events_happen(engine, 300)
    with a_deliverer(engine) as deliverer:
        assert deliverer.drain(endpoint.id) == Drained(delivered=300)
    received = target.received()
    assert len(received) == 300
    for headers, body in received:
        webhook.verify(body, headers, endpoint.secrets[0])
    assert {json.loads(body)["data"]["charge_id"] for _, body in received} == set(charges)
    numbers = [int(headers["webhook-sequence"]) for headers, _ in received]
    assert sorted(numbers) == list(range(1, 301))
    assert received[0][0]["x-tenant"] == "für uns".encode().hex()


def test_what_a_queue_took_is_recorded_as_other_deliveries_are(
    engine: Engine, target: Target
) -> None:
    endpoint = add(engine, target.url)
    events_happen(engine)
    with a_deliverer(engine) as deliverer:
        deliverer.drain(endpoint.id)
        events_happen(engine)
        deliverer.drain(endpoint.id)
    first, second = attempts(engine)
    assert (first["status_code"], first["error"]) == (None, None)
    assert first["remote_ip"] == second["remote_ip"] == "127.0.0.1"
    assert first["connect_ms"] is not None
    assert first["first_byte_ms"] is not None
    assert second["connect_ms"] is None  # the connection was kept
    (row,) = rows(engine, "SELECT recent_ms, last_success_at FROM webhook_endpoints")
    assert all(ms >= 0 for ms in row["recent_ms"])
    assert row["last_success_at"] is not None


# --- What goes wrong


def at(url: str, port: int, *, scheme: str | None = None, user: str | None = None) -> str:
    """The same URL on another port, perhaps by another scheme, for somebody else."""
    parts = urlsplit(url)
    given, _, _ = parts.netloc.rpartition("@")
    netloc = f"{given if user is None else user}@localhost:{port}".lstrip("@")
    return urlunsplit(parts._replace(scheme=scheme or parts.scheme, netloc=netloc))


@contextmanager
def behind_a_proxy(target: Target) -> Iterator[tuple[SilentProxy, str]]:
    parts = urlsplit(target.url)
    with silent_proxy("127.0.0.1", parts.port or 0) as proxy:
        yield proxy, proxy.url(target.url)


def drain(engine: Engine, endpoint: Any, **options: Any) -> Drained:
    with a_deliverer(engine, **options) as deliverer:
        return deliverer.drain(endpoint.id)


def test_what_is_on_its_way_when_a_queue_breaks_down_arrives_later(
    engine: Engine, target: Target
) -> None:
    with behind_a_proxy(target) as (proxy, url):
        endpoint = add(engine, url)
        with a_deliverer(engine, limits=hasty(times=2)) as deliverer:
            for happens in (1, 20):
                events_happen(engine, happens)
                if happens > 1:
                    proxy.fall_silent()  # with the connection open: nothing comes back
                deliverer.drain(endpoint.id)
            proxy.cut()
            proxy.speak()
            broken = [row["error"] for row in attempts(engine) if row["error"]]
            assert broken
            assert set(broken) <= {"timeout", "connection_closed"}
            all_is_due(engine)
            rows(engine, "UPDATE webhook_endpoints SET held_back_until = NULL,"
                         " held_back_because = NULL")  # fmt: skip
            deliverer.drain(endpoint.id)
    assert {row["state"] for row in deliveries(engine)} == {"delivered"}
    ids = {headers["webhook-id"] for headers, _ in target.received()}
    assert ids == {row["event_id"] for row in deliveries(engine)}


def test_a_queue_that_hangs_up_is_called_again_at_once(engine: Engine, target: Target) -> None:
    with behind_a_proxy(target) as (proxy, url):
        endpoint = add(engine, url)
        with a_deliverer(engine) as deliverer:
            events_happen(engine)
            assert deliverer.drain(endpoint.id) == Drained(delivered=1)
            proxy.cut()
            wait_for(proxy.connections, until=lambda count: count == 0, what="the end")
            events_happen(engine)
            assert deliverer.drain(endpoint.id).delivered == 1
    assert [row["error"] for row in attempts(engine)] == [None, None]


def test_who_accepts_and_says_nothing_frees_the_place_in_time(
    engine: Engine, target: Target
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        endpoint = add(engine, at(target.url, silent.getsockname()[1]))
        events_happen(engine, 3)
        assert drain(engine, endpoint, limits=hasty()) == Drained(retried=3)
    found = attempts(engine)
    assert {row["error"] for row in found} == {"timeout"}
    assert all(row["duration_ms"] < 5_000 * slowness() for row in found)


@pytest.mark.parametrize(
    "said",
    [
        b"HTTP/1.1 400 Bad Request\r\n\r\n",
        b"\x00" * 64,
        b"$99999999999\r\n" + b"x" * 4096,
        b":no number\r\n",
        b"*1\r\n" * 5_000,
        b"+OK\r\n" * 8,  # and no id of an entry
    ],
)
def test_who_speaks_another_language_is_no_queue(
    engine: Engine, target: Target, said: bytes
) -> None:
    ending = threading.Event()

    def babble(listener: socket.socket) -> None:
        while not ending.is_set():
            try:
                line, _ = listener.accept()
            except OSError:
                return
            with line:
                line.sendall(said)
                line.settimeout(5)
                while line.recv(4096):
                    pass

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=babble, args=(listener,), daemon=True)
        thread.start()
        endpoint = add(engine, at(target.url, listener.getsockname()[1]))
        events_happen(engine)
        assert drain(engine, endpoint, limits=hasty()) == Drained(retried=1)
        ending.set()
        listener.shutdown(socket.SHUT_RDWR)
    (attempt,) = attempts(engine)
    assert attempt["error"] in ("bad_response", "connection_closed", "timeout")


def test_a_wrong_password_is_told_and_not_repeated(engine: Engine, target: Target) -> None:
    port = urlsplit(target.url).port or 0
    password = "not-the-p%40ssword"
    user = "" if isinstance(target, Stream) else "guest"
    endpoint = add(engine, at(target.url, port, user=f"{user}:{password}"))
    events_happen(engine)
    assert drain(engine, endpoint) == Drained(retried=1)
    (attempt,) = attempts(engine)
    assert attempt["error"] == "authentication_failed"
    assert attempt["response_body"]
    kept = str([dict(row) for row in (*attempts(engine), *rows(engine, "SELECT * FROM events"))])
    kept += str([dict(row) for row in rows(engine, "SELECT * FROM webhook_endpoints")])
    assert password not in kept
    assert "not-the-p@ssword" not in kept


def test_a_queue_without_a_user_that_wants_one_says_so(engine: Engine, stream: Stream) -> None:
    port = urlsplit(stream.url).port or 0
    endpoint = add(engine, at(stream.url, port, user=""))
    events_happen(engine)
    assert drain(engine, endpoint) == Drained(retried=1)
    (attempt,) = attempts(engine)
    assert attempt["error"] == "authentication_failed"


def test_a_server_whose_memory_is_full_refuses_and_is_tried_again(
    engine: Engine, stream: Stream, redis_admin_url: str
) -> None:
    endpoint = add(engine, stream.url)
    events_happen(engine)
    with redis.Redis.from_url(redis_admin_url) as admin:
        admin.config_set("maxmemory", "1")
        try:
            assert drain(engine, endpoint) == Drained(retried=1)
        finally:
            admin.config_set("maxmemory", "0")
    (attempt,) = attempts(engine)
    assert attempt["error"] == "target_refused"
    assert "maxmemory" in attempt["response_body"]
    all_is_due(engine)
    assert drain(engine, endpoint) == Drained(delivered=1)


def test_a_stream_is_kept_about_as_long_as_its_url_says(engine: Engine, stream: Stream) -> None:
    endpoint = add(engine, f"{stream.url}&maxlen=100")
    events_happen(engine, 1_000)
    assert drain(engine, endpoint) == Drained(delivered=1_000)
    assert 100 <= stream.count() < 400


def test_a_key_that_is_no_stream_refuses_each_message_and_none_of_the_line(
    engine: Engine, stream: Stream
) -> None:
    stream.client.set(stream.name, "something else")
    endpoint = add(engine, stream.url)
    events_happen(engine, 5)
    with a_deliverer(engine) as deliverer:
        assert deliverer.drain(endpoint.id) == Drained(retried=5)
        stream.client.delete(stream.name)
        all_is_due(engine)
        assert deliverer.drain(endpoint.id) == Drained(delivered=5)
    assert {row["error"] for row in attempts(engine)} == {"target_refused", None}


@pytest.mark.rabbitmq
def test_a_message_that_no_queue_takes_is_not_delivered(engine: Engine, exchange: Exchange) -> None:
    exchange.bind("billing.refund.*")
    endpoint = add(engine, exchange.url)
    events_happen(engine, 3)
    assert drain(engine, endpoint) == Drained(retried=3)
    assert {(row["error"], row["response_body"]) for row in attempts(engine)} == {
        ("unroutable", "NO_ROUTE")
    }
    exchange.bind("billing.charge.*")
    all_is_due(engine)
    assert drain(engine, endpoint) == Drained(delivered=3)


@pytest.mark.rabbitmq
def test_two_endpoints_at_one_exchange_are_told_apart(engine: Engine, exchange: Exchange) -> None:
    """The broker sends a message back by its id, which the same event has at both."""
    exchange.bind("billing.refund.*")
    both = [add(engine, exchange.url) for _ in range(2)]
    events_happen(engine, 9)
    with a_deliverer(engine) as deliverer:
        drains = [deliverer.submit(endpoint.id) for endpoint in both]
        tried = [drain.result(patience_s()) for drain in drains]
    assert [one.delivered for one in tried] == [0, 0]
    assert {row["error"] for row in attempts(engine)} == {"unroutable"}


def test_a_channel_that_closes_under_a_message_is_no_bug_of_ours() -> None:
    class Closed:
        async def basic_publish(self, *_: object, **__: object) -> None:
            raise ChannelInvalidStateError("closed")

    nothing: Any = None
    line = _Channel(nothing, cast("Any", Closed()), nothing)
    message = Message("amqp://host/?exchange=billing", {"webhook-id": "evt_1"}, b'{"type": "ping"}')
    with pytest.raises(ConnectionResetError):
        asyncio.run(line.send(message))


@pytest.mark.rabbitmq
def test_a_full_queue_refuses_and_is_tried_again(engine: Engine, exchange: Exchange) -> None:
    exchange.bind("billing.#", **{"x-max-length": 2, "x-overflow": "reject-publish"})
    endpoint = add(engine, exchange.url)
    events_happen(engine, 5)
    assert drain(engine, endpoint) == Drained(delivered=2, retried=3)
    refused = {row["error"] for row in attempts(engine) if row["error"]}
    assert refused == {"target_refused"}


@pytest.mark.rabbitmq
def test_an_exchange_or_a_virtual_host_that_is_not_there_is_told(
    engine: Engine, exchange: Exchange, rabbitmq_url: str
) -> None:
    for url in (f"{rabbitmq_url}?exchange=nowhere", f"{rabbitmq_url}x?exchange={exchange.name}"):
        add(engine, url)
    events_happen(engine, 2)
    for (id_,) in [row.values() for row in rows(engine, "SELECT id FROM webhook_endpoints")]:
        with a_deliverer(engine) as deliverer:
            assert deliverer.drain(id_) == Drained(retried=2)
    found = attempts(engine)
    assert {row["error"] for row in found} == {"target_not_found"}
    assert all("not" in row["response_body"].lower() for row in found)


@pytest.mark.rabbitmq
def test_without_an_exchange_a_message_goes_to_the_queue_that_is_named(
    engine: Engine, exchange: Exchange, rabbitmq_url: str
) -> None:
    exchange.bind("nothing")
    endpoint = add(engine, f"{rabbitmq_url}?routing_key={exchange.name}")
    events_happen(engine)
    assert drain(engine, endpoint) == Drained(delivered=1)
    assert len(exchange.received()) == 1


# --- Whom they are


def test_where_no_webhook_may_go_no_message_goes_either(engine: Engine, target: Target) -> None:
    endpoint = add(engine, target.url)
    events_happen(engine)
    assert drain(engine, endpoint, private=False) == Drained(retried=1)
    (attempt,) = attempts(engine)
    assert attempt["error"] == "target_not_allowed"


def test_an_encrypted_queue_proves_who_it_is(engine: Engine, target: Target) -> None:
    authority, theirs = trustme.CA(), ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(theirs)
    ours = ssl.create_default_context()
    authority.configure_trust(ours)
    parts = urlsplit(target.url)
    with tls_front(parts.port or 0, theirs) as port:
        endpoint = add(engine, at(target.url, port, scheme=f"{parts.scheme}s"))
        events_happen(engine)
        assert drain(engine, endpoint) == Drained(retried=1)  # signed by nobody that we trust
        all_is_due(engine)
        assert drain(engine, endpoint, tls=ours) == Drained(delivered=1)
    refused, taken = attempts(engine)
    assert refused["error"] == "tls_error"
    assert taken["tls_ms"] is not None
    assert len(target.received()) == 1


# --- Credentials


def kept_credentials(engine: Engine) -> Any:
    (row,) = rows(engine, "SELECT url, url_credentials FROM webhook_endpoints")
    return row


def change(engine: Engine, endpoint_id: str, url: str) -> Any:
    with Database(engine).transaction() as transaction:
        return endpoints.update(
            transaction,
            endpoint_id,
            changes={"url": url},
            target_check=TargetCheck(LOOPBACK),
            vault=VAULT,
        )


def test_user_and_password_of_a_url_are_sealed_and_never_shown(engine: Engine) -> None:
    endpoint = add(engine, "amqp://us%40er:pa%2Fss@localhost/shop?exchange=billing")
    row = kept_credentials(engine)
    assert row["url"] == "amqp://localhost/shop?exchange=billing"
    assert row["url_credentials"].startswith("sealed:1:")
    assert "pa" not in str(endpoints.view(endpoint)["url"])
    assert "url_credentials" not in endpoints.view(endpoint)


def test_they_stay_with_their_host_and_leave_with_it(engine: Engine) -> None:
    endpoint = add(engine, "redis://:secret-one@localhost:7000/0?stream=a")
    first = kept_credentials(engine)["url_credentials"]
    change(engine, endpoint.id, "redis://localhost:7000/0?stream=b&maxlen=5")
    assert kept_credentials(engine)["url_credentials"] == first
    change(engine, endpoint.id, "redis://:secret-two@localhost:7000/0?stream=b")
    assert kept_credentials(engine)["url_credentials"] not in (None, first)
    change(engine, endpoint.id, "redis://localhost:7001/0?stream=b")
    assert kept_credentials(engine)["url_credentials"] is None


def test_those_of_a_deleted_endpoint_are_wiped(engine: Engine) -> None:
    endpoint = add(engine, "redis://:secret-one@localhost/0?stream=a")
    with Database(engine).transaction() as transaction:
        endpoints.delete(transaction, endpoint.id)
    assert kept_credentials(engine)["url_credentials"] is None


# --- Lines


def test_a_line_is_kept_while_it_is_used_and_ends_when_it_is_not(
    engine: Engine, target: Target, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("payments.webhooks.targets.kept_lines.IDLE_S", 0.2)
    with behind_a_proxy(target) as (proxy, url):
        endpoint = add(engine, url)
        with a_deliverer(engine) as deliverer:
            for _ in range(3):
                events_happen(engine, 100)
                assert deliverer.drain(endpoint.id).delivered == 100
            wait_for(proxy.connections, until=lambda count: count == 0, what="its end")


def test_endpoints_of_both_worlds_are_told_the_same(
    engine: Engine, target: Target, sink: Sink
) -> None:
    queue, http = add(engine, target.url), add(engine, sink.url)
    events_happen(engine, 10)
    with a_deliverer(engine) as deliverer:
        assert deliverer.drain(queue.id) == deliverer.drain(http.id) == Drained(delivered=10)
    posted = {one.headers["webhook-id"]: one.body for one in sink.requests}
    assert {headers["webhook-id"]: body for headers, body in target.received()} == posted


# --- The receivers of docs/how-to/webhooks-through-a-queue.md, as they stand


PAGE = (ROOT / "docs/how-to/webhooks-through-a-queue.md").read_text()
FILES = dict(re.findall(r"^```python\n# (\w+)\.py\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE))


@contextmanager
def a_receiver(folder: Path, name: str, *, secret: str, broker: str, queue: str) -> Iterator[Path]:
    """It, running on a queue of the test's own; yields the database of its shop."""
    shop, program = folder / "shop.db", folder / f"{name}.py"
    code = FILES[name]
    for ours in ('"billing"', '"shop-billing"'):
        code = code.replace(ours, f'"{queue}"')
    program.write_text(code)
    given = {"BILLING_WEBHOOK_SECRET": secret, "SHOP_DATABASE": str(shop), "SHOP_BROKER": broker}
    process = subprocess.Popen(
        [sys.executable, str(program)], env={**os.environ, **given, "PYTHONPATH": str(ROOT)}
    )
    try:
        yield shop
    finally:
        process.kill()
        process.wait(patience_s())


def payments_in(shop: Path) -> set[str]:
    try:
        with closing(sqlite3.connect(shop)) as books:
            return {row[0] for row in books.execute("SELECT id FROM payments")}
    except sqlite3.OperationalError:
        return set()  # it has not begun


def test_a_receiver_behind_a_queue_handles_what_is_told_and_nothing_that_is_forged(
    engine: Engine, target: Target, tmp_path: Path
) -> None:
    is_redis = isinstance(target, Stream)
    broker = urlunsplit(urlsplit(target.url)._replace(query=""))
    endpoint = add(engine, target.url)
    facts = [
        replace(fact, data={**fact.data, "state": "succeeded"})
        for fact in (a_fact() for _ in range(20))
    ]
    with Database(engine).transaction() as transaction:
        publish(transaction, facts)
    with a_receiver(
        tmp_path,
        "redis_receiver" if is_redis else "rabbitmq_receiver",
        secret=endpoint.secrets[0],
        broker=broker,
        queue=target.name,
    ) as shop:
        target.forge()
        drain(engine, endpoint)
        wait_for(lambda: payments_in(shop), until=lambda there: len(there) == 20, what="payments")
        assert payments_in(shop) == {fact.object_id for fact in facts}
