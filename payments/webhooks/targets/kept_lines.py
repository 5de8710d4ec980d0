"""What all queues share: connections that are kept open, one per endpoint; deadlines, durations,
error words.

A message waits for its connection and for the target's confirmation, together no longer than a post
may take. If the answer is late, the connection is closed, so that a peer that accepts TCP and then
stays silent blocks nothing behind it.
"""

import asyncio
from collections.abc import Coroutine
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from yarl import URL

from payments.webhooks.connection import BODY_BYTES_MAX
from payments.webhooks.pacing.local_words import RESOLVER_AWAY
from payments.webhooks.reasons import word_for
from payments.webhooks.records import phases
from payments.webhooks.records.phases import DIALLING, Dialling
from payments.webhooks.response_bodies import readable
from payments.webhooks.targets.dialling import Dialler
from payments.webhooks.targets.resolving import Watch
from payments.webhooks.targets.streams import Stream
from payments.webhooks.targets.target_kinds import BY_SCHEME, is_encrypted, port_of
from payments.webhooks.targets.target_port import Answer, Limits, Line, Message, NotTaken

# One connection per endpoint; it is closed after this long without use.
IDLE_S = 30.0
# Seconds for the protocol's closing handshake; after that the stream is cut.
FAREWELL_S = 2.0

_Key = tuple[str, str, str | None]


@dataclass(slots=True)
class _Kept:
    """An open connection, and how many messages are under way over it."""

    line: Line
    stream: Stream
    under_way: int = 0
    ends: asyncio.TimerHandle | None = field(default=None)


class Queues:
    """Sends to queues of every kind. Made and closed on the event loop that uses it."""

    def __init__(self, dialler: Dialler, *, limits: Limits, watch: Watch) -> None:
        self._dialler, self._limits, self._watch = dialler, limits, watch
        self._kept: dict[_Key, _Kept] = {}
        self._opening: dict[_Key, asyncio.Task[_Kept]] = {}
        self._farewells: set[asyncio.Task[None]] = set()
        self._loop = asyncio.get_running_loop()

    async def close(self) -> None:
        """Close all connections, with FAREWELL_S at most for the protocol's handshake."""
        for task in self._opening.values():
            task.cancel()
        for key in list(self._kept):
            self._part_with(key)
        await asyncio.gather(*self._farewells, *self._opening.values(), return_exceptions=True)
        await self._dialler.close()

    async def send(self, message: Message, target: URL) -> Answer:
        """Hand the message over and wait until the target has it, `total_s` at most. Never raises
        for errors of the network or the target."""
        started, dialling, asked = self._loop.time(), Dialling(), phases.Line()
        token = DIALLING.set(dialling)
        key = (message.endpoint_id, message.url, message.credentials)
        kept: _Kept | None = None
        said: str | None = None
        error: str | None = None
        try:
            async with asyncio.timeout(self._limits.total_s):
                kept = await self._line(key, message, target)
                asked.is_asked()
                said = await self._sent(kept, message)
                asked.is_answered()
        except asyncio.CancelledError:
            if _is_being_cancelled():
                raise
            error = "connection_closed"  # as libraries report a connection that ends
        except NotTaken as refusal:
            error, said = refusal.word, refusal.said
            if kept is not None:
                asked.is_answered()
        except Exception as failure:  # noqa: BLE001  # any error is this attempt's answer
            error = word_for(failure)
            is_nowhere = kept is None and not dialling.has_dialled
            if error == "timeout" and is_nowhere and await self._watch.is_away():
                error = RESOLVER_AWAY
            if kept is not None:
                self._part_with(key, kept, at_once=True)
        finally:
            DIALLING.reset(token)
            if kept is not None:
                self._rest(key, kept)
        return Answer(
            round((self._loop.time() - started) * 1000),
            error=error,
            remote_ip=dialling.address if kept is None else kept.stream.remote_ip,
            body=None if not said else readable(said.encode()[:BODY_BYTES_MAX]),
            phases=dialling.phases(asked),
        )

    async def _sent(self, kept: _Kept, message: Message) -> str | None:
        kept.under_way += 1
        try:
            kept.stream.hear()
            return await kept.line.send(message)
        finally:
            kept.under_way -= 1

    async def _line(self, key: _Key, message: Message, target: URL) -> _Kept:
        """The connection to this target: the open one, or one that is opened for all who wait."""
        if (kept := self._kept.get(key)) is not None:
            if kept.line.is_open:
                if kept.ends is not None:
                    kept.ends.cancel()
                return kept
            self._part_with(key, kept, at_once=True)
        if (opening := self._opening.get(key)) is None:
            opening = self._opening[key] = asyncio.create_task(self._opened(key, message, target))
            opening.add_done_callback(partial(self._is_opened, key))
        kept = await asyncio.shield(opening)
        if kept.ends is not None:
            kept.ends.cancel()
        return kept

    async def _opened(self, key: _Key, message: Message, target: URL) -> _Kept:
        speak = BY_SCHEME[target.scheme].opener
        if speak is None:
            raise NotTaken("invalid_url")
        async with asyncio.timeout(self._limits.total_s):
            stream = await self._dialler.dial(
                target.raw_host or "", port_of(target), encrypted=is_encrypted(target.scheme)
            )
            try:
                line = await speak()(stream, message)
            except BaseException:  # the deadline, too
                stream.abort()
                raise
        kept = self._kept[key] = _Kept(line, stream)
        self._rest(key, kept)  # its waiters may have gone
        return kept

    def _is_opened(self, key: _Key, opening: asyncio.Task[_Kept]) -> None:
        self._opening.pop(key, None)
        if not opening.cancelled():
            opening.exception()  # Waiters have the error; if they gave up, it is of no use.

    def _rest(self, key: _Key, kept: _Kept) -> None:
        """Close the connection when nothing is sent over it for a while."""
        if kept.under_way == 0 and self._kept.get(key) is kept:
            if kept.ends is not None:
                kept.ends.cancel()
            kept.ends = self._loop.call_later(IDLE_S, self._part_with, key, kept)

    def _part_with(self, key: _Key, kept: _Kept | None = None, *, at_once: bool = False) -> None:
        """Stop using the connection, and close it properly or, if it hangs, at once."""
        there = self._kept.get(key)
        if there is None or (kept is not None and there is not kept):
            return
        del self._kept[key]
        if there.ends is not None:
            there.ends.cancel()
        if at_once:
            there.stream.abort()
        farewell = asyncio.create_task(_ended(there.stream, there.line.close()))
        self._farewells.add(farewell)
        farewell.add_done_callback(self._farewells.discard)


def _is_being_cancelled() -> bool:
    """Whether the present task is, and not only what it awaits."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


async def _ended(stream: Stream, farewell: Coroutine[Any, Any, None]) -> None:
    try:
        async with asyncio.timeout(FAREWELL_S):
            await farewell
    except Exception:  # noqa: BLE001, S110  # it ends in any case
        pass
    finally:
        stream.abort()
