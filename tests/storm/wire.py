"""The wires between our processes and their servers: TCP proxies that break as networks do.

A wire can be cut at once, cut in the middle of what it carries, or fall silent: then it still
acknowledges, and forwards nothing. One to PostgreSQL also knows where a transaction ends, so it
can be cut right before a COMMIT arrives (it is rolled back), right after it was done and before
its answer (the client can't know), or in the middle of that answer.

The protocol: https://www.postgresql.org/docs/current/protocol-message-formats.html
"""

import asyncio
import struct
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from random import Random
from typing import Any, Literal, TypeVar
from urllib.parse import urlsplit, urlunsplit

from tests.support.waiting import patience_s

T = TypeVar("T")
CommitCut = Literal["before", "after", "half"]

# The three requests that a client may send before it says who it is, each without a type byte.
SSL_REQUEST, GSS_REQUEST, CANCEL_REQUEST = 80877103, 80877104, 80877102
_COMMIT = b"COMMIT"


class Asked:
    """What a client of PostgreSQL sends, followed from frame to frame."""

    def __init__(self) -> None:
        self._buffer = b""
        self._position = 0  # of the buffer's begin in the whole stream
        self._started = False
        # How many single bytes the server answers before it speaks in frames.
        self.refusals_expected = 0

    def feed(self, data: bytes) -> list[tuple[int, int]]:
        """Begin and end in the stream of each COMMIT that is whole now."""
        self._buffer += data
        found = []
        while (length := self._next()) is not None:
            frame, self._buffer = self._buffer[:length], self._buffer[length:]
            begin, self._position = self._position, self._position + length
            if not self._started:
                (code,) = struct.unpack_from("!I", frame, 4)
                if code in (SSL_REQUEST, GSS_REQUEST):
                    self.refusals_expected += 1
                elif code != CANCEL_REQUEST:
                    self._started = True
            elif _asks_to_commit(frame):
                found.append((begin, begin + length))
        return found

    def _next(self) -> int | None:
        head = 5 if self._started else 8
        if len(self._buffer) < head:
            return None
        (length,) = struct.unpack_from("!I", self._buffer, 1 if self._started else 0)
        if length < (4 if self._started else 8):
            self._buffer = b""  # not PostgreSQL's protocol: carried, and not understood
            return None
        length += 1 if self._started else 0
        return length if len(self._buffer) >= length else None


def _asks_to_commit(frame: bytes) -> bool:
    kind, payload = frame[:1], frame[5:]
    if kind == b"P":  # Parse: the name of the statement, then its text
        payload = payload.partition(b"\0")[2]
    elif kind != b"Q":
        return False
    return payload.lstrip()[: len(_COMMIT)].upper() == _COMMIT


class Answered:
    """What PostgreSQL answers, followed from frame to frame."""

    def __init__(self, asked: Asked) -> None:
        self._asked = asked
        self._buffer = b""
        self._position = 0

    def feed(self, data: bytes) -> list[tuple[int, int]]:
        """Begin and end in the stream of each CommandComplete of a COMMIT that is whole now."""
        self._buffer += data
        found = []
        while self._buffer and self._asked.refusals_expected:
            self._asked.refusals_expected -= 1
            self._buffer, self._position = self._buffer[1:], self._position + 1
        while len(self._buffer) >= 5:
            length = 1 + struct.unpack_from("!I", self._buffer, 1)[0]
            if not 5 <= length <= len(self._buffer):
                break
            frame, self._buffer = self._buffer[:length], self._buffer[length:]
            begin, self._position = self._position, self._position + length
            if frame[:1] == b"C" and frame[5:].startswith(_COMMIT):
                found.append((begin, begin + length))
        return found


class _Side(asyncio.Protocol):
    """One of the two connections of a link."""

    def __init__(self, link: "_Link", *, is_client: bool) -> None:
        self.link = link
        self.is_client = is_client
        self.transport: asyncio.Transport | None = None
        self.carried = 0  # bytes that came from here
        self.early: list[bytes] = []  # came before the other side was there

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        if self.is_client:
            self.link.open()

    def data_received(self, data: bytes) -> None:
        self.link.carry(self, data)

    def connection_lost(self, error: Exception | None) -> None:
        self.link.lost(self)


