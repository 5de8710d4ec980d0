"""A DNS server of a few lines that answers as a test says, and a resolver that asks it (RFC 1035).

The system's resolver asks whom /etc/resolv.conf names, on port 53, which a test can't have.
"""

import asyncio
import socket
import struct
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from ipaddress import ip_address
from secrets import randbelow

from aiohttp.abc import AbstractResolver, ResolveResult

# Of a name, the addresses to answer with; None = no answer at all, none = there is no such name.
Answers = Callable[[str], Sequence[str] | None]

_HEADER = struct.Struct("!6H")
_A, _AAAA = 1, 28


class NameServer:
    """Where it listens, and the names that it was asked for."""

    def __init__(self, line: socket.socket, answers: Answers) -> None:
        self.address: tuple[str, int] = line.getsockname()
        self.asked: list[str] = []
        self._line, self._answers = line, answers

    def serve(self) -> None:
        while True:
            query, client = self._line.recvfrom(4096)
            if not query:  # the end
                return
            name, question = _question(query)
            self.asked.append(name)
            addresses = self._answers(name)
            if addresses is not None:
                self._line.sendto(_answer(query, question, addresses), client)

    def resolver(self) -> AbstractResolver:
        """What asks it, on an event loop."""
        return _Resolver(self.address)


@contextmanager
def name_server(answers: Answers) -> Iterator[NameServer]:
    """A server on a free UDP port of 127.0.0.1."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as line:
        line.bind(("127.0.0.1", 0))
        server = NameServer(line, answers)
        thread = threading.Thread(target=server.serve, daemon=True)
        thread.start()
        try:
            yield server
        finally:
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
                other.sendto(b"", server.address)
            thread.join()


class _Resolver(AbstractResolver):
    def __init__(self, server: tuple[str, int]) -> None:
        self._server = server

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        loop, number = asyncio.get_running_loop(), randbelow(65_536)
        labels = b"".join(
            bytes([len(part)]) + part.encode() for part in host.rstrip(".").split(".")
        )
        query = _HEADER.pack(number, 0x0100, 1, 0, 0, 0) + labels + b"\0\0\x01\0\x01"
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as line:
            line.setblocking(False)
            line.connect(self._server)
            await loop.sock_sendall(line, query)
            answer = await loop.sock_recv(line, 4096)
        found = _addresses(answer)
        if not found:
            raise OSError(socket.EAI_NONAME, "no such name")
        return [
            ResolveResult(
                hostname=host,
                host=one,
                port=port,
                family=socket.AF_INET6 if ":" in one else socket.AF_INET,
                proto=0,
                flags=0,
            )
            for one in found
        ]

    async def close(self) -> None:
        pass


def _question(query: bytes) -> tuple[str, bytes]:
    """The name that is asked for, and the question as it stands."""
    labels, at = [], _HEADER.size
    while length := query[at]:
        labels.append(query[at + 1 : at + 1 + length].decode())
        at += 1 + length
    return ".".join(labels), query[_HEADER.size : at + 5]


def _answer(query: bytes, question: bytes, addresses: Sequence[str]) -> bytes:
    """The answer: of each address a record that points at the name, and lives for no time."""
    number = _HEADER.unpack_from(query)[0]
    flags = 0x8180 if addresses else 0x8183  # NXDOMAIN
    head = _HEADER.pack(number, flags, 1, len(addresses), 0, 0)
    records = b""
    for address in map(ip_address, addresses):
        kind = _A if address.version == 4 else _AAAA
        packed = address.packed
        records += b"\xc0\x0c" + struct.pack("!HHIH", kind, 1, 0, len(packed)) + packed
    return head + question + records


def _addresses(answer: bytes) -> list[str]:
    count, at, found = _HEADER.unpack_from(answer)[3], _HEADER.size, []
    at += len(_question(answer)[1])
    for _ in range(count):
        length = struct.unpack_from("!H", answer, at + 10)[0]
        found.append(str(ip_address(answer[at + 12 : at + 12 + length])))
        at += 12 + length
    return found
