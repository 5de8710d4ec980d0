"""The SDK over HTTP, against a small real server that knows every fault of a network."""

import logging
import os
import ssl
import threading
from concurrent.futures import ThreadPoolExecutor
from time import monotonic

import pytest
import trustme

from infra import billing
from infra.billing import client, http_transport
from infra.billing.aio import async_wire
from infra.billing.base_url import root
from tests.support.both_clients import threads_only
from tests.support.scripted import (
    PENDING,
    Clock,
    Drips,
    Hangs,
    HangsUp,
    Says,
    SaysAndLeaves,
    problem,
    scripted_service,
)
from tests.support.waiting import answer_of, patience_s, wait_for

pytestmark = pytest.mark.usefixtures("unconfigured", "both")

KEY = "bk_live_telltale"
LONG = b"HTTP/1.1 200 OK\r\ncontent-length: 999999\r\n\r\n"
ASKED = {"amount": 1999, "currency": "USD", "idempotency_key": "order-1042"}


@pytest.fixture
def service():
    with scripted_service() as running:
        billing.configure(url=running.url, api_key=KEY, timeout_s=patience_s())
        yield running


def test_without_a_key_one_is_made_and_every_try_has_it(service):
    service.will(Says(503), HangsUp(), Says())
    billing.charge.create(amount=1, currency="USD")
    assert len(service.keys) == 3
    assert len(set(service.keys)) == 1
    assert len(service.keys[0]) == 36
    assert len({one.headers["x-request-id"] for one in service.asked}) == 1


@pytest.mark.parametrize(
    "fault",
    [
        HangsUp(),
        HangsUp(b"HTTP/1.1 20"),
        HangsUp(b"HTTP/1.1 202 Accepted\r\ncontent-length: 50\r\n\r\n{"),
        HangsUp(b"HTTP/1.1 202 Accepted\r\ntransfer-encoding: chunked\r\n\r\n5\r\n{"),
        HangsUp(b"220 smtp.example ESMTP\r\n\r\n"),
        Says(500),
        Says(502, raw=b"<html>Bad Gateway"),
        Says(503, headers={"retry-after": "0"}),
        problem(503, "database_unavailable"),
        Says(504),
        problem(429, "too_many_requests"),
    ],
)
def test_what_passes_is_asked_again_under_the_same_key(service, fault):
    service.will(fault, fault, Says())
    assert billing.charge.create(**ASKED).charge_id == "ch_1"
    assert service.keys == ["order-1042"] * 3


@pytest.mark.parametrize(
    "garbage",
    [Says(200, raw=b"<html>hi"), Says(200, raw=b""), Says(200, []), Says(202, raw=b"[" * 99999)],
)
def test_garbage_is_no_charge(service, garbage):
    service.will(garbage)
    with pytest.raises(billing.Unavailable, match="is the url right") as unavailable:
        billing.charge.create(**ASKED)
    assert unavailable.value.idempotency_key == "order-1042"


@pytest.mark.parametrize(
    "says", [Says(404, raw=b"<html>nginx"), Says(404, {"code": "no_such_path", "detail": "?"})]
)
def test_a_404_of_a_wrong_path_does_not_say_that_there_is_no_such_charge(service, says):
    service.will(says)
    with pytest.raises(billing.Unavailable, match=r"404.*is the url right"):
        billing.charge.get(id="ch_1")


def test_redirects_are_not_followed_and_the_key_goes_nowhere(service):
    with scripted_service() as elsewhere:
        service.will(Says(307, headers={"location": elsewhere.url + "/v1/billing/charges"}))
        with pytest.raises(billing.Unavailable, match="redirect; set the url to where it leads"):
            billing.charge.create(**ASKED)
        assert elsewhere.asked == []
    assert len(service.asked) == 1


@pytest.fixture
def clock(monkeypatch):
    """Passes with the tries, of which none counts for longer than it was given, and with pauses:
    by no other business of a busy machine. A test configures the SDK first."""
    clock, transport = Clock(), client.transport()
    exchange = transport._wire.exchange

    def timed(*args, timeout_s, **options):
        began = monotonic()
        try:
            return exchange(*args, timeout_s=timeout_s, **options)
        finally:
            clock.now_s += min(monotonic() - began, timeout_s)

    monkeypatch.setattr(transport._wire, "exchange", timed)
    monkeypatch.setattr(transport.calls, "clock", clock)
    monkeypatch.setattr(transport, "_sleep", clock.sleep)
    return clock


@pytest.fixture
def hasty(service):
    billing.configure(url=service.url, api_key=KEY, timeout_s=1.2)


