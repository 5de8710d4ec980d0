"""What is restored from Redis may be anything: none of it raises, and no good message is lost."""

from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from kombu import Connection, Queue
from kombu.transport.virtual.base import Message
from redis import Redis

from tests.support.producer import Producer
from tests.unit.test_envelope_fuzz import TASK, items, values
from tests.unit.test_envelope_fuzz import _text as as_json
from worker.envelope import Broken, read
from worker.transport import fetching, redis_transport

# By their worker's script they come from a list; or somebody has written them into the hash.
fetched = st.binary(max_size=200) | items | values.map(as_json)
stored = (
    st.binary(max_size=200)
    | items
    | items.map(lambda item: b"[" + item + b',"","payments"]')
    # A list that ends in two texts may name an exchange: it is another application's, and kombu's.
    | values.map(as_json).filter(lambda text: not text.startswith(b"["))
)
scores = st.floats(allow_nan=False, max_value=1e9)


@pytest.fixture
def redis(redis_admin_url: str) -> Iterator[Redis]:
    with Redis.from_url(redis_admin_url) as client:
        client.flushdb()
        yield client
        client.flushdb()


@pytest.fixture
def good(redis_url: str, redis: Redis) -> dict[bytes, str]:
    """Three messages of another service, and the id of each."""
    with Producer(redis_url) as producer:
        ids = [producer.send(TASK, amount=number) for number in range(3)]
    return dict(zip(redis.lrange("payments", 0, -1)[::-1], ids, strict=True))


@pytest.fixture
def channel(redis_url: str, redis: Redis) -> Iterator[Any]:
    redis_transport.register()
    with Connection(redis_url) as connection:
        channel = connection.channel()
        connection.Consumer([Queue("payments")], channel=channel).consume()
        yield channel


def abandoned(qos: Any, _: list[Any]) -> None:
    """Their worker died, and another one finds them."""
    qos.restore_visible()


def given_back(qos: Any, tags: list[Any]) -> None:
    """Their worker stops, and returns what it has."""
    qos.hold(tags)
    qos.restore_unacked()


def ids_read(redis: Redis, channel: Any) -> list[str]:
    """The ids of all messages that a worker reads from the queue; it refuses the others."""
    ids = []
    while taken := fetching.take(channel._fetch, channel.qos, "payments", ["payments"], 64):
        for one in taken:
            try:
                ids.append(read(Message(one.letter("payments"), channel=channel), {TASK}).id)
            except Broken:
                continue
    redis.delete("unacked", "unacked_index")
    return ids


@pytest.mark.parametrize("restore", [abandoned, given_back])
@settings(
    max_examples=40,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(
    bad=st.lists(fetched, max_size=4),
    strange=st.dictionaries(st.binary(max_size=6), st.tuples(stored, scores), max_size=4),
    gone=st.dictionaries(st.binary(max_size=6), scores, max_size=2),
    data=st.data(),
)
def test_good_messages_come_back_once_from_among_whatever_else_is_restored(
    restore: Callable[[Any, list[Any]], None],
    bad: list[bytes],
    strange: dict[bytes, tuple[bytes, float]],
    gone: dict[bytes, float],
    data: st.DataObject,
    redis: Redis,
    channel: Any,
    good: dict[bytes, str],
) -> None:
    redis.delete("payments", "unacked", "unacked_index")
    arrived = data.draw(st.permutations([*good, *bad]))
    for item in arrived:
        redis.lpush("payments", item)
    keys = ["unacked_index", "unacked", "payments"]
    assert channel._fetch(keys=keys, args=[99, "tag-", 0, '"payments"']) == arrived
    if strange:
        redis.hset("unacked", mapping={tag: text for tag, (text, _) in strange.items()})
    if index := gone | {tag: score for tag, (_, score) in strange.items()}:
        redis.zadd("unacked_index", index)
    kept = redis.hvals("unacked")

    restore(channel.qos, redis.zrange("unacked_index", 0, -1))

    assert redis.hlen("unacked") == redis.zcard("unacked_index") == 0
    back = Counter(redis.lrange("payments", 0, -1))
    assert back == Counter(map(_item, kept)), "nothing is changed or lost"
    assert [back[item] for item in good] == [1] * len(good)
    times_read = Counter(ids_read(redis, channel))
    assert [times_read[id_] for id_ in good.values()] == [1] * len(good)


def _item(text: bytes) -> bytes:
    """The item in what is stored: as our script does it, or all of it."""
    begin, end = b"[", b',"","payments"]'
    if text.startswith(begin) and text.endswith(end):
        return text.removeprefix(begin).removesuffix(end)
    return text
