"""kombu's AMQP transport as we change it."""

import socket

import pytest
from kombu import Connection

from worker.transport import rabbitmq

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
