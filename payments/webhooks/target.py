"""The target check: where a webhook may go, and that it goes nowhere else.

The person who registers a URL chooses where our network sends a POST. So addresses are judged by an
explicit table: `ipaddress.is_global` is true for NAT64, 6to4 and IPv4-compatible forms of
127.0.0.1. They are judged twice: when the endpoint is saved, as far as the URL shows them, and at
every connection, by the concrete address (a name may resolve to something else each time).
"""

import re
import socket
from collections.abc import Sequence
from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
    ip_network,
)
from typing import NamedTuple

from yarl import URL

from infra.billing.contract import endpoint_checks as rules
from payments.parsing import refusing
from payments.payment_errors import InvalidRequest
from payments.webhooks.targets.target_kinds import BY_SCHEME, KINDS, is_encrypted, port_of

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network


# IANA's special-purpose registries, except what is globally reachable, plus addresses used by
# clouds.
NOT_PUBLIC: tuple[Network, ...] = tuple(
    ip_network(cidr)
    for cidr in (
        "0.0.0.0/8",  # this network
        "10.0.0.0/8",  # private
        "100.64.0.0/10",  # carrier-grade NAT, and a cloud's metadata at 100.100.100.200
        "127.0.0.0/8",  # loopback
        "168.63.129.16/32",  # Azure's host, reachable from every guest
        "169.254.0.0/16",  # link-local, and most clouds' metadata at 169.254.169.254
        "172.16.0.0/12",  # private
        "192.0.0.0/24",  # protocol assignments
        "192.0.2.0/24",  # documentation
        "192.88.99.0/24",  # 6to4 relays
        "192.168.0.0/16",  # private
        "198.18.0.0/15",  # benchmarking
        "198.51.100.0/24",  # documentation
        "203.0.113.0/24",  # documentation
        "224.0.0.0/4",  # multicast
        "240.0.0.0/4",  # reserved, broadcast
        # Only 2000::/3 is global unicast. This is the rest: loopback, IPv4-compatible,
        # translated and local NAT64 forms, unique local, link-local, site-local, multicast, …
        "::/3",
        "4000::/2",
        "8000::/1",
        "2001::/23",  # protocol assignments, Teredo, benchmarking, ORCHID
        "2001:db8::/32",  # documentation
        "2002::/16",  # 6to4: contains an IPv4 address
        "3fff::/20",  # documentation
    )
)
_NAT64 = IPv6Network("64:ff9b::/96")
# The characters of a host after IDNA: no percent signs, so no NUL bytes and no IPv6 zones.
_HOST = re.compile(r"[A-Za-z0-9._-]+|[0-9A-Fa-f:.]+")


class Aim(NamedTuple):
    """Where an endpoint's URL leads, in the form that is dialled; and separately, as it must not be
    stored in clear, its `user:password` if it has them."""

    url: str
    credentials: str | None = None


def is_same_host(url: str, other: str) -> bool:
    """Whether both have the same scheme, host and port, so that secrets for one may go to the
    other."""
    return URL(url).origin() == URL(other).origin()


class TargetRefused(OSError):
    """The address is not one that webhooks may go to."""

    # An OSError, because that is what an HTTP client expects of a connection that can't be made.


class TargetCheck:
    """Judges addresses by the table, and by the networks that the operator allows in addition."""

    def __init__(self, allow_private: Sequence[Network] = ()) -> None:
        self.allow_private = tuple(allow_private)

    def allows(self, address: str | Address, *, encrypted: bool) -> bool:
        """Whether a connection to `address` may be made.

        Without TLS only networks that the operator allowed: a webhook holds customers' data.
        """
        ip = _plain(ip_address(address))
        if any(ip in network for network in self.allow_private):
            return True
        return encrypted and _is_public(ip)

    def refuse(self, address: str, *, encrypted: bool) -> None:
        """Raise TargetRefused unless `address` is allowed."""
        if not self.allows(address, encrypted=encrypted):
            raise TargetRefused(f"webhooks may not go to {address}")

    def checked(self, value: object) -> Aim:
        """The aim of the URL; otherwise raises InvalidRequest, which says what to send instead.

        A host name is not resolved here: its address is checked at each connection.
        """
        url = _parsed(value)
        encrypted = is_encrypted(url.scheme)
        if not encrypted and not self.allow_private:
            raise InvalidRequest(
                f"url must begin with {_safe_twin(url.scheme)}://; {url.scheme} only goes to"
                " networks that the operator adds to BILLING_WEBHOOK_ALLOW_PRIVATE",
                param="url",
            )
        host = url.raw_host or ""
        ip = literal(host)
        if ip is not None and not self.allows(ip, encrypted=encrypted):
            raise InvalidRequest(
                f"url points to {ip}, where webhooks may not go; send a public"
                f" {_safe_twin(url.scheme)} address, or let the operator add its network to"
                " BILLING_WEBHOOK_ALLOW_PRIVATE",
                param="url",
            )
        bare = url.with_user(None)
        return Aim(str(bare if ip is None else bare.with_host(str(ip))), _credentials(url))


def _plain(ip: Address) -> Address:
    """An IPv4 address that is written as IPv6 (`::ffff:127.0.0.1`) is the IPv4 address."""
    if isinstance(ip, IPv6Address) and ip.ipv4_mapped is not None:
        return ip.ipv4_mapped
    return ip


def _is_public(ip: Address) -> bool:
    if isinstance(ip, IPv6Address) and ip in _NAT64:
        # NAT64, how a network without IPv4 reaches it: the IPv4 address counts.
        ip = IPv4Address(int(ip) & 0xFFFF_FFFF)
    return not any(ip in network for network in NOT_PUBLIC)


def literal(host: str) -> Address | None:
    """The address if the host *is* one, in any of the spellings a resolver accepts; None for a
    name."""
    bare = host.rstrip(".")
    try:
        return ip_address(bare)
    except ValueError:
        pass
    try:
        # 127.1, 0x7f000001, 2130706433, 0177.0.0.1: names in form, but addresses to getaddrinfo.
        return IPv4Address(socket.inet_aton(bare))
    except (OSError, UnicodeError):
        return None


def _parsed(value: object) -> URL:
    written = refusing(rules.url, value)
    try:
        url = URL(written)
        kind = BY_SCHEME.get(url.scheme)
        host, port = url.raw_host, kind and port_of(url)
    except ValueError:
        kind = host = port = None
    if kind is None or not host or not port or not _HOST.fullmatch(host):
        raise InvalidRequest(
            f"url must be like {', or like '.join(kind.example for kind in KINDS)}", param="url"
        )
    if not kind.takes_credentials and (url.user is not None or url.password is not None):
        raise InvalidRequest(
            "url must not contain a user name or password; the signature proves who sends",
            param="url",
        )
    if url.raw_fragment:
        raise InvalidRequest("url must not contain a fragment (#…)", param="url")
    kind.check(url)
    return url


def _safe_twin(scheme: str) -> str:
    """The encrypted scheme of the same kind."""
    return next(name for name, (encrypted, _) in BY_SCHEME[scheme].schemes.items() if encrypted)


def _credentials(url: URL) -> str | None:
    """`user:password`, percent-encoded as in the URL."""
    if url.raw_user is None and url.raw_password is None:
        return None
    return f"{url.raw_user or ''}:{url.raw_password or ''}"
