"""What we replaced in kombu is still what it was when we replaced it."""

import hashlib
import inspect
from contextlib import nullcontext
from types import SimpleNamespace

import kombu
import pytest
from kombu import Connection
from kombu.transport import redis as kombu_redis

from worker import transport


@pytest.mark.parametrize(
    ("original", "sha256"),
    [
        (
            kombu_redis.Channel._brpop_read,
            "c42518699709f2df90f55a048fe6346612ae5527e5c4a6819f2c0920dc62088f",
        ),
        (
            kombu_redis.Channel._brpop_start,
            "06723d707ddf224025af70ff511e07a27e1e8a37ec509e7dfa11ee408a79ccec",
        ),
        (
            kombu_redis.Channel._create_client,
            "dae92bc4075dafb9b1a1ebd3f72cc7ed3e1bfe3ec1f840a1b1ccdfc6a67deb4d",
        ),
        (
            kombu_redis.Channel._disconnect_pools,
            "db50da048a22b16df67beecd52e624d5f191e4f8d99cbe26b1a9215438e9cc01",
        ),
        (
            kombu_redis.QoS.ack,
            "1bc15a4ddf541af6aede3b76093919f847899f93dd8c1a2537ab7eaff1227207",
        ),
        (
            kombu_redis.QoS.append,
            "35c655f6ecc62fe6e9902f7498dde9b47ff27187973d7568e02529c400027416",
        ),
        (
            kombu_redis.Channel._do_restore_message,
            "8b430df94e45b5b0183c97f12a3eff8c1bc23bb227d1ebc0f3963f528546968a",
        ),
    ],
)
def test_kombus_original_has_not_changed(original, sha256):
    source = inspect.getsource(original)
    assert hashlib.sha256(source.encode()).hexdigest() == sha256, (
        f"kombu {kombu.__version__} changed {original.__qualname__}: "
        "read it, adapt worker/transport.py, then write down the new hash"
    )


@pytest.mark.parametrize("scheme", ["redis", "rediss"])
def test_redis_urls_mean_our_transport_and_keep_their_scheme(scheme):
    transport.register()
    connection = Connection(f"{scheme}://:x@127.0.0.1:1/0", ssl=True)
    assert isinstance(connection.transport, transport.Transport)
    assert connection.as_uri().startswith(f"{scheme}://")


def test_acknowledgements_that_redis_did_not_hear_are_told_with_the_next(monkeypatch):
    """Otherwise one lost answer ends all acknowledging, and every message comes again."""
    loop = SimpleNamespace(on_tick=set())
    monkeypatch.setattr(transport, "get_event_loop", lambda: loop)
    told = []
    answers = iter([ConnectionError(), None])

    class Pipe:
        def zrem(self, _key, *tags):
            self.tags = tags
            return self

        def hdel(self, *_):
            return self

        def execute(self):
            if answer := next(answers):
                raise answer
            told.extend(self.tags)

    channel = SimpleNamespace(
        connection_errors=(ConnectionError,), do_restore=False, is_gone=lambda: False
    )
    qos = transport.QoS(channel)
    monkeypatch.setattr(qos, "pipe_or_acquire", lambda: nullcontext(Pipe()))
    for name in ("unacked_key", "unacked_index_key"):
        monkeypatch.setitem(qos.__dict__, name, name)
    qos.ack("a")
    qos.ack("b")
    assert loop.on_tick == {qos.tell}
    qos.tell()
    assert not loop.on_tick
    qos.ack("c")
    (tell,) = loop.on_tick
    tell()
    assert told == ["a", "b", "c"]
