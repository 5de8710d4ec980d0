"""The exchange of an AMQP 0-9-1 broker, such as RabbitMQ: published, routed, and confirmed.

A message is delivered once the broker has confirmed it; one that no queue takes is returned
(`mandatory`), and counts as not delivered.
"""

import logging
from typing import Any

from aiormq import exceptions
from aiormq.abc import AbstractChannel
from aiormq.connection import Connection, TransportFactory
from pamqp.commands import Basic
from pamqp.commands import Connection as Commands
from pamqp.exceptions import PAMQPException
from yarl import URL

from payments.webhooks.targets.streams import Stream
from payments.webhooks.targets.target_port import Line, Message, NotTaken
from payments.webhooks.targets.urls import amqp_route

PERSISTENT = 2
HEARTBEAT_S = 30
# Reply codes of AMQP 0-9-1 (1.2).
ACCESS_REFUSED, NOT_ALLOWED = 403, 530
# The second is what aiormq raises for a channel that was closed in the meantime.
_ERRORS = (exceptions.AMQPError, exceptions.ChannelInvalidStateError)
# Attempts record what it logs; and its log names brokers and their users.
logging.getLogger("aiormq").setLevel(logging.CRITICAL)


async def open_line(stream: Stream, message: Message) -> Line:
    """Log in, and open a channel with confirms. Raises NotTaken, OSError."""
    url = URL(message.url, encoded=True)
    user, _, password = (message.credentials or "guest:guest").partition(":")
    broker = URL.build(
        scheme=url.scheme,
        authority=f"{user}:{password}@broker",  # a dummy host: the stream is connected already
        path=url.raw_path,
        query_string=f"heartbeat={HEARTBEAT_S}",
        encoded=True,
    )
    connection = _Connection(broker, transport_factory=_Given(stream))
    try:
        await connection.connect()
        channel = await connection.channel(publisher_confirms=True)
    except PAMQPException:
        raise NotTaken("bad_response") from None
    except _ERRORS as error:
        raise _refusal(error) from None
    return _Channel(connection, channel, stream)


class _Connection(Connection):
    """aiormq's connection, which reports why a broker closes it while it is being opened."""

    @staticmethod
    async def _rpc(request: Any, writer: Any, frame_receiver: Any, *more: Any, **named: Any) -> Any:
        heard: Any = _Heard(frame_receiver)
        overridden = Connection._rpc  # noqa: SLF001
        return await overridden(request, writer, heard, *more, **named)


class _Heard:
    """Frames; a close frame raises the reason that it gives."""

    def __init__(self, frames: Any) -> None:
        self._frames = frames

    async def get_frame(self) -> Any:
        weight, channel, frame = await self._frames.get_frame()
        if isinstance(frame, Commands.Close):
            if frame.reply_code == ACCESS_REFUSED:
                raise exceptions.ProbableAuthenticationError(frame.reply_text)
            raise exceptions.ConnectionClosed(frame.reply_code, frame.reply_text)
        return weight, channel, frame


class _Given(TransportFactory):
    """Hands over an existing stream."""

    def __init__(self, stream: Stream) -> None:
        self._stream = stream

    async def create(self, url: URL, **_: Any) -> tuple[Any, Any]:
        return self._stream.reader, self._stream.writer


class _Channel:
    """The only channel of a connection."""

    def __init__(self, connection: Connection, channel: AbstractChannel, stream: Stream) -> None:
        self._connection, self._channel, self._stream = connection, channel, stream

    @property
    def is_open(self) -> bool:
        return self._connection.is_opened and not self._channel.is_closed

    async def send(self, message: Message) -> str | None:
        route = amqp_route(URL(message.url, encoded=True))
        try:
            await self._channel.basic_publish(
                message.body,
                exchange=route.exchange,
                routing_key=route.key_for(message.body),
                mandatory=True,
                properties=Basic.Properties(
                    content_type="application/json",
                    delivery_mode=PERSISTENT,
                    message_id=message.headers["webhook-id"],
                    headers=dict(message.headers),
                ),
            )
        except _ERRORS as error:
            raise _refusal(error) from None
        return None

    async def close(self) -> None:
        await self._connection.close()


def _refusal(error: Exception) -> Exception:
    """The broker's error as NotTaken; or an OSError for a broken connection."""
    match error:
        case exceptions.PublishError():
            return NotTaken("unroutable", str(error.args[0]))
        case exceptions.DeliveryError():
            return NotTaken("target_refused", "the broker did not confirm it: nack")
        case exceptions.ChannelNotFoundEntity():
            return NotTaken("target_not_found", str(error))
        case (
            exceptions.ProbableAuthenticationError()
            | exceptions.AuthenticationError()
            | exceptions.ChannelAccessRefused()
        ):
            return NotTaken("authentication_failed", str(error))
        case exceptions.ConnectionClosed(args=(code, said)) if code == NOT_ALLOWED:
            # The virtual host.
            is_missing = "not found" in said
            return NotTaken("target_not_found" if is_missing else "authentication_failed", said)
        case exceptions.IncompatibleProtocolError() | exceptions.ProtocolSyntaxError():
            return NotTaken("bad_response")
        case exceptions.AMQPConnectionError() | exceptions.ChannelInvalidStateError():
            return ConnectionResetError("the broker hung up")
    return NotTaken("target_refused", str(error))
