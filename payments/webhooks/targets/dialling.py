"""A stream to a host: its name resolved, every address checked and dialled, TLS verified."""

import asyncio
import socket
import ssl
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import aiohappyeyeballs
from aiohttp.abc import AbstractResolver

from payments.webhooks.records.phases import DIALLING, Line
from payments.webhooks.target import TargetCheck, TargetRefused, literal
from payments.webhooks.targets.resolving import CheckedResolver, ResolverAway, Watch
from payments.webhooks.targets.streams import Reader, Stream
from payments.webhooks.targets.target_port import Limits, NotTaken

# Seconds before the next address is dialled beside a slow one: RFC 8305, section 5.
NEXT_ADDRESS_S = 0.25


class _Address(NamedTuple):
    family: int
    ip: str

    def info(self, port: int) -> tuple[int, int, int, str, tuple[str, int]]:
        """In the form of getaddrinfo."""
        return self.family, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", (self.ip, port)


class Dialler:
    """Dials for all queues of a process. Made and closed on the event loop that uses it."""

    def __init__(
        self,
        target_check: TargetCheck,
        *,
        limits: Limits,
        tls: ssl.SSLContext,
        resolver: Callable[[], AbstractResolver],
        watch: Watch,
    ) -> None:
        self._check, self._limits, self._tls = target_check, limits, tls
        self._resolvers = {
            encrypted: CheckedResolver(
                target_check, encrypted=encrypted, resolver=resolver(), watch=watch
            )
            for encrypted in (False, True)
        }

    async def close(self) -> None:
        for resolver in self._resolvers.values():
            await resolver.close()

    async def dial(self, host: str, port: int, *, encrypted: bool) -> Stream:
        """A stream to the host. Only checked addresses are dialled.

        Raises NotTaken, TargetRefused, ssl.SSLError, OSError.
        """
        addresses = await self._addresses(host, port, encrypted=encrypted)
        try:
            async with asyncio.timeout(self._limits.connect_s):
                return await self._stream(addresses, host, port, encrypted=encrypted)
        except TimeoutError:
            raise NotTaken("connect_timeout") from None

    async def _addresses(self, host: str, port: int, *, encrypted: bool) -> Sequence[_Address]:
        if (ip := literal(host)) is not None:
            self._check.refuse(str(ip), encrypted=encrypted)
            family = socket.AF_INET if ip.version == 4 else socket.AF_INET6
            return [_Address(family, str(ip))]
        try:
            found = await self._resolvers[encrypted].resolve(host, port, socket.AF_UNSPEC)
        except (ResolverAway, TargetRefused):
            raise
        except OSError:
            raise NotTaken("dns_failed") from None
        if not found:
            raise NotTaken("dns_failed")
        return [_Address(one["family"], one["host"]) for one in found]

    async def _stream(
        self, addresses: Sequence[_Address], host: str, port: int, *, encrypted: bool
    ) -> Stream:
        loop, dialling = asyncio.get_running_loop(), DIALLING.get()
        line, ip = await self._connected(addresses, port, encrypted=encrypted)
        if dialling is not None:
            dialling.line = Line(encrypted)
        reader = Reader(loop=loop)
        protocol = asyncio.StreamReaderProtocol(reader, loop=loop)
        transport, _ = await loop.create_connection(
            lambda: protocol,
            sock=line,
            ssl=self._tls if encrypted else None,
            # Certificates omit the dot that may end a name.
            server_hostname=host.rstrip(".") if encrypted else None,
        )
        if dialling is not None and dialling.line is not None:
            dialling.line.is_ready()
        writer = asyncio.StreamWriter(transport, protocol, reader, loop)
        return Stream(reader, writer, host, port, ip)

    async def _connected(
        self, addresses: Sequence[_Address], port: int, *, encrypted: bool
    ) -> tuple[socket.socket, str]:
        """The first address that answers; the next is tried beside a slow one (RFC 8305)."""

        def checked_socket(info: Any) -> socket.socket:
            """The last check, at the moment at which an address is dialled."""
            family, kind, protocol, _, (ip, *_) = info
            self._check.refuse(ip, encrypted=encrypted)
            if (dialling := DIALLING.get()) is not None:
                dialling.dials(ip)
            return socket.socket(family, kind, protocol)

        line = await aiohappyeyeballs.start_connection(
            [one.info(port) for one in addresses],
            happy_eyeballs_delay=NEXT_ADDRESS_S,
            socket_factory=checked_socket,
        )
        return line, str(line.getpeername()[0])
