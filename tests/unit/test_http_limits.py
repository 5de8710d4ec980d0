"""Token buckets, and the address that a caller has."""

from ipaddress import ip_network
from types import SimpleNamespace
from typing import Any

import pytest
from structlog.testing import capture_logs

from api.edge.problems import RateLimited
from api.edge.rate_limits import CALLERS_MAX, LOGGED_EVERY_S, Buckets, Limits, client_address
from payments.payment_errors import InsufficientScope, Unauthenticated
from service.settings import Settings
from tests.support.every import every


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def test_a_bucket_empties_and_fills_again(clock: Clock) -> None:
    buckets = Buckets(10, burst_s=2, clock=clock)
    assert [buckets.take("a") for _ in range(20)] == [0.0] * 20
    assert buckets.take("a") == pytest.approx(0.1)
    assert buckets.take("b") == 0.0  # another caller's
    clock.now += 0.1
    assert buckets.take("a") == 0.0
    assert buckets.take("a") > 0
    clock.now += 3600
    assert [buckets.take("a") for _ in range(21)][19:] == [0.0, pytest.approx(0.1)]


def test_a_rate_of_nothing_is_no_limit(clock: Clock) -> None:
    buckets = Buckets(0, clock=clock)
    assert {buckets.take("a") for _ in range(1_000)} == {0.0}


def test_no_more_callers_are_remembered_than_there_is_room_for(clock: Clock) -> None:
    buckets = Buckets(1, burst_s=1, clock=clock)
    buckets.take("first")
    for number in range(CALLERS_MAX):
        buckets.take(number)
    assert len(buckets._left) == CALLERS_MAX
    assert buckets.take("first") == 0.0  # forgotten, and so new


PROXIES = tuple(map(ip_network, ("10.0.0.0/8", "127.0.0.1/32", "fd00::/8")))


@every(
    "peer, forwarded, address",
    [
        ("203.0.113.7", ["198.51.100.1"], "203.0.113.7"),  # no proxy of ours: anybody may write it
        ("10.0.0.1", ["198.51.100.1"], "198.51.100.1"),
        ("10.0.0.1", ["6.6.6.6, 198.51.100.1"], "198.51.100.1"),  # what came before is a claim
        ("10.0.0.1", ["6.6.6.6, 198.51.100.1, 10.0.0.2"], "198.51.100.1"),
        ("10.0.0.1", ["6.6.6.6", "198.51.100.1"], "198.51.100.1"),
        ("::ffff:10.0.0.1", ["2001:db8::1"], "2001:db8::1"),
        ("fd00::1", ["198.51.100.1"], "198.51.100.1"),
        ("10.0.0.1", [], "10.0.0.1"),
        ("10.0.0.1", ["somebody@example.com"], "10.0.0.1"),
        ("10.0.0.1", ["198.51.100.1:4711"], "10.0.0.1"),
        ("10.0.0.1", ["10.0.0.3"], "10.0.0.3"),
        ("", ["198.51.100.1"], "unknown"),
    ],
)
def test_an_address_is_believed_as_far_as_proxies_are_trusted(
    peer: str, forwarded: list[str], address: str
) -> None:
    assert client_address(peer, forwarded, PROXIES) == address
    assert client_address("203.0.113.7", forwarded, ()) == "203.0.113.7"


def a_request(address: str = "203.0.113.7", key: str | None = None) -> Any:
    headers = SimpleNamespace(
        get=lambda name, default="": key if name == "authorization" and key else default,
        getlist=lambda _: [],
    )
    return SimpleNamespace(
        client=SimpleNamespace(host=address),
        headers=headers,
        state=SimpleNamespace(producer=None),
        scope={},
    )


def limits(clock: Clock, **settings: Any) -> Limits:
    given: Any = {"database_url": "postgresql://x@y/z", "broker_url": "redis://x", **settings}
    return Limits(Settings(**given), clock=clock)


KEY_ID = "key_" + "a" * 16
KEY = f"Bearer {KEY_ID}_{'b' * 52}"


def test_who_is_refused_leaves_an_address_and_a_key_id_once_for_many(clock: Clock) -> None:
    door = limits(clock)
    with capture_logs() as lines:
        for _ in range(5):
            door.refused(a_request(key=KEY), Unauthenticated())
        door.refused(a_request("198.51.100.1", key=KEY), Unauthenticated())
        door.refused(a_request(key=KEY), InsufficientScope(scope="refunds:write"))
        clock.now += LOGGED_EVERY_S
        door.refused(a_request(key=KEY), Unauthenticated())
    told = [(one["address"], one["code"], one["key_id"], one["times"]) for one in lines]
    assert told == [
        ("203.0.113.7", "unauthenticated", KEY_ID, 1),
        ("198.51.100.1", "unauthenticated", KEY_ID, 1),
        ("203.0.113.7", "insufficient_scope", KEY_ID, 1),
        ("203.0.113.7", "unauthenticated", KEY_ID, 5),
    ]
    assert "b" * 52 not in str(lines)


def test_what_is_no_key_is_not_repeated_in_the_log(clock: Clock) -> None:
    with capture_logs() as lines:
        limits(clock).refused(a_request(key="Bearer 4242424242424242"), Unauthenticated())
    assert lines[0]["key_id"] is None
    assert "4242" not in str(lines)


def test_who_is_refused_too_often_is_told_to_wait(clock: Clock) -> None:
    door = limits(clock, http_refused_rate=1)
    with capture_logs():
        answers = [door.refused(a_request(), Unauthenticated()) for _ in range(12)]
        others = door.refused(a_request("198.51.100.1"), Unauthenticated())
    assert [type(one) for one in answers] == [Unauthenticated] * 10 + [RateLimited] * 2
    assert answers[-1].facts == {"retry_after_s": 1}
    assert isinstance(others, Unauthenticated)
