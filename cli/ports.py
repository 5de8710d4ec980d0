"""Ports of this machine: whether one can be listened on, and which is free."""

import errno
import socket

from cli.output import Failed
from service.settings import Settings, variable

LOOPBACK = "127.0.0.1"
# Where to look for another port than the usual one: people remember it.
NEIGHBOURS = range(8001, 8100)
FLOWER_PORT = 5555  # its own default, where people look first


def require_free(host: str, port: int, *, asked_by: str | None = None) -> None:
    """Raise Failed, with the way out, when a server could not listen there now. `asked_by` is the
    variable that asks for the port.

    Port 0 is always free, so that it tells of the host alone.
    """
    failures = _failures(host, port)
    if any(failure.errno == errno.EADDRINUSE for failure in failures):
        raise Failed(
            f"port {port} of {host} is taken by another service: stop that, or choose another"
            f" port, such as {asked_by or variable('http_port')}={free(*NEIGHBOURS, host=host)}"
        )
    if failures:
        raise Failed(
            f"nothing can be served at {host}{f':{port}' if port else ''}"
            f" ({failures[0].strerror}); see {variable('http_host')} and {variable('http_port')}"
        )


def free(*wished: int, host: str = LOOPBACK) -> int:
    """The first of the wished ports that is free, or else one that is."""
    for port in wished:
        if port and not _failures(host, port):
            return port
    with socket.create_server((LOOPBACK, 0)) as probe:
        return int(probe.getsockname()[1])


def _failures(host: str, port: int) -> list[OSError]:
    """Why a server could not listen there; empty if it could."""
    try:
        places = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except OSError as unknown:  # a name of no machine
        return [unknown]
    failures = []
    for family, _, _, _, address in places:
        try:
            with socket.socket(family, socket.SOCK_STREAM) as probe:
                # As servers do: connections left from an earlier server don't block the port.
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                if family == socket.AF_INET6:
                    probe.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
                probe.bind(address)
        except OSError as failure:
            failures.append(failure)
    taken = [failure for failure in failures if failure.errno == errno.EADDRINUSE]
    # One address is enough: `localhost` has one in IPv6, which a container often hasn't.
    return taken or (failures if len(failures) == len(places) else [])


def url_of(settings: Settings) -> str:
    """Where a client on this machine finds the HTTP door."""
    everywhere = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}  # noqa: S104  # compared, not listened on
    host = settings.http_host
    host = everywhere.get(host, f"[{host}]" if ":" in host else host)
    return f"http://{host}:{settings.http_port}"
