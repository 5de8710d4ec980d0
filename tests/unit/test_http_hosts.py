"""Under which names the service answers."""

from api.edge.hosts import Hosts
from api.edge.problems import BadHost, HostNotAllowed
from tests.support.every import every


def verdict(
    host: bytes | list[bytes], *names: str, target: bytes = b"/", version: str = "1.1"
) -> int | None:
    hosts = host if isinstance(host, list) else [host]
    try:
        Hosts(names, listening="127.0.0.1").check(hosts, target, http_version=version)
    except (BadHost, HostNotAllowed) as refused:
        return refused.status
    return None


@every(
    "host",
    [
        b"localhost", b"localhost:8000", b"LocalHost", b"billing.localhost", b"localhost.",
        b"127.0.0.1", b"127.0.0.1:8000", b"[::1]", b"[::1]:8000",
        # As Kubernetes asks a pod for its health, and a load balancer a machine.
        b"10.1.2.3:8000", b"[fd00::7]:8000", b"192.168.1.1",
    ],
)  # fmt: skip
def test_names_of_this_machine_and_addresses_are_taken(host: bytes) -> None:
    assert verdict(host) is None


@every(
    "host",
    [b"evil.example", b"evil.example:8000", b"localhost.evil.example", b"xlocalhost", b"billing",
     b"2130706433", b"0x7f.0.0.1", b"127.0.0.1.evil.example"],
)  # fmt: skip
def test_a_name_that_is_not_ours_is_refused(host: bytes) -> None:
    assert verdict(host) == 421


@every(
    "host",
    [b"", b" ", b"a b", b"a/b", b"user@localhost", b"localhost:port", b"localhost:123456",
     b"[::1", b"[::1%25eth0]", b"\xff", b"localhost,evil.example", [], [b"localhost", b"localhost"],
     [b"localhost", b"evil.example"]],
)  # fmt: skip
def test_there_is_exactly_one_and_it_can_be_read(host: bytes | list[bytes]) -> None:
    assert verdict(host) == 400


def test_names_can_be_added() -> None:
    ours = ("billing.example.com", ".internal")
    for host in (
        b"billing.example.com:443",
        b"a.internal",
        b"a.b.internal",
        b"Billing.Example.Com",
    ):
        assert verdict(host, *ours) is None
    for host in (b"internal", b"xinternal", b"example.com"):
        assert verdict(host, *ours) == 421
    assert verdict(b"anything.example", "*") is None
    assert verdict([b"one", b"two"], "*") == 400


def test_where_we_listen_is_a_name_of_ours() -> None:
    Hosts((), listening="billing.lan").check([b"billing.lan:80"], b"/", http_version="1.1")


def test_old_health_checks_may_name_no_host() -> None:
    assert verdict([], version="1.0") is None


def test_a_proxys_form_of_asking_is_looked_at_too() -> None:
    assert verdict(b"localhost", target=b"http://localhost:8000/healthz") is None
    assert verdict(b"localhost", target=b"http://evil.example/healthz") == 421
    assert verdict(b"localhost", target=b"*") is None
