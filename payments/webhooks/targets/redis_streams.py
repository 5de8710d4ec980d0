"""A stream of a Redis server, or a compatible one: each message is an entry of it.

A message is delivered once the server has returned the entry's id. Waiting messages go in one
write, and are answered in order.
"""

import asyncio
import re
from collections.abc import Sequence
from contextlib import suppress
from typing import Any
from urllib.parse import unquote

from redis import exceptions
from redis.asyncio.connection import AbstractConnection
from yarl import URL

from payments.webhooks.targets.streams import Stream
from payments.webhooks.targets.target_port import Line, Message, NotTaken
from payments.webhooks.targets.urls import RedisStream, redis_stream

# The field of an entry that holds the event; the others are named like headers.
BODY = "body"
# The id of an entry: a time and a number.
_ENTRY = re.compile(rb"[0-9]{1,20}-[0-9]{1,20}")
# At most this many in one write, so that none waits long behind others.
TOGETHER_MAX = 64
# Errors of authentication and of permission.
_CLOSED_DOORS = (exceptions.AuthenticationError, exceptions.NoPermissionError)
# An error of one command: the connection stays usable.
_ANSWERS = (exceptions.ResponseError, exceptions.AuthenticationError, exceptions.BusyLoadingError)


async def open_line(stream: Stream, message: Message) -> Line:
    """Log in, and choose the database. Raises NotTaken, OSError."""
    connection = _Connection(stream, message)
    try:
        await connection.connect()  # type: ignore[no-untyped-call]
        if message.credentials is None:
            await _ask_to_come_in(connection)
    except exceptions.RedisError as error:
        raise _refusal(error) from None
    return _Line(connection, stream)


async def _ask_to_come_in(connection: "_Connection") -> None:
    """Check that we are logged in: to an entry from a client without its password, a server only
    says that it is too long."""
    await connection.send_command("PING", check_health=False)
    with suppress(exceptions.NoPermissionError):
        await connection.read_response()


class _Connection(AbstractConnection):
    """redis-py's connection, over an existing stream. Deadlines are the caller's."""

    def __init__(self, stream: Stream, message: Message) -> None:
        user, _, password = (message.credentials or "").partition(":")
        super().__init__(
            db=redis_stream(URL(message.url, encoded=True)).database,
            username=unquote(user) or None,
            password=unquote(password) or None,
            protocol=2,
            socket_timeout=None,
            driver_info=None,
        )
        self._given = stream

    async def read_response(self, *given: Any, **named: Any) -> Any:
        """Like redis-py's, which trusts that a server follows its protocol: here invalid numbers
        and endless lists raise errors. Raises RedisError, OSError."""
        try:
            return await super().read_response(*given, **named)
        except (exceptions.RedisError, OSError):
            raise
        except Exception:  # noqa: BLE001  # any error is due to what the server sent
            raise exceptions.InvalidResponse from None

    def repr_pieces(self) -> list[tuple[str, str | int]]:
        return []

    async def _connect(self) -> None:
        self._reader, self._writer = self._given.reader, self._given.writer

    def _host_error(self) -> str:
        return "the server"


class _Line:
    def __init__(self, connection: _Connection, stream: Stream) -> None:
        self._connection, self._stream = connection, stream
        self._waiting: list[tuple[Sequence[Any], asyncio.Future[str]]] = []
        self._talk: asyncio.Task[None] | None = None
        self._is_broken = False

    @property
    def is_open(self) -> bool:
        is_gone = self._stream.reader.at_eof() or self._stream.writer.is_closing()
        return not self._is_broken and not is_gone

    async def send(self, message: Message) -> str | None:
        answer: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        to = redis_stream(URL(message.url, encoded=True))
        self._waiting.append((_command(to, message), answer))
        if self._talk is None or self._talk.done():
            self._talk = asyncio.create_task(self._say_what_waits())
        return await answer

    async def close(self) -> None:
        self._is_broken = True
        if self._talk is not None:
            self._talk.cancel()
            await asyncio.wait([self._talk])
        await self._connection.disconnect(nowait=True)

    async def _say_what_waits(self) -> None:
        while self._waiting:
            said, self._waiting = self._waiting[:TOGETHER_MAX], self._waiting[TOGETHER_MAX:]
            try:
                await self._talked([command for command, _ in said], [one for _, one in said])
            except (Exception, asyncio.CancelledError) as error:  # noqa: BLE001  # passed to the waiters
                self._is_broken = True
                for _, answer in (*said, *self._waiting):
                    if not answer.done():
                        answer.set_exception(_refusal(error))
                self._waiting.clear()

    async def _talked(
        self, commands: Sequence[Sequence[Any]], answers: Sequence["asyncio.Future[str]"]
    ) -> None:
        connection = self._connection
        await connection.send_packed_command(connection.pack_commands(commands), check_health=False)
        for answer in answers:
            try:
                id_ = await connection.read_response()
            except _ANSWERS as error:
                if not answer.done():
                    answer.set_exception(_refusal(error))
                continue
            if not isinstance(id_, bytes) or not _ENTRY.fullmatch(id_):
                raise exceptions.InvalidResponse
            if not answer.done():  # its waiter may have gone
                answer.set_result(id_.decode())


def _command(to: RedisStream, message: Message) -> Sequence[Any]:
    fields = [text for pair in message.headers.items() for text in pair]
    trimmed = () if to.maxlen is None else ("MAXLEN", "~", to.maxlen)
    return ("XADD", to.name, *trimmed, "*", *fields, BODY, message.body)


def _refusal(error: BaseException) -> BaseException:
    """The server's error as NotTaken; or an OSError for a broken connection."""
    if isinstance(error, _CLOSED_DOORS):
        return NotTaken("authentication_failed", str(error))
    if isinstance(error, exceptions.InvalidResponse):
        return NotTaken("bad_response")
    if isinstance(error, _ANSWERS):
        return NotTaken("target_refused", str(error))
    if isinstance(error, (exceptions.RedisError, OSError, asyncio.CancelledError)):
        return ConnectionResetError("the server hung up")
    return error
