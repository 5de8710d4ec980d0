"""What receivers answer: the status decides, and no answer is too strange to be recorded."""

import asyncio
import gzip
import random
import socket
import threading
import zlib
from dataclasses import replace

import pytest
from sqlalchemy import Engine
from structlog.testing import capture_logs

from infra.billing.contract.limits import HEAD_BYTES_MAX
from payments.webhooks.connection import (
    ANSWER_BYTES_MAX,
    ANSWER_HEADERS_MAX,
    Connection,
)
from payments.webhooks.draining.drains import Drained
from payments.webhooks.pacing import breaker
from payments.webhooks.response_bodies import TEXT_BYTES_MAX, in_words
from payments.webhooks.targets.dispatch import Targets
from payments.webhooks.targets.target_port import Answer, Limits, Message
from tests.support.every import every
from tests.support.rude import Manners, read_request, rude_receiver, says
from tests.support.sink import Answer as SinkAnswer
from tests.support.sink import Sink
from tests.support.strange import MOMENTS
from tests.support.waiting import slowness
from tests.support.webhooks import (
    PATIENT,
    a_deliverer,
    an_endpoint,
    attempts,
    deliveries,
    events_happen,
    is_due_again_after,
)

OK = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"


def deliver(
    engine: Engine, url: str, events: int = 1, *, limits: Limits = PATIENT, **endpoint: int
) -> Drained:
    added = an_endpoint(engine, url, **endpoint)
    events_happen(engine, events)
    # What is logged is not painted: with all its frames that takes long enough on a busy machine
    # for what is to be tried again in five seconds to be due.
    with capture_logs(), a_deliverer(engine, limits=limits) as deliverer:
        return deliverer.drain(added.id)


# --- The status decides ---

DELIVERED: dict[str, bytes] = {
    "a header of 9 kB": b"HTTP/1.1 200 OK\r\nx: " + b"y" * 9_000 + b"\r\ncontent-length: 0\r\n\r\n",
    "200 cookies": b"HTTP/1.1 200 OK\r\n"
    + b"".join(b"set-cookie: c%d=%d; Path=/; HttpOnly\r\n" % (n, n) for n in range(200))
    + b"content-length: 0\r\n\r\n",
    "204 with a body": b"HTTP/1.1 204 No Content\r\ncontent-length: 2\r\n\r\nok",
    "204 with chunks": b"HTTP/1.1 204 No\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
    "its length twice": b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncontent-length: 2\r\n\r\nok",
    "two lengths": b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncontent-length: 3\r\n\r\nok",
    "a length and chunks": b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\ntransfer-encoding: chunked"
    b"\r\n\r\n2\r\nok\r\n0\r\n\r\n",
    "chunks that are none": b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nok",
    "a header without a colon": b"HTTP/1.1 200 OK\r\nnonsense\r\ncontent-length: 0\r\n\r\n",
    "a header with a NUL": b"HTTP/1.1 200 OK\r\nx: a\x00b\r\ncontent-length: 0\r\n\r\n",
    "lines without CR": b"HTTP/1.1 200 OK\ncontent-length: 0\n\n",
    "no reason": b"HTTP/1.1 200\r\ncontent-length: 0\r\n\r\n",
    "after an interim answer": b"HTTP/1.1 103 Early Hints\r\nlink: <x>\r\n\r\n"
    b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncontent-length: 2\r\n\r\nok",
}


@pytest.mark.parametrize("answer", DELIVERED)
def test_a_status_is_an_answer_whatever_comes_with_it(engine: Engine, answer: str) -> None:
    with rude_receiver(says(DELIVERED[answer])) as url:
        assert deliver(engine, url) == Drained(delivered=1)
    (attempt,) = attempts(engine)
    assert attempt["status_code"] == int(DELIVERED[answer].rsplit(b"HTTP/1.1 ")[-1][:3])
    assert (attempt["error"], attempt["remote_ip"]) == (None, "127.0.0.1")


