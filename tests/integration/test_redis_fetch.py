"""How our Redis transport takes messages: as many as fit, and none is ever nowhere."""

import contextlib
import json
from queue import Empty

import pytest
from kombu import Connection, Exchange, Queue
from redis import Redis
from redis.exceptions import ResponseError

from payments.intake.masking import READ_MAX
from tests.support.waiting import patience_s, wait_for
from worker.transport import fetching, redis_transport


@pytest.fixture
def redis(redis_admin_url):
    with Redis.from_url(redis_admin_url) as client:
        client.flushdb()
        yield client
        client.flushdb()


@pytest.fixture
def connection(redis_url, redis):
    redis_transport.register()
    with Connection(redis_url) as connection:
        yield connection


def put(connection, queue, *bodies, priority=0):
    for body in bodies:
        connection.Producer().publish(
            {"n": body}, routing_key=queue, serializer="json", priority=priority
        )


def consume(connection, *queues, room):
    """A channel that reads `queues` into a list, with `room` free slots."""
    channel, got = connection.channel(), []
    consumer = connection.Consumer(
        [Queue(name) for name in queues],
        channel=channel,
        callbacks=[lambda body, message: got.append((body["n"], message))],
    )
    consumer.qos(prefetch_count=room)
    consumer.consume()
    return channel, got


def drain(connection, *, until):
    """Read until `until()`; the waits in between are the transport's own, of a second at most."""

    def read():
        if not until():
            with contextlib.suppress(TimeoutError, Empty):
                connection.drain_events(timeout=1)
        return until()

    wait_for(read, what="messages", every_s=0)


def test_one_wait_brings_as_many_messages_as_there_is_room_for(connection, redis):
    put(connection, "payments", *range(10))
    _, got = consume(connection, "payments", room=4)
    drain(connection, until=lambda: got)
    assert [n for n, _ in got] == [0, 1, 2, 3]
    assert redis.llen("payments") == 6
    assert redis.hlen("unacked") == redis.zcard("unacked_index") == 4


def test_what_is_fetched_is_stored_before_anybody_works_on_it(connection, redis, monkeypatch):
    put(connection, "payments", "a")
    channel, _ = consume(connection, "payments", room=4)

    class KilledError(BaseException):
        pass

    def killed(*_):
        raise KilledError

    monkeypatch.setattr(type(channel.connection), "_deliver", killed)
    with pytest.raises(KilledError):
        connection.drain_events(timeout=patience_s())
    stored = [json.loads(text)[0] for text in redis.hvals("unacked")]
    assert redis.llen("payments") == 0
    assert [letter["headers"] for letter in stored] == [{}]


def test_acknowledged_messages_are_forgotten_and_make_room(connection, redis):
    put(connection, "payments", 1, 2, 3)
    _, got = consume(connection, "payments", room=2)
    drain(connection, until=lambda: len(got) == 2)
    for _, message in got:
        message.ack()
    assert redis.hlen("unacked") == redis.zcard("unacked_index") == 0
    drain(connection, until=lambda: len(got) == 3)


def test_messages_with_a_priority_are_read_too(connection, redis):
    put(connection, "payments", "urgent", priority=6)
    _, got = consume(connection, "payments", room=4)
    drain(connection, until=lambda: got)
    assert got[0][0] == "urgent"


def test_a_worker_at_rest_asks_whether_there_is_something_and_takes_nothing(connection, redis):
    _, got = consume(connection, "payments", room=4)
    redis.config_resetstat()

    def waits():
        return redis.info("commandstats").get("cmdstat_exists", {}).get("calls", 0)

    drain(connection, until=lambda: waits() >= 2)
    assert "cmdstat_evalsha" not in redis.info("commandstats")
    # What comes while it waits, where the wait sees nothing of it, is found when the wait ends.
    put(connection, "payments", "urgent", priority=6)
    drain(connection, until=lambda: got)
    assert got[0][0] == "urgent"


