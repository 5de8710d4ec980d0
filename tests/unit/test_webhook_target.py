"""The target check: no spelling of an inner address gets through."""

from ipaddress import IPv4Address, IPv4Network, IPv6Address, ip_network
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from payments.payment_errors import InvalidRequest
from payments.webhooks.target import NOT_PUBLIC, Aim, TargetCheck, TargetRefused
from tests.support.every import every

STRICT = TargetCheck()
LOCAL = TargetCheck([ip_network("127.0.0.0/8"), ip_network("::1/128")])
V4_INNER = [network for network in NOT_PUBLIC if isinstance(network, IPv4Network)]

inner = st.sampled_from(V4_INNER).flatmap(
    lambda network: st.integers(int(network.network_address), int(network.broadcast_address)).map(
        IPv4Address
    )
)
public = st.ip_addresses(v=4).filter(
    lambda address: not any(address in network for network in V4_INNER)
)


def spellings(address: IPv4Address) -> list[str]:
    """One IPv4 address in all the forms a resolver or a network may take for it."""
    number = int(address)
    a, b, c, d = address.packed
    return [
        str(address),
        f"{a}.{b}.{(c << 8) + d}",
        f"{a}.{number & 0xFF_FFFF}",
        str(number),
        hex(number),
        f"0{number:o}",
        f"0x{a:x}.0x{b:x}.0x{c:x}.0x{d:x}",
        f"0{a:o}.0{b:o}.0{c:o}.0{d:o}",
        f"{address}.",
        str(address).replace(".", "。"),
        "".join(chr(ord("０") + int(x)) if x.isdigit() else x for x in str(address)),
        f"[::ffff:{address}]",
        f"[{IPv6Address(number)}]",  # IPv4-compatible
        f"[{IPv6Address((0xFFFF << 48) + number)}]",  # translated (SIIT)
        f"[{IPv6Address((0x64FF9B << 96) + number)}]",  # NAT64
        f"[{IPv6Address((0x64FF9B0001 << 80) + number)}]",  # local NAT64
        f"[{IPv6Address((0x2002 << 112) + (number << 80) + 1)}]",  # 6to4
        f"[{IPv6Address((0xFE80 << 112) + (0x5EFE << 32) + number)}]",  # ISATAP
        f"[{IPv6Address((0x20010000 << 96) + (number ^ 0xFFFF_FFFF))}]",  # Teredo
    ]


@given(address=inner, data=st.data())
def test_an_inner_address_is_refused_in_every_spelling(
    address: IPv4Address, data: st.DataObject
) -> None:
    host = data.draw(st.sampled_from(spellings(address)))
    with pytest.raises(InvalidRequest) as refused:
        STRICT.checked(f"https://{host}/hook")
    assert refused.value.param == "url"


@given(address=inner)
def test_what_is_dialled_is_judged_again(address: IPv4Address) -> None:
    for form in (str(address), f"::ffff:{address}", f"64:ff9b::{address}", f"::{address}"):
        with pytest.raises(TargetRefused):
            STRICT.refuse(form, encrypted=True)


@given(address=public)
def test_a_public_address_is_allowed_with_tls_only(address: IPv4Address) -> None:
    assert STRICT.allows(address, encrypted=True)
    assert STRICT.allows(f"64:ff9b::{address}", encrypted=True)
    assert not STRICT.allows(address, encrypted=False)
    assert not LOCAL.allows(address, encrypted=False)


@given(address=st.ip_addresses(v=6))
def test_ipv6_outside_global_unicast_is_never_public(address: IPv6Address) -> None:
    is_global_unicast = int(address) >> 125 == 0b001
    nat64 = address in ip_network("64:ff9b::/96")
    if not is_global_unicast and not nat64 and address.ipv4_mapped is None:
        assert not STRICT.allows(address, encrypted=True)


@every(
    "address",
    [
        "169.254.169.254",
        "100.100.100.200",
        "168.63.129.16",
        "fd00:ec2::254",
        "::",
        "::1",
        "fe80::1%eth0",
        "fec0::1",
        "ff02::1",
        "2001:db8::1",
        "3fff::1",
        "5f00::1",
        "100::1",
        "192.88.99.1",
        "224.0.0.1",
        "255.255.255.255",
    ],
)
def test_metadata_and_special_addresses_are_refused(address: str) -> None:
    assert not STRICT.allows(address, encrypted=True)


@every("address", ["8.8.8.8", "1.1.1.1", "2606:4700:4700::1111", "172.32.0.1"])
def test_ordinary_addresses_are_allowed(address: str) -> None:
    assert STRICT.allows(address, encrypted=True)


@every("network", V4_INNER, ids=str)
def test_a_network_is_refused_from_its_first_address_to_its_last(network: IPv4Network) -> None:
    assert not STRICT.allows(network.network_address, encrypted=True)
    assert not STRICT.allows(network.broadcast_address, encrypted=True)