def test_half_a_head_is_no_answer(engine: Engine) -> None:
    with rude_receiver(says(OK[:-2])) as url:
        assert deliver(engine, url) == Drained(retried=1)
    assert attempts(engine)[0]["error"] == "connection_closed"


# --- Answers that don't end ---

EARLY = b"HTTP/1.1 103 Early Hints\r\nlink: <x>\r\n\r\n"
ENDLESS: dict[str, bytes] = {
    "one header": b"HTTP/1.1 200 OK\r\nx: " + b"y" * HEAD_BYTES_MAX + b"\r\n",
    "many headers": b"HTTP/1.1 200 OK\r\n" + (b"x: " + b"y" * 1_000 + b"\r\n") * 66,
    "interim answers": EARLY * (HEAD_BYTES_MAX // len(EARLY)) + b"HTTP/1.1 200 OK\r\n",
}


@pytest.mark.parametrize("answer", ENDLESS)
def test_a_head_past_64_kib_is_a_bad_response(engine: Engine, answer: str) -> None:
    with rude_receiver(says(ENDLESS[answer] + b"content-length: 0\r\n\r\n")) as url:
        assert deliver(engine, url) == Drained(retried=1)
    (attempt,) = attempts(engine)
    assert (attempt["error"], attempt["status_code"]) == ("bad_response", None)
    assert attempt["remote_ip"] == "127.0.0.1"


class Hung(asyncio.Transport):
    """A transport that tells whether it was hung up."""

    is_hung = False

    def abort(self) -> None:
        self.is_hung = True


@every("piece", [7, 1_000, 70_000])
@every(
    "beginning, filler, taken",
    [
        (b"", EARLY, HEAD_BYTES_MAX),
        (b"HTTP/1.1 200 OK\r\n", b"x: %s\r\n" % (b"y" * 500), HEAD_BYTES_MAX),
        (
            b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n0\r\n",
            b"x: %s\r\n" % (b"y" * 60_000),
            ANSWER_BYTES_MAX,
        ),
    ],
    ids=["interim answers", "headers", "trailers"],
)
def test_an_answer_without_end_is_hung_up_on(
    beginning: bytes, filler: bytes, taken: int, piece: int
) -> None:
    async def fed() -> int:
        transport = Hung()
        connection = Connection(asyncio.get_running_loop())
        connection.connection_made(transport)
        connection.set_response_params(
            max_line_size=HEAD_BYTES_MAX,
            max_field_size=HEAD_BYTES_MAX,
            max_headers=ANSWER_HEADERS_MAX,
        )
        answer = beginning + filler * (2 * taken // len(filler))
        for at in range(0, len(answer), piece):
            connection.data_received(answer[at : at + piece])
            if transport.is_hung:
                return at
        return len(answer)

    assert taken - piece <= asyncio.run(fed()) <= taken


# --- Connections that are kept ---


class Receiver:
    """Reads posts and answers them on one connection after the other, as `answers` says."""

    def __init__(self, *answers: bytes | None) -> None:
        self.answers = list(answers)
        self.posts = self.connections = 0

    def __call__(self, connection: socket.socket, ending: threading.Event) -> None:
        self.connections += 1
        while self.answers:
            self.posts += 1
            answer = self.answers.pop(0)
            if answer is None:
                return  # hangs up, without a word
            connection.sendall(answer)
            if not read_request(connection):
                return


def test_a_kept_connection_that_was_closed_costs_no_attempt(engine: Engine) -> None:
    receiver = Receiver(OK, None, OK)
    with rude_receiver(receiver) as url:
        assert deliver(engine, url, 2, max_in_flight=1) == Drained(delivered=2)
    assert [attempt["number"] for attempt in attempts(engine)] == [1, 1]
    assert (receiver.posts, receiver.connections) == (3, 2)


def test_a_second_try_is_on_a_new_connection_and_is_the_last(engine: Engine) -> None:
    receiver = Receiver(OK, None, None)
    with rude_receiver(receiver) as url:
        assert deliver(engine, url, 2, max_in_flight=1) == Drained(delivered=1, retried=1)
    assert (receiver.posts, receiver.connections) == (3, 2)
    assert attempts(engine)[1]["error"] == "connection_closed"


def test_an_answer_that_had_begun_costs_an_attempt(engine: Engine) -> None:
    receiver = Receiver(OK, b"H")  # and then nothing: only our limit ends that
    limits = replace(PATIENT, total_s=slowness())
    with rude_receiver(receiver) as url:
        drained = deliver(engine, url, 2, limits=limits, max_in_flight=1)
    assert drained == Drained(delivered=1, retried=1)
    assert (receiver.posts, receiver.connections) == (2, 1)


def test_what_comes_behind_an_answer_is_not_the_answer_to_the_next_post(engine: Engine) -> None:
    receiver = Receiver(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok" + OK, OK, OK)
    with rude_receiver(receiver) as url:
        assert deliver(engine, url, 2, max_in_flight=1) == Drained(delivered=2)
    assert receiver.posts == 2, "both were received"


# --- No proxy from the environment ---


def test_a_proxy_of_the_environment_is_not_used(
    engine: Engine, sink: Sink, monkeypatch: pytest.MonkeyPatch
) -> None:
    with rude_receiver(says(OK)) as proxy:
        for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
            monkeypatch.setenv(name, proxy.removesuffix("/hook"))
        for name in ("NO_PROXY", "no_proxy"):
            monkeypatch.delenv(name, raising=False)
        assert deliver(engine, sink.url) == Drained(delivered=1)
    assert len(sink.requests) == 1  # a proxy would pass the check of addresses, and dial any


# --- Bodies ---


@every(
    "body, encoding, told",
    [
        (b"thanks", None, "thanks"),
        (b"thanks", "identity", "thanks"),
        (gzip.compress(b"thanks", mtime=0), "gzip", "thanks"),
        (gzip.compress(b"thanks", mtime=0), "X-GZIP ", "thanks"),
        (zlib.compress(b"thanks"), "deflate", "thanks"),
        (zlib.compress(b"thanks")[2:-4], "deflate", "thanks"),
        (gzip.compress(b"", mtime=0), "gzip", None),
        (b"", "gzip", None),
        (b"plain", "gzip", "(5 bytes with the content encoding gzip, not shown)"),
        (b"\x1f\x8b\x08", "gzip", "(3 bytes with the content encoding gzip, not shown)"),
        (b"\x0b\x02", "br", "(2 bytes with the content encoding br, not shown)"),
        (b"x", "\x1b[31m", "(1 bytes with the content encoding unknown, not shown)"),
        (b"a\x00\xff", None, "a\ufffd"),
    ],
)
def test_a_body_is_told_as_text_or_named(body: bytes, encoding: str | None, told: str) -> None:
    assert in_words(body, encoding=encoding) == told


def test_a_bomb_is_unpacked_no_further_than_is_shown() -> None:
    bomb = gzip.compress(b"z" * 50_000_000)
    assert in_words(bomb, encoding="gzip") == "z" * TEXT_BYTES_MAX


def test_a_body_that_came_packed_is_told_unpacked(engine: Engine, sink: Sink) -> None:
    sink.answer = SinkAnswer(500, {"content-encoding": "gzip"}, gzip.compress(b"no such table"))
    deliver(engine, sink.url)
    assert attempts(engine)[0]["response_body"] == "no such table"


# --- Whatever a stranger sends is recorded, and costs an attempt at most ---


def test_an_unreadable_retry_after_is_as_good_as_absent(engine: Engine, sink: Sink) -> None:
    sink.answer = SinkAnswer(503, {"retry-after": MOMENTS[0]})
    assert deliver(engine, sink.url) == Drained(retried=1)
    (delivery,) = deliveries(engine)
    assert (delivery["attempts"], delivery["state"]) == (1, "pending")
    assert is_due_again_after(engine, 5)


def test_a_record_that_the_database_refuses_costs_its_own_attempt_alone(
    engine: Engine, sink: Sink, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = Targets.send

    async def strange(self: Targets, message: Message) -> Answer:
        answer = await real(self, message)
        nth = len(sink.requests) % 3
        said = {1: "fine", 2: "\x00", 0: "\ud800"}[nth]  # PostgreSQL takes neither of the last two
        status = 200 if nth == 1 else 500
        return Answer(answer.duration_ms, status_code=status, body=said)

    monkeypatch.setattr(Targets, "send", strange)
    assert deliver(engine, sink.url, 3, max_in_flight=1) == Drained(delivered=1, retried=2)
    recorded = [(a["number"], a["status_code"], a["error"]) for a in attempts(engine)]
    assert sorted(recorded, key=str) == [(1, 200, None)] + [(1, None, "internal_error")] * 2
    assert len(sink.requests) == 3


def test_answers_at_random_are_all_recorded(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Otherwise an endpoint that fails so often, or asks for it, is soon left alone.
    monkeypatch.setattr(breaker, "COUNTED_MIN", 1_000)
    monkeypatch.setattr(breaker, "BUSY", ())
    monkeypatch.setattr(breaker, "GONE", -1)
    dice = random.Random(20261129)  # the same answers each time
    answers = [_an_answer(dice) for _ in range(100)]

    def at_random() -> Manners:
        left = iter(answers)
        lock = threading.Lock()

        def manners(connection: socket.socket, ending: threading.Event) -> None:
            with lock:
                answer = next(left, OK)
            connection.sendall(answer)

        return manners

    with rude_receiver(at_random()) as url:
        drained = deliver(engine, url, len(answers), max_in_flight=16)
    assert drained.delivered + drained.retried == len(answers)
    assert all(row["attempts"] == 1 for row in deliveries(engine))
    assert "internal_error" not in {attempt["error"] for attempt in attempts(engine)}
    assert drained.delivered > 5
    assert drained.retried > 20


def _an_answer(dice: random.Random) -> bytes:
    """An answer with some of it strange."""
    status = dice.choice(["200", "200", "204", "429", "503", "000", "999", "1e3", "100", ""])
    headers = [
        (name, dice.choice(values))
        for name, values in _HEADERS.items()
        for _ in range(dice.choice([0, 0, 1, 1, 2]))
    ]
    dice.shuffle(headers)
    lines = [f"HTTP/1.1 {status} {dice.choice(['OK', '', 'é' * 99])}"]
    lines += [f"{name}: {value}" for name, value in headers]
    answer = bytearray("\r\n".join([*lines, "", ""]).encode("utf-8", "surrogateescape"))
    answer += dice.choice([b"", b"ok", b"\x00\xff", gzip.compress(b"ok"), b"2\r\nok\r\n0\r\n\r\n"])
    for _ in range(dice.choice([0, 0, 0, 1, 3])):
        at = dice.randrange(len(answer))
        answer[at : at + dice.randrange(4)] = dice.randbytes(dice.randrange(4))
    return bytes(answer)


_HEADERS = {
    "Retry-After": (*MOMENTS[:-1], "1", "3600"),
    "Content-Length": ("0", "2", "2", "-1", "9" * 30, "0x2", "٢"),
    "Transfer-Encoding": ("chunked", "chunked, chunked", "gzip", "\x00"),
    "Content-Encoding": ("gzip", "deflate", "br", "gzip, gzip", "\x1b"),
    "Content-Type": ("text/plain; charset=utf-99", ";;;", "application/json"),
    "Set-Cookie": ("a=b; Expires=" + MOMENTS[0], "=; ;;", "x" * 9_000, "a=" + "é" * 99),
    "Date": MOMENTS[:-1],
    "Connection": ("close", "keep-alive", "upgrade"),
    "Keep-Alive": ("timeout=99999999999999999999", "max=-1"),
    "Location": ("http://169.254.169.254/", "//", "\x00"),
}
