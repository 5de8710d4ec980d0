"""What we replaced in kombu is still what it was when we replaced it."""

import hashlib
import inspect
from contextlib import nullcontext
from types import SimpleNamespace

import kombu
import pytest
from amqp.serialization import GenericContent
from kombu import Connection
from kombu.transport import redis as kombu_redis

from tests.support.every import every
from worker.transport import redis_transport, unacked


@every(
    "original, sha256",
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
            kombu_redis.QoS.restore_visible,
            "d4a4a40a3eaf9f23ed3651a5c03602c80571bd30c49bf256f0b65fbd6dae3851",
        ),
        (
            kombu_redis.QoS.restore_by_tag,
            "58e161d81b6fe18d1fe73d53d13e6359271bcc249d0da58ee737c6775d51ceb8",
        ),
        (
            kombu_redis.QoS.restore_unacked,
            "8954efef014d546e047d213e437d5a27ad91b8288d6b90b4484addca86b3c6e2",
        ),
        (
            kombu_redis.Channel._restore,
            "92e63e38835b6592b4f685a05dcdc6b3c289fffa5e17fbd7343383fe272d2230",
        ),
        (
            kombu_redis.Channel._receive_one,
            "d59b8751d89757dcac8550fa1fd62162562a7f131bf346b725ec6de65a5201a3",
        ),
        (
            GenericContent._load_properties,
            "364e01f6bd530dd401af2c8d327a9d85ce3faff585552179a59bea8dd1a5d8e2",
        ),
    ],
)
def test_kombus_original_has_not_changed(original, sha256):
    source = inspect.getsource(original)
    assert hashlib.sha256(source.encode()).hexdigest() == sha256, (
        f"kombu {kombu.__version__} changed {original.__qualname__}: "
        "read it, adapt worker/transport/redis_transport.py, then write down the new hash"
    )


@pytest.mark.parametrize("scheme", ["redis", "rediss"])
def test_redis_urls_mean_our_transport_and_keep_their_scheme(scheme):
    redis_transport.register()
    connection = Connection(f"{scheme}://:x@127.0.0.1:1/0", ssl=True)
    assert isinstance(connection.transport, redis_transport.Transport)
    assert connection.as_uri().startswith(f"{scheme}://")


def test_acknowledgements_that_redis_did_not_hear_are_told_with_the_next(monkeypatch):
    """Otherwise one lost answer ends all acknowledging, and every message comes again."""
    loop = SimpleNamespace(on_tick=set())
    monkeypatch.setattr(unacked, "get_event_loop", lambda: loop)
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
    qos = unacked.QoS(channel)
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
