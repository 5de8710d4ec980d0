"""kombu's AMQP transport as we change it."""

import socket
import threading
from contextlib import suppress
from functools import partial
from typing import Any

import pytest
from amqp.exceptions import UnexpectedFrame
from kombu import Connection

from tests.support.every import every
from worker.transport import rabbitmq
from worker.transport.rabbitmq import HEADER

FRAME = b"\x08\x00\x00\x00\x00\x00\x00\xce"  # a heartbeat


@pytest.fixture
def ends(monkeypatch):
    monkeypatch.setattr(rabbitmq, "FRAME_S", 0.2)
    ours, theirs = socket.socketpair()
    transport = rabbitmq._Tcp("127.0.0.1:1", connect_timeout=1)
    transport.sock = ours
    ours.setblocking(False)  # as the event loop reads
    transport._setup_transport()
    yield transport, theirs
    ours.close()
    theirs.close()


def test_a_frame_that_never_ends_breaks_the_connection(ends):
    """py-amqp would spin in it, and no heartbeat be missed."""
    transport, theirs = ends
    theirs.sendall(b"\x01\x00\x01\x00\x00\x00\x09abc")
    with pytest.raises(ConnectionResetError, match="in the middle of a frame"):
        transport.read_frame()


def test_between_frames_there_is_nothing_to_wait_for(ends):
    transport, theirs = ends
    with pytest.raises(TimeoutError):
        transport.read_frame()
    theirs.sendall(FRAME)
    assert transport.read_frame() == (8, 0, b"")


def test_the_rest_of_a_frame_is_waited_for(ends):
    transport, theirs = ends
    theirs.sendall(FRAME[:7])
    theirs.sendall(FRAME[7:])
    assert transport.read_frame() == (8, 0, b"")


def test_frames_are_read_many_at_a_time(ends, monkeypatch):
    transport, theirs = ends
    frames = [(1, n, bytes([n]) * n) for n in range(9)]
    theirs.sendall(b"".join(HEADER.pack(t, c, len(b)) + b + b"\xce" for t, c, b in frames))
    asked = []
    receive = transport._quick_recv.args[0]
    monkeypatch.setattr(
        transport,
        "_quick_recv",
        partial(transport._receive, lambda size: asked.append(size) or receive(size)),
    )
    assert list(transport.read_frames(5)) == frames[:5]
    assert len(asked) == 1
    # Whoever waits for an answer in between reads what was read ahead.
    assert transport.read_frame() == frames[5]
    got = []
    with pytest.raises(TimeoutError):
        gather(transport, got)
    assert got == frames[6:]


def gather(transport, got):
    """Read until there is nothing more, which raises."""
    for frame in transport.read_frames(100):
        got.append(frame)  # what was read before it raises counts


@every("cut", range(1, 38))
def test_a_frame_that_comes_in_two_parts_is_whole(ends, cut):
    transport, theirs = ends
    frames = [(1, 1, b"abcd"), (2, 1, b"efghijkl"), (3, 1, b"mn")]
    sent = b"".join(HEADER.pack(t, c, len(b)) + b + b"\xce" for t, c, b in frames)
    assert len(sent) == 38
    got = []
    theirs.sendall(sent[:cut])
    later = threading.Timer(0.02, theirs.sendall, (sent[cut:],))
    later.start()
    while len(got) < 3:
        with suppress(TimeoutError):
            gather(transport, got)
    later.join()
    assert got == frames


def test_what_is_no_frame_is_told_as_ever(ends):
    transport, theirs = ends
    theirs.sendall(FRAME + FRAME[:-1] + b"\x00")
    frames = transport.read_frames(2)
    assert next(frames) == (8, 0, b"")
    with pytest.raises(UnexpectedFrame):
        next(frames)


class Answers(rabbitmq.Channel):
    """A channel that was handed messages, and writes down what it would tell."""

    def __init__(self, *tags: int) -> None:
        self.told: list[tuple[Any, ...]] = []
        self._unanswered = dict.fromkeys(tags)
        self._answering = threading.Lock()

    def send_method(self, method: Any, argsig: str, arguments: tuple[Any, ...], **_: Any) -> None:
        self.told.append(arguments)


def test_what_has_nothing_before_it_is_acknowledged_at_once():
    channel = Answers(1, 2, 3, 4)
    channel.acknowledge([2, 1, 3])
    assert channel.told == [(3, True)]
    channel.acknowledge([4])
    assert channel.told[1:] == [(4, True)]


def test_nobody_elses_is_acknowledged_with_it():
    channel = Answers(1, 2, 3, 4, 5)
    channel.acknowledge([1, 3, 4])
    assert channel.told == [(1, True), (3, False), (4, False)]
    channel.basic_reject(2, requeue=True)
    channel.acknowledge([5])
    assert channel.told[3:] == [(2, True), (5, True)]


def test_until_an_answer_is_written_nothing_is_answered_for_it():
    """Celery's threads answer, too; acknowledged meanwhile, what they give back would be lost."""
    channel = Answers(1, 2)
    write = channel.send_method

    def slowly(*given: Any, **options: Any) -> None:
        channel.send_method = write
        channel.acknowledge([2])
        write(*given, **options)

    channel.send_method = slowly
    channel.basic_reject(1, requeue=True)
    assert channel.told == [(2, False), (1, True)]


def test_in_a_list_each_host_is_known_by_its_own_name():
    """kombu would look for the first one's name in the certificates of all."""

    client = Connection("amqps://first;amqps://second", ssl={"server_hostname": "first"})
    client.switch("amqps://second")
    asked = []
    transport = rabbitmq.SSLTransport(client)

    class Stop(Exception):
        pass

    def connection(**options):
        asked.append(options["ssl"]["server_hostname"])
        raise Stop

    transport.Connection = connection
    with pytest.raises(Stop):
        transport.establish_connection()
    assert asked == ["second"]