@threads_only
@pytest.mark.parametrize(
    ("patience", "reason"),
    [
        (Hangs(), "timed out"),
        (Drips(), "timed out"),
        (Drips(LONG), "timed out"),
        (Says(after_s=30.0), "timed out"),
        (HangsUp(), "closed connection"),
        (Says(503), "503"),
        (problem(429, "too_many_requests"), "too_many_requests"),
    ],
)
def test_a_call_has_raised_when_its_timeout_is_over(service, hasty, clock, patience, reason):
    service.will(patience)
    began = clock()

    def act():
        with pytest.raises((billing.Unavailable, billing.RateLimited), match=reason) as failed:
            billing.charge.create(**ASKED)
        return failed.value.idempotency_key

    assert answer_of(act) == "order-1042"
    assert round(clock() - began, 6) <= 1.2
    assert len(service.asked) >= 2
    assert set(service.keys) == {"order-1042"}


@threads_only
def test_a_byte_at_the_last_moment_buys_no_time(service, monkeypatch):
    """Each byte comes when there is time left, and the clock goes on by what it took."""
    clock = Clock()
    monkeypatch.setattr(http_transport, "monotonic", clock)
    drops = []

    def late():
        drops.append(1)
        clock.sleep(0.4 * patience_s())

    service.will(Drips(LONG, each=late))
    wire = http_transport.Wire(root(service.url))

    def act():
        with pytest.raises(http_transport.NoAnswer, match="timed out"):
            wire.exchange("GET", "/", headers={}, body=None, timeout_s=patience_s())

    answer_of(act)
    assert len(drops) >= 3


def test_a_slow_answer_is_waited_for(service):
    service.will(Says(after_s=0.7))
    billing.charge.create(**ASKED)
    assert len(service.asked) == 1


def test_nobody_there_is_told_with_the_key_to_repeat():
    billing.configure(url="http://127.0.0.1:1", api_key=KEY, timeout_s=0.5)
    with pytest.raises(billing.Unavailable) as unavailable:
        billing.charge.create(amount=1, currency="USD")
    text = "http://127.0.0.1:1 did not answer: Connection refused"
    assert str(unavailable.value) == text
    assert len(unavailable.value.idempotency_key) == 36


def test_a_host_that_is_none_is_told_by_its_name():
    billing.configure(url="http://billing.invalid", api_key=KEY, timeout_s=0.5)
    with pytest.raises(billing.Unavailable, match=r"http://billing\.invalid did not answer: "):
        billing.charge.get(id="ch_1")


@threads_only
def test_a_kept_connection_that_the_service_closed_costs_neither_the_call_nor_a_pause(
    service, monkeypatch
):
    billing.charge.get(id="ch_1")
    # Closed just when we ask: what the pool can see before it asks, it sees.
    monkeypatch.setattr("urllib3.connectionpool.is_connection_dropped", lambda _: False)
    monkeypatch.setattr(client.transport(), "_sleep", lambda _: pytest.fail("it paused"))
    service.will(SaysAndLeaves(), Says())
    service.closed.clear()
    billing.charge.get(id="ch_1")
    assert service.closed.wait(patience_s())
    billing.charge.get(id="ch_1")
    assert [one.port for one in service.asked[:2]] == [service.asked[0].port] * 2
    assert service.asked[2].port != service.asked[1].port


@threads_only
def test_threads_share_few_connections(service):
    with ThreadPoolExecutor(64) as threads:
        list(threads.map(lambda n: billing.charge.create(**ASKED | {"amount": n}), range(1, 321)))
    assert sorted(one.body["amount"] for one in service.asked) == [*range(1, 321)]
    assert len({one.port for one in service.asked}) <= http_transport.CONNECTIONS_MAX


@threads_only
def test_a_call_waits_for_a_connection_no_longer_than_it_may(service, monkeypatch):
    monkeypatch.setattr(http_transport, "CONNECTIONS_MAX", 2)
    billing.configure(url=service.url, api_key=KEY, timeout_s=0.2)
    for _ in range(2):
        client.transport()._wire._places.acquire()

    def act():
        with pytest.raises(billing.Unavailable, match="all 2 connections are waiting for it"):
            billing.charge.create(**ASKED)

    answer_of(act)
    assert service.asked == []


