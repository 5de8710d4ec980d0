"""The settings of the HTTP service, and validation of networks and host names."""

import re
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import Annotated

from pydantic import BeforeValidator, Field
from pydantic_settings import BaseSettings, NoDecode

Network = IPv4Network | IPv6Network
LOOPBACK: tuple[Network, ...] = (IPv4Network("127.0.0.0/8"), IPv6Network("::1/128"))

# A name, an address, or all names below one.
_HOST_NAME = re.compile(r"\.?[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*|[0-9A-Fa-f:.]*:[0-9A-Fa-f:.]*|\*")


def _networks(value: object) -> object:
    if isinstance(value, str):
        return tuple(ip_network(part.strip()) for part in value.split(",") if part.strip())
    return value


def _host_names(value: object) -> object:
    if isinstance(value, str):
        names = tuple(part.strip() for part in value.split(",") if part.strip())
        if not all(_HOST_NAME.fullmatch(name) for name in names):
            raise ValueError
        return names
    return value


Networks = Annotated[tuple[Network, ...], NoDecode, BeforeValidator(_networks)]
HostNames = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_host_names)]


class HttpSettings(BaseSettings):
    """A part of `service.settings.Settings`, which says how it is read."""

    # The address that the HTTP service listens on. This machine only, until TLS is in front.
    http_host: str = Field(
        default="127.0.0.1", min_length=1, description="an address or host name to listen on"
    )
    # Host names under which clients call the HTTP service. `localhost` and addresses are always
    # accepted; other names only if listed, as protection against DNS rebinding.
    http_hosts: HostNames = Field(
        default=(),
        description="names under which clients ask, separated by commas, such as"
        " billing.example.com,.internal, or * for any",
    )
    # The port that it listens on: the usual one of Python servers. 0 takes a free one and logs it.
    http_port: int = Field(
        default=8000, ge=0, le=65_535, description="a whole number from 0 (any free one) to 65535"
    )
    # Proxies whose X-Forwarded-For is trusted. None by default: any client can write that header.
    http_trusted_proxies: Networks = Field(
        default=(),
        description="networks of proxies whose X-Forwarded-For is believed, separated by commas",
    )
    # Whether each answered request is logged. Off: successes are in the rows and the metrics,
    # refusals are logged anyway, and a line costs a tenth of a request.
    http_access_log: bool = Field(default=False, description="true or false")
    # The rate limit of one API key, in each process. Three times what a process accepts (0.66 ms of
    # a core per charge); lower it if producers share a process, so that the busiest leaves room.
    http_key_rate: float = Field(
        default=5_000.0, ge=0, description="requests per second of one API key; 0 for no limit"
    )
    # The rate limit of one client address. Off: callers behind an untrusted proxy share one.
    http_address_rate: float = Field(
        default=0.0, ge=0, description="requests per second of one address; 0 for no limit"
    )
    # The rate limit of refused requests of one address. Keys can't be guessed; this spares the log
    # and the database, and never limits a valid key.
    http_refused_rate: float = Field(
        default=10.0,
        ge=0,
        description="requests per second of one address with a wrong key or scope; 0 for no limit",
    )
