"""The script by which workers take messages (worker/transport/fetch.lua), on a Redis in memory.

On a real one, tests/integration/test_redis_fetch.py: what a worker makes of it, and what fakeredis
does not do as Redis does, such as the errors that a script catches.
"""

import json
from typing import Any

import pytest
from fakeredis import FakeRedis
from hypothesis import given
from hypothesis import strategies as st
from redis.exceptions import ResponseError

from worker.transport.fetching import FETCH

INDEX, UNACKED = "unacked_index", "unacked"


def fetch(redis: FakeRedis, *queues: str, count: int) -> list[Any]:
    script = redis.register_script(FETCH)
    found: list[Any] = script(
        keys=[INDEX, UNACKED, *queues], args=[count, "tag.", 7.5, '"payments"']
    )
    return found


def a_redis(**queues: list[bytes]) -> FakeRedis:
    """Messages are put in at the left and taken from the right, as kombu does."""
    redis = FakeRedis()
    for queue, items in queues.items():
        for item in items:
            redis.lpush(queue, item)
    return redis


def letter(number: int) -> bytes:
    return json.dumps({"n": number}).encode()


def test_as_many_are_taken_as_there_is_room_for_the_first_queue_first() -> None:
    redis = a_redis(high=[letter(1), letter(2)], low=[letter(3), letter(4)])
    assert fetch(redis, "high", "low", count=3) == [letter(1), letter(2), letter(3)]
    assert (redis.llen("high"), redis.llen("low")) == (0, 1)
    assert fetch(redis, "high", "low", count=3) == [letter(4)]
    assert fetch(redis, "high", "low", count=3) == []


def test_what_is_taken_is_stored_under_tags_in_its_order() -> None:
    redis = a_redis(payments=[letter(1), letter(2)])
    fetch(redis, "payments", count=2)
    assert redis.zrange(INDEX, 0, -1, withscores=True) == [(b"tag.001", 7.5), (b"tag.002", 7.5)]
    stored = {tag: json.loads(kept) for tag, kept in redis.hgetall(UNACKED).items()}
    assert stored == {
        b"tag.001": [{"n": 1}, "", "payments"],
        b"tag.002": [{"n": 2}, "", "payments"],
    }


@given(st.lists(st.binary(max_size=40), max_size=12), st.integers(0, 12))
def test_whatever_a_message_is_it_is_in_the_queue_or_stored_so_that_it_can_be_restored(
    items: list[bytes], count: int
) -> None:
    redis = a_redis(payments=items)
    taken = fetch(redis, "payments", count=count)
    left = redis.lrange("payments", 0, -1)[::-1]
    assert [*taken, *left] == items
    stored = [json.loads(kept)[0] for kept in redis.hvals(UNACKED)]
    assert len(stored) == len(taken) == min(count, len(items))
    assert all(isinstance(one, dict) for one in stored)
    kept_as_hex = [one["body"] for one in stored if "content-type" in one]
    assert {bytes.fromhex(text) for text in kept_as_hex} <= set(taken)


@pytest.mark.parametrize("key", [INDEX, UNACKED])
def test_nothing_is_taken_where_it_can_not_be_stored(key: str) -> None:
    redis = a_redis(payments=[letter(1)])
    redis.set(key, "something else")
    with pytest.raises(ResponseError):
        fetch(redis, "payments", count=1)
    assert redis.lrange("payments", 0, -1) == [letter(1)]