@threads_only
def test_the_wait_for_a_connection_is_part_of_the_time_that_a_call_has(service, monkeypatch):
    clock = Clock()
    monkeypatch.setattr(http_transport, "monotonic", clock)
    wire = http_transport.Wire(root(service.url))
    acquire, urlopen, given = wire._places.acquire, wire._pool.urlopen, []

    def late(timeout):
        clock.sleep(0.75 * timeout)
        return acquire()

    def noted(*args, timeout, **options):
        given.append(timeout.total)
        return urlopen(*args, timeout=timeout, **options)

    monkeypatch.setattr(wire._places, "acquire", late)
    monkeypatch.setattr(wire._pool, "urlopen", noted)
    wire.exchange("GET", "/", headers={}, body=None, timeout_s=40.0)
    assert given == [10.0]


@threads_only
def test_a_forked_child_asks_on_a_connection_of_its_own(service):
    billing.charge.get(id="ch_parent")
    child = os.fork()
    if child == 0:
        status = 1
        try:
            billing.charge.get(id="ch_child")
            status = 0
        finally:
            os._exit(status)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    billing.charge.get(id="ch_parent")
    before, childs, after = service.asked
    assert childs.path.endswith("ch_child")
    assert before.port == after.port != childs.port


@threads_only
def test_a_fork_while_other_threads_ask_holds_up_nobody(service):
    service.will(Says(after_s=0.3))
    with ThreadPoolExecutor(8) as threads:
        asking = [threads.submit(billing.charge.get, id="ch_1") for _ in range(8)]
        child = os.fork()
        if child == 0:
            status = 1
            try:
                billing.charge.get(id="ch_child")
                status = 0
            finally:
                os._exit(status)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        assert all(one.result().charge_id == "ch_1" for one in asking)


@pytest.fixture
def authority():
    return trustme.CA()


@pytest.fixture
def certified(authority):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    with scripted_service(tls=context) as running:
        yield running


@threads_only
def test_a_certificate_that_nobody_vouches_for_is_refused_at_once(certified, monkeypatch):
    billing.configure(url=certified.url, api_key=KEY)

    monkeypatch.setattr(client.transport(), "_sleep", lambda _: pytest.fail("it tries again"))
    with pytest.raises(billing.Unavailable, match="its certificate is not trusted"):
        billing.charge.create(**ASKED)
    assert certified.asked == []


def test_one_that_the_system_trusts_is_taken(certified, authority, monkeypatch, tmp_path):
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
    billing.configure(url=certified.url, api_key=KEY)
    for _ in range(2):
        billing.charge.create(**ASKED)
    assert len({one.port for one in certified.asked}) == 1
    billing.configure(url=certified.url.replace("localhost", "127.0.0.1"), api_key=KEY)
    with pytest.raises(billing.Unavailable, match="its certificate is not trusted"):
        billing.charge.create(**ASKED)


@threads_only
def test_the_api_key_shows_nowhere(service, caplog):
    caplog.set_level(logging.DEBUG)
    service.will(Says(503), HangsUp(), Says(401, {"code": "unauthenticated"}))
    with pytest.raises(billing.Unauthenticated) as refused:
        billing.charge.create(**ASKED)
    configured = client._current._configuration
    for told in (caplog.text, repr(refused.value), repr(client.transport()), repr(configured)):
        assert "telltale" not in told
    with pytest.raises(billing.NotConfigured) as wrong:
        billing.configure(url=service.url, api_key=KEY + "\n")
    assert "telltale" not in str(wrong.value)


@threads_only
def test_an_interrupted_call_leaves_no_half_read_answer_behind(service):
    service.will(Says(after_s=0.3, document={**PENDING, "charge_id": "ch_of_the_first"}), Says())
    interrupted = threading.Event()

    class Interrupt(BaseException):
        pass

    def read(*_):
        wait_for(
            lambda: service.asked, what="the first question"
        )  # or the second might overtake it
        interrupted.set()
        raise Interrupt

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(http_transport._Reader, "readinto", read)
        with pytest.raises(Interrupt):
            billing.charge.get(id="ch_1")
    assert interrupted.is_set()
    assert billing.charge.get(id="ch_1").charge_id == "ch_1"


def test_an_answer_without_an_end_is_not_kept_in_memory(service, monkeypatch):
    for wire in (http_transport, async_wire):
        monkeypatch.setattr(wire, "ANSWER_MAX_BYTES", 100_000)
    service.will(Says(200, raw=b"x" * 300_000))
    with pytest.raises(billing.Unavailable, match="its answer has no end"):
        billing.charge.get(id="ch_1")
    assert len(service.asked) == 1


def test_a_service_that_closes_after_each_answer_is_asked_as_well(service):
    service.will(Says(headers={"connection": "close"}))
    for _ in range(3):
        assert billing.charge.get(id="ch_1").charge_id == "ch_1"
    assert len({one.port for one in service.asked}) == 3