def test_a_wait_that_is_refused_leaves_no_answer_behind(connection, redis):
    """Or every answer from then on would be taken for that of another command."""
    _, got = consume(connection, "payments", room=8)
    redis.set("payments", "no list")
    put(connection, "payments", "urgent", priority=6)
    drain(connection, until=lambda: got)
    redis.delete("payments")
    for n in range(3):
        put(connection, "payments", n)
        drain(connection, until=lambda n=n: len(got) == n + 2)
    assert [n for n, _ in got] == ["urgent", 0, 1, 2]


def test_a_worker_of_two_queues_reads_both(connection, redis):
    put(connection, "payments", 1, 2)
    put(connection, "webhooks", 3, 4)
    _, got = consume(connection, "payments", "webhooks", room=8)
    drain(connection, until=lambda: len(got) == 4)
    assert sorted(n for n, _ in got) == [1, 2, 3, 4]
    assert redis.hlen("unacked") == 4


def test_a_long_queue_does_not_keep_the_other_from_its_turn(connection, redis):
    put(connection, "payments", *range(50))
    put(connection, "webhooks", "w")
    _, got = consume(connection, "payments", "webhooks", room=2)

    def next_one_is_done():
        while got and got[-1][0] != "w":
            got.pop()[1].ack()
        return got

    drain(connection, until=next_one_is_done)


@pytest.mark.parametrize("item", [b"no json", b"\xff\xfe", b"[" * 5000, b"[1]", b"7"])
def test_what_is_no_message_is_stored_as_one_that_can_be_restored(redis, item):
    redis.lpush("payments", item)
    fetch = redis.register_script(fetching.FETCH)
    items = fetch(keys=["index", "hash", "payments"], args=[9, "tag.", 1.0, '"payments"'])
    assert items == [item]
    letter, exchange, queue = json.loads(redis.hget("hash", "tag.001"))
    assert bytes.fromhex(letter["body"]) == item
    assert (exchange, queue) == ("", "payments")


@pytest.mark.parametrize("begins", [b"", b'{"content-type": "application/x-unreadable", "body": "'])
def test_of_one_that_is_too_large_the_beginning_comes_with_its_size(redis, begins):
    item = begins + b"x" * 3_000_000
    redis.lpush("payments", item)
    fetch = redis.register_script(fetching.FETCH)
    items = fetch(keys=["index", "hash", "payments"], args=[9, "tag.", 1.0, '"payments"'])
    assert items == [[item[:READ_MAX], len(item)]]
    letter, *_ = json.loads(redis.hget("hash", "tag.001"))
    assert bytes.fromhex(letter["body"]) == item[:131072]


# What kombu's reader can't read, or can't mark as redelivered, when it puts it back.
HOSTILE = [
    b'{"body": "W10=", "headers": null, "properties": {"body_encoding": "base64"}}',
    b'{"body": "W10=", "headers": {"id": "1"}, "properties": {"delivery_info": null}}',
    b'{"body": "W10=", "headers": [], "properties": 5}',
    b"{}",
    b'{"__type__": "decimal", "__value__": "x"}',
    b'{"body": "W10=", "headers": {"x": {"__type__": "uuid", "__value__": {"hex": 1}}}}',
    b'{"headers": {"x": {"__type__": "bytes", "__value__": 5}}}',
    b'{"headers": {"x": {"__type__": "base64", "__value__": "a"}}}',
    b'{"headers": {"x": {"__type__": "datetime", "__value__": []}}}',
    b'{"headers": {"x": ' + b"9" * 5000 + b"}}",
    b'{"headers": ' + b"[" * 900 + b"]" * 900 + b"}",
    rb'{"x": "\u0041 \u0000 \",\"q\"]"}',
    '{"body": "é"}'.encode(),
]


