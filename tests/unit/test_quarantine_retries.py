"""The way into quarantine, with sinks that fail."""

import queue
import threading
from datetime import UTC, datetime

import pytest
from structlog.testing import capture_logs

from payments.intake.masking import READ_MAX
from tests.support.waiting import patience_s
from worker.message_quarantine import Quarantine, exhibit

SECRET = "4242424242424242"
WAIT_S = 10


def _exhibit(body=b"x", **changes):
    return exhibit(
        body, **{"queue": "payments", "reason": "not JSON", "headers": {"a": 1}, **changes}
    )


@pytest.fixture
def quarantine_for():
    made = []

    def make(sink):
        made.append(Quarantine(sink, wait_first_s=0.02))
        return made[-1]

    yield make
    for quarantine in made:
        quarantine.close()


def test_the_sink_gets_all_of_it_and_then_the_message_is_let_go(quarantine_for):
    kept = queue.Queue()
    got = queue.Queue()
    quarantine_for(lambda raw, **rest: got.put((raw, rest))).take(_exhibit(), lambda: kept.put(1))
    assert kept.get(timeout=patience_s())
    rest = {"queue": "payments", "reason": "not JSON", "headers": {"a": 1}, "size": 1}
    assert got.get() == (b"x", rest)


def test_of_a_large_message_the_beginning_waits_for_the_sink_and_its_size():
    large = _exhibit(b"x" * 5_000_000)
    assert (len(large.raw), large.size) == (READ_MAX, 5_000_000)
    assert _exhibit(b"x" * READ_MAX, size=10_000_000).size == 10_000_000


def test_while_the_sink_fails_the_message_is_held_and_tried_again(quarantine_for):
    failures = iter([RuntimeError(SECRET), RuntimeError(SECRET)])
    kept = queue.Queue()

    def sink(raw, **rest):
        for failure in failures:
            raise failure

    with capture_logs() as lines:
        quarantine_for(sink).take(_exhibit(), lambda: kept.put(1))
        kept.get(timeout=patience_s())
    assert [line["event"] for line in lines] == [
        "quarantine failed; the message stays in the broker",
        "quarantine failed; the message stays in the broker",
        "message quarantined",
    ]
    assert lines[1]["again_in_s"] > lines[0]["again_in_s"] > 0
    assert SECRET not in str(lines)


def test_one_that_can_not_be_kept_holds_up_no_other(quarantine_for):
    kept = queue.Queue()

    def sink(raw, **rest):
        if raw == b"bad":
            raise RuntimeError

    quarantine = quarantine_for(sink)
    quarantine.take(_exhibit(b"bad"), lambda: kept.put("bad"))
    quarantine.take(_exhibit(b"good"), lambda: kept.put("good"))
    assert kept.get(timeout=patience_s()) == "good"
    assert quarantine.held() == 1


def test_taking_does_not_wait_for_the_sink(quarantine_for):
    let_go = threading.Event()
    kept = queue.Queue()
    quarantine_for(lambda raw, **rest: let_go.wait()).take(_exhibit(), lambda: kept.put(1))
    assert kept.empty()
    let_go.set()
    assert kept.get(timeout=patience_s())


def test_the_log_tells_size_and_the_hash_of_what_is_kept_and_no_content(quarantine_for):
    kept = queue.Queue()
    with capture_logs() as lines:
        quarantine_for(lambda raw, **rest: "the hash of what is kept").take(
            _exhibit(SECRET.encode(), headers={"x": SECRET}), lambda: kept.put(1)
        )
        kept.get(timeout=patience_s())
    (line,) = lines
    assert (line["size"], line["queue"], line["reason"]) == (16, "payments", "not JSON")
    assert line["sha256"] == "the hash of what is kept"
    assert SECRET not in str(line)


def test_the_log_tells_no_card_number_that_a_sender_put_where_reasons_and_queues_are(
    quarantine_for,
):
    failures = iter([RuntimeError()])
    kept = queue.Queue()

    def sink(raw, **rest):
        for failure in failures:
            raise failure
        return "hash"

    with capture_logs() as lines:
        quarantine_for(sink).take(
            _exhibit(reason=f"unknown task {SECRET}", queue=f"q-{SECRET}"), lambda: kept.put(1)
        )
        kept.get(timeout=patience_s())
    assert [line["reason"] for line in lines] == [f"unknown task {'*' * 16}"] * 2
    assert SECRET not in str(lines)


def test_headers_of_any_kind_become_plain_json():
    assert _exhibit(headers={"at": datetime(2026, 1, 1, tzinfo=UTC), "b": b"x"}).headers == {
        "at": "2026-01-01 00:00:00+00:00",
        "b": "b'x'",
    }
    assert _exhibit(headers=None).headers is None


def test_bodies_of_any_kind_become_bytes():
    assert _exhibit("é\ud800").raw == "é".encode() + b"\xed\xa0\x80"
    assert _exhibit(None).raw == b""
    assert _exhibit(memoryview(b"abc")).raw == b"abc"
