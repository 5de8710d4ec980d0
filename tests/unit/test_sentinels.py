"""Sentinels that say nothing are asked last, and once."""

from typing import Any

import pytest
from redis.exceptions import TimeoutError as RedisTimeoutError
from redis.sentinel import MasterNotFoundError

from infra.billing import broker_connections


class Pool:
    def __init__(self, host: str) -> None:
        self.connection_kwargs = {"host": host, "port": 26379}


class Sentinel:
    """Counts how often it is asked."""

    def __init__(self, host: str, *, is_silent: bool) -> None:
        self.connection_pool = Pool(host)
        self.is_silent = is_silent
        self.asked = 0

    def sentinel_masters(self) -> dict[str, Any]:
        self.asked += 1
        if self.is_silent:
            raise RedisTimeoutError("Timeout reading from socket")
        return {"till": {"ip": "10.0.0.9", "port": 6379}}


class Manager:
    def __init__(self, *ones: Sentinel) -> None:
        self.sentinels = list(ones)

    def check_master_state(self, _state: object, _name: str) -> bool:
        return True


@pytest.fixture(autouse=True)
def nobody_was_silent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(broker_connections, "_silent_at", {})


def test_a_silent_sentinel_is_asked_once_by_all_connections_of_a_process() -> None:
    silent, good = Sentinel("one", is_silent=True), Sentinel("two", is_silent=False)
    for _ in range(3):
        found = broker_connections.discover_master(Manager(silent, good), "till")
        assert found == ("10.0.0.9", 6379)
    assert (silent.asked, good.asked) == (1, 3)


def test_when_the_others_fall_silent_the_first_is_asked_again() -> None:
    first, second = Sentinel("one", is_silent=True), Sentinel("two", is_silent=False)
    broker_connections.discover_master(Manager(first, second), "till")
    first.is_silent, second.is_silent = False, True
    for _ in range(2):
        broker_connections.discover_master(Manager(first, second), "till")
    assert (first.asked, second.asked) == (3, 2)


def test_when_none_answers_it_is_told_which_were_asked() -> None:
    with pytest.raises(MasterNotFoundError, match="TimeoutError"):
        broker_connections.discover_master(Manager(Sentinel("one", is_silent=True)), "till")