def fetched(channel, count):
    """Take `count` items as a worker does that dies right after."""
    keys = ["unacked_index", "unacked", "payments"]
    return channel._fetch(keys=keys, args=[count, "tag-", 0, '"payments"'])


def test_whatever_was_abandoned_comes_back_byte_for_byte_and_in_order(connection, redis):
    """One that kombu can't read would keep all others from ever being restored."""
    channel, _ = consume(connection, "payments", room=4)
    for item in HOSTILE:
        redis.lpush("payments", item)
    assert fetched(channel, 99) == HOSTILE
    channel.qos.restore_visible()
    back = redis.lrange("payments", 0, -1)[::-1]
    assert [item[:90] for item in back] == [item[:90] for item in HOSTILE]
    assert back == HOSTILE
    assert redis.hlen("unacked") == redis.zcard("unacked_index") == 0


def test_what_no_worker_of_ours_stored_is_put_back_for_one_to_look_at(connection, redis):
    channel, _ = consume(connection, "payments", room=4)
    stored = {b"a": b"no json", b"b": b"[1]", b"\xff": b'{"x": 1}', b"d": b""}
    redis.hset("unacked", mapping=stored)
    redis.zadd("unacked_index", {**dict.fromkeys(stored, 0), b"gone": 0})
    channel.qos.restore_visible()
    assert set(redis.lrange("payments", 0, -1)) == set(stored.values())
    assert redis.hlen("unacked") == redis.zcard("unacked_index") == 0


def test_another_celery_applications_messages_go_where_its_exchange_says(connection, redis):
    """kombu keeps the unacknowledged messages of all applications of one Redis together."""
    letter = {"body": "W10=", "headers": {}, "properties": {"delivery_info": {}}}
    channel, _ = consume(connection, "payments", room=4)
    queue = Queue("theirs", Exchange("theirs", type="direct"), routing_key="key")
    queue(channel).declare()
    broken = b'[{"__type__": "decimal", "__value__": "x"}, "theirs", "key"]'
    whole = json.dumps([letter, "theirs", "key"])
    redis.hset("unacked", mapping={"broken": broken, "whole": whole})
    redis.zadd("unacked_index", {"broken": 1, "whole": 0})
    channel.qos.restore_visible()
    assert [json.loads(item)["body"] for item in redis.lrange("theirs", 0, -1)] == ["W10="]
    assert redis.hkeys("unacked") == [b"broken"]


def test_a_message_whose_queue_became_something_else_is_not_lost(connection, redis):
    channel, _ = consume(connection, "payments", room=4)
    redis.hset("unacked", "t", b'[{"x": 1},"","webhooks"]')
    redis.zadd("unacked_index", {"t": 0})
    redis.set("webhooks", "x")
    redis.set("payments", "x")
    channel.qos.restore_visible()
    assert redis.hkeys("unacked") == redis.zrange("unacked_index", 0, -1) == [b"t"]
    redis.delete("payments")
    channel.qos.restore_visible()
    assert redis.lrange("payments", 0, -1) == [b'{"x": 1}']


@pytest.mark.parametrize("key", ["unacked", "unacked_index"])
def test_nothing_is_taken_where_it_can_not_be_kept(connection, redis, key):
    channel, _ = consume(connection, "payments", room=4)
    redis.lpush("payments", "{}")
    redis.set(key, "x")
    with pytest.raises(ResponseError, match="WRONGTYPE"):
        fetched(channel, 1)
    assert redis.llen("payments") == 1


def test_two_workers_never_get_the_same_message(redis_url, connection, redis):
    put(connection, "payments", *range(40))
    with Connection(redis_url) as other:
        _, mine = consume(connection, "payments", room=100)
        _, theirs = consume(other, "payments", room=100)
        drain(connection, until=lambda: mine)
        for source in (other, connection):
            try:
                source.drain_events(timeout=1)
            except (TimeoutError, Empty):
                continue
    assert sorted(n for n, _ in mine + theirs) == list(range(40))
