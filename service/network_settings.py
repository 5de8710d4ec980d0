"""What the settings of networks and names of hosts may be."""

import re
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import Annotated

from pydantic import BeforeValidator
from pydantic_settings import NoDecode

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