def test_the_table_names_no_network_twice() -> None:
    v4 = sorted(V4_INNER, key=lambda network: network.network_address)
    assert not any(one.overlaps(next_one) for one, next_one in pairwise(v4))


def test_what_the_operator_allows_may_be_reached_without_tls() -> None:
    for url in ("http://127.0.0.1:8080/hook", "https://127.0.0.1/hook", "http://[::1]:8080/"):
        assert LOCAL.checked(url).url == url
    assert LOCAL.allows("::ffff:127.0.0.1", encrypted=False)
    assert not LOCAL.allows("10.0.0.1", encrypted=True)


def test_a_url_is_kept_in_the_form_that_is_dialled() -> None:
    assert LOCAL.checked("http://0x7f.1:8080/a?b=c").url == "http://127.0.0.1:8080/a?b=c"
    assert STRICT.checked("https://bücher.example/ü").url == "https://xn--bcher-kva.example/%C3%BC"


@every(
    "url, fix",
    [
        (None, "string"),
        (7, "string"),
        ("", "string"),
        ("https://example.com/" + "x" * 2048, "2048"),
        ("example.com", "https://"),
        ("//example.com", "https://"),
        ("ftp://example.com/", "https://"),
        ("http://example.com/", "https://"),
        ("https:///hook", "https://"),
        ("https://example.com:0/", "https://"),
        ("https://example.com:65536/", "https://"),
        ("https://exa%00mple.com/", "https://"),
        ("https://[::1%25lo]/", "https://"),
        ("https://example.com\\@127.0.0.1/", "https://"),
        ("https://user:word@example.com/", "user name"),
        ("https://example.com/#part", "fragment"),
        ("https://example.com/ hook", "spaces"),
        ("https://example.com/\r\nx: y", "control"),
    ],
)
def test_a_url_that_is_none_is_refused_with_the_fix(url: object, fix: str) -> None:
    with pytest.raises(InvalidRequest, match=fix) as refused:
        STRICT.checked(url)
    assert refused.value.param == "url"


@given(url=st.text(min_size=1) | st.text().map("https://{}".format))
def test_any_text_is_a_url_or_refused_with_a_sentence(url: str) -> None:
    try:
        checked = LOCAL.checked(url).url
    except InvalidRequest:
        return
    assert checked.startswith(("https://", "http://"))
    assert LOCAL.checked(checked).url == checked


@pytest.mark.parametrize(
    ("url", "kept", "credentials"),
    [
        ("rediss://:p%40ss@r.example/0?stream=a", "rediss://r.example/0?stream=a", ":p%40ss"),
        (
            "rediss://r.example:7000?stream=a&maxlen=5",
            "rediss://r.example:7000/?stream=a&maxlen=5",
            None,
        ),
        (
            "amqps://me:it@mq.example/shop?exchange=e&routing_key=a.{type}",
            "amqps://mq.example/shop?exchange=e&routing_key=a.%7Btype%7D",
            "me:it",
        ),
        ("amqps://mq.example?routing_key=queue", "amqps://mq.example/?routing_key=queue", None),
    ],
)  # fmt: skip
def test_the_url_of_a_queue_is_kept_without_its_credentials(
    url: str, kept: str, credentials: str | None
) -> None:
    assert STRICT.checked(url) == Aim(kept, credentials)
    assert STRICT.checked(kept).url == kept


@pytest.mark.parametrize(
    ("url", "fix"),
    [
        ("redis://r.example/0?stream=a", "must begin with rediss://"),
        ("amqp://mq.example/?exchange=a", "must begin with amqps://"),
        ("rediss://127.0.0.1/0?stream=a", "where webhooks may not go"),
        ("rediss://r.example/0", "name the stream"),
        ("rediss://r.example/0?stream=a&maxlen=0", "maxlen must be a number from 1"),
        ("rediss://r.example/x?stream=a", "the path, a database, must be a number"),
        ("rediss://r.example/0?stream=a&password=hunter22", "the options of such a url are"),
        ("rediss://r.example/0?stream=a&stream=b", "an option is there twice"),
        ("amqps://mq.example/shop", "name an exchange"),
        ("amqps://mq.example/a/b?exchange=e", "one virtual host"),
        ("amqps://mq.example/?exchange=e&routing_key={producer}", r"is {type}"),
        (f"amqps://mq.example/?exchange={'e' * 256}", "at most 255 bytes"),
        ("sqs://q.example/", "url must be like https://"),
    ],
)  # fmt: skip
def test_a_url_of_a_queue_that_can_not_be_used_is_refused_with_the_fix(url: str, fix: str) -> None:
    with pytest.raises(InvalidRequest, match=fix) as refused:
        STRICT.checked(url)
    assert refused.value.param == "url"
    assert "hunter22" not in str(refused.value)
