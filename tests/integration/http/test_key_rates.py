"""A key that asks too often waits, and nobody waits with it."""

import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from sqlalchemy import Engine

from tests.conftest import environ_for
from tests.support.nursery import Nursery
from tests.support.waiting import wait_for
from tests.support.web import Caller, Web, web

# A bucket of one, which is full again after two seconds.
RATE = "0.5"


@pytest.fixture
def slow_door(
    nursery: Nursery, database_url: str, redis_url: str, engine: Engine, tmp_path: Path
) -> Iterator[Web]:
    """A web process that lets each key ask once in two seconds."""
    environ = environ_for(database_url, redis_url, tmp_path) | {"BILLING_HTTP_KEY_RATE": RATE}
    with web(nursery, environ, engine) as running:
        yield running


def limited(caller: Caller) -> httpx.Response:
    """The answer that tells a caller to wait: the next, or a later one on a slow machine."""
    return wait_for(
        lambda: caller.get("/charges"),
        until=lambda answer: answer.status_code != 200,
        what="a refusal",
        every_s=0,
    )


def test_a_key_that_asks_too_often_waits_while_another_is_served(slow_door: Web) -> None:
    with slow_door.caller("shop") as busy, slow_door.caller("shop") as calm:
        refused = limited(busy)
        # Of the same producer and address, and it has a bucket of its own.
        assert calm.get("/charges").status_code == 200
        assert refused.status_code == 429
        assert refused.headers["content-type"] == "application/problem+json"
        problem, wait_s = refused.json(), int(refused.headers["retry-after"])
        assert (problem["status"], problem["code"]) == (429, "rate_limited")
        assert problem["retry_after_s"] == wait_s
        assert 1 <= wait_s <= 2
        time.sleep(wait_s)  # as it was told, and not a moment longer
        assert busy.get("/charges").status_code == 200


def test_who_does_not_know_the_secret_takes_nothing_from_its_holder(slow_door: Web) -> None:
    with slow_door.caller() as holder:
        key, _, secret = holder.key.rpartition("_")
        guess = f"{key}_{secret[::-1]}"
        with Caller(slow_door.url, holder.producer, guess) as guesser:
            assert guesser.get("/charges").status_code == 401
        assert holder.get("/charges").status_code == 200