class _Link:
    """A client's connection, and the one to the server that belongs to it."""

    def __init__(self, wire: "Wire") -> None:
        self.wire = wire
        self.client = _Side(self, is_client=True)
        self.server = _Side(self, is_client=False)
        self.asked = Asked()
        self.answered = Answered(self.asked)
        self.held: list[tuple[_Side, bytes]] = []
        self.silent = wire.silent
        self.cut_after: int | None = None  # so many bytes more, either way
        self.ended = False
        self.waits_for_end = False

    def open(self) -> None:
        self.wire.links.add(self)
        task = asyncio.ensure_future(self._connect())
        self.wire.tasks.add(task)
        task.add_done_callback(self.wire.tasks.discard)

    async def _connect(self) -> None:
        try:
            await asyncio.get_running_loop().create_connection(
                lambda: self.server, *self.wire.server_at
            )
        except OSError:
            self.abort()
            return
        early, self.client.early = self.client.early, []
        for data in early:
            self.carry(self.client, data)
        if self.ended and self.server.transport:
            self.server.transport.abort()

    def carry(self, side: _Side, data: bytes) -> None:
        other = self.server if side.is_client else self.client
        if other.transport is None:
            side.early.append(data)
            return
        if self.silent:
            self.held.append((side, data))  # read, and so acknowledged
            return
        begin, side.carried = side.carried, side.carried + len(data)
        cut_at: int | None = None
        if self.wire.speaks_postgres:
            cut_at = self._commit_to_cut(side, data)
        if cut_at is None and self.cut_after is not None:
            self.cut_after -= len(data)
            if self.cut_after < 0:
                cut_at = side.carried + self.cut_after
                self.wire.counts["cut in mid-byte"] += 1
        if cut_at is None:
            other.transport.write(data)
            return
        other.transport.write(data[: max(0, cut_at - begin)])
        self.abort(after_flush=other)

    def _commit_to_cut(self, side: _Side, data: bytes) -> int | None:
        """Where in the stream to cut for a COMMIT or its answer in this piece, if we are to."""
        if side.is_client:
            for begin, _ in self.asked.feed(data):
                if self.wire.wants_to_cut("before"):
                    return begin
            return None
        for begin, end in self.answered.feed(data):
            if self.wire.wants_to_cut("after"):
                return begin
            if self.wire.wants_to_cut("half"):
                return (begin + end) // 2
        return None

    def speak(self) -> None:
        """Hand over what was held back, and go on."""
        self.silent = False
        held, self.held = self.held, []
        for side, data in held:
            if not self.ended:
                self.carry(side, data)
        if self.waits_for_end:
            self.abort()

    def lost(self, _: _Side) -> None:
        if self.silent and not self.ended:
            self.waits_for_end = True  # the other side isn't even told that this one has gone
            return
        self.abort()

    def abort(self, *, after_flush: _Side | None = None) -> None:
        self.ended = True
        self.wire.links.discard(self)
        for side in (self.client, self.server):
            if side.transport is None:
                continue
            if side is after_flush:
                side.transport.close()  # what was carried before the cut arrives
            else:
                side.transport.abort()


class Wire:
    """A proxy on a port of 127.0.0.1 before one server. Methods may be called from any thread."""

    def __init__(
        self, host: str, port: int, *, speaks_postgres: bool = False, seed: object = 0
    ) -> None:
        self.server_at = host, port
        self.speaks_postgres = speaks_postgres
        self.links: set[_Link] = set()
        self.tasks: set[asyncio.Future[None]] = set()
        self.silent = False
        self.counts: Counter[str] = Counter()
        self._dice = Random(f"wire {seed}")
        self._cuts: dict[str, tuple[int, float]] = {}
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="wire", daemon=True)
        self._thread.start()
        self._listener = self._run(
            self._loop.create_server(lambda: _Link(self).client, "127.0.0.1", 0, backlog=512)
        )
        self.port: int = self._listener.sockets[0].getsockname()[1]

    def url(self, url: str) -> str:
        """The same URL, of any scheme, by way of this wire."""
        parts = urlsplit(url)
        user, at, _ = parts.netloc.rpartition("@")
        return urlunsplit(parts._replace(netloc=f"{user}{at}127.0.0.1:{self.port}"))

    def cut(self, share: float = 1.0) -> int:
        """Break this share of the connections now; returns how many."""

        def do() -> int:
            chosen = [link for link in self._in_order() if self._dice.random() < share]
            for link in chosen:
                link.abort()
            self.counts["cut"] += len(chosen)
            return len(chosen)

        return self._call(do)

    def cut_in_mid_byte(self, share: float = 0.5, *, within: int = 600) -> int:
        """Break this share of them after some more bytes; returns how many are to be."""

        def do() -> int:
            chosen = [link for link in self._in_order() if self._dice.random() < share]
            for link in chosen:
                link.cut_after = self._dice.randrange(within)
            return len(chosen)

        return self._call(do)

    def cut_commits(self, how: CommitCut, *, times: int, chance: float) -> None:
        """Cut the next so many COMMITs, each with this chance; `times=0` ends it."""

        def do() -> None:
            self._cuts[how] = (times, chance)

        self._call(do)

    def wants_to_cut(self, how: CommitCut) -> bool:
        times, chance = self._cuts.get(how, (0, 0.0))
        if not times or self._dice.random() >= chance:
            return False
        self._cuts[how] = (times - 1, chance)
        self.counts[f"cut {how} a COMMIT's answer" if how != "before" else "cut before COMMIT"] += 1
        return True

    def fall_silent(self) -> None:
        """Acknowledge everything and forward nothing, on all connections, old and new."""

        def do() -> None:
            self.silent = True
            for link in self.links:
                link.silent = True
            self.counts["silence"] += 1

        self._call(do)

    def speak(self, *, cut: bool = False) -> None:
        """Go on with what was held back, or break all that was silent."""

        def do() -> None:
            self.silent = False
            for link in [*self.links]:
                if cut and link.silent:
                    link.abort()
                else:
                    link.speak()

        self._call(do)

    def be_calm(self) -> None:
        """No more faults."""

        def do() -> None:
            self._cuts.clear()
            for link in self.links:
                link.cut_after = None

        self.speak(cut=True)
        self._call(do)

    def close(self) -> None:
        async def end() -> None:
            self._listener.close()
            for link in [*self.links]:
                link.abort()
            await asyncio.sleep(0)

        self._run(end())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(patience_s())
        self._loop.close()

    def _in_order(self) -> list[_Link]:
        """A set has no order, and the dice shall fall alike for the same connections."""
        return sorted(self.links, key=lambda link: link.client.carried)

    def _call(self, do: Callable[[], T]) -> T:
        async def it() -> T:
            return do()

        return self._run(it())

    def _run(self, coroutine: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(patience_s())


@contextmanager
def wire_to(url: str, *, speaks_postgres: bool = False, seed: object = 0) -> Iterator[Wire]:
    """A wire to the server of this URL, until the end of the `with`."""
    parts = urlsplit(url)
    assert parts.hostname
    assert parts.port
    wire = Wire(parts.hostname, parts.port, speaks_postgres=speaks_postgres, seed=seed)
    try:
        yield wire
    finally:
        wire.close()
