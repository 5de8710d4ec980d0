"""kombu's AMQP transport, made safe: no message in a queue can break the connection.

py-amqp raises what its decoder raises: a timestamp past the year 9999, a table a thousand levels
deep, a content type that is not UTF-8. The connection breaks, RabbitMQ delivers the message to the
next worker, and so on. Here such properties are replaced by a note about them, and the message goes
into quarantine like any other broken one.
"""

import errno
import functools
import selectors
import struct
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import kombu.transport
from amqp import RecoverableConnectionError
from amqp.basic_message import Message
from amqp.transport import SSLTransport as AmqpSSLTransport
from amqp.transport import TCPTransport
from kombu.transport import pyamqp

from worker.envelope import UNREADABLE, Reason
from worker.transport.purging import refuse_purge

SCHEMES = {
    "amqp": "worker.transport.rabbitmq:Transport",
    "amqps": "worker.transport.rabbitmq:SSLTransport",
}
# The errors of a socket without data yet; TLS has the last.
NOTHING_YET = (errno.EAGAIN, errno.EINTR, errno.ENOENT)
# The rest of a frame follows its beginning at once.
FRAME_S = 5.0
# A message is three frames: this many are read before other work on the loop continues.
FRAMES_MAX = 3 * 64
# How much is read at once, if available.
AHEAD = 64 * 1024
# A frame: its type, channel and size; its payload; and its end. (AMQP 0-9-1, 4.2.3)
HEADER, FRAME_END = struct.Struct(">BHI"), 0xCE
FRAME_AROUND = HEADER.size + 1
# How much is kept of unreadable properties.
HEX_MAX_BYTES = 4096

_load_properties = Message._load_properties  # noqa: SLF001  # what is replaced


def register() -> None:
    """Make amqp:// and amqps:// mean this transport, in this process."""
    # py-amqp creates its messages in a closure, without a way to set their class.
    Message._load_properties = _readable_properties  # noqa: SLF001
    for scheme, transport in SCHEMES.items():
        kombu.transport.TRANSPORT_ALIASES[scheme] = transport
        kombu.transport._transport_cache.pop(scheme, None)  # noqa: SLF001  # no other way


def _readable_properties(self: Any, class_id: int, buffer: Any, offset: int) -> int:
    """Like py-amqp's; unreadable properties become properties that say so. Never raises."""
    try:
        return int(_load_properties(self, class_id, buffer, offset))
    except Exception as error:  # noqa: BLE001  # any error of the decoder
        raw = bytes(buffer[offset:])
        self.properties = {
            "content_type": UNREADABLE,
            "application_headers": {
                "reason": Reason(f"unreadable properties: {type(error).__name__}"),
                "size": 0,
                "properties": raw[:HEX_MAX_BYTES].hex(),
            },
        }
        return offset + len(raw)


class Channel(pyamqp.Channel):  # type: ignore[misc]  # kombu has no types here
    def __init__(self, *args: Any, **options: Any) -> None:
        # The tags that were delivered and are not acknowledged, in order. Celery's threads
        # acknowledge, too.
        self._unanswered: dict[int, None] = {}
        self._answering = threading.Lock()
        super().__init__(*args, **options)

    def _on_basic_deliver(self, consumer_tag: str, delivery_tag: int, *rest: Any) -> None:
        if consumer_tag not in self.no_ack_consumers:
            with self._answering:
                self._unanswered[delivery_tag] = None
        super()._on_basic_deliver(consumer_tag, delivery_tag, *rest)

    def basic_ack(self, delivery_tag: int, *args: Any, **options: Any) -> None:
        super().basic_ack(delivery_tag, *args, **options)
        self._answered(delivery_tag)

    def basic_reject(self, delivery_tag: int, *args: Any, **options: Any) -> None:
        super().basic_reject(delivery_tag, *args, **options)
        self._answered(delivery_tag)

    def _answered(self, tag: int) -> None:
        # Afterwards: until its own answer is written, `acknowledge` must not include it.
        with self._answering:
            self._unanswered.pop(tag, None)

    def queue_purge(self, queue: str = "", *args: Any, **options: Any) -> Any:
        refuse_purge(queue)
        return super().queue_purge(queue, *args, **options)

    def acknowledge(self, tags: Sequence[int]) -> None:
        """Acknowledge delivered messages by their tags: with one command for as many as have only
        tags of this list before them."""
        left, last = set(tags), 0
        with self._answering:
            for tag in self._unanswered:
                if tag not in left:
                    break
                left.remove(tag)
                last = tag
        if last:
            super().basic_ack(last, multiple=True)
        for tag in left:
            super().basic_ack(tag)
        with self._answering:
            for tag in tags:
                self._unanswered.pop(tag, None)

    @staticmethod
    def message_of(_: str | None, message: Any) -> Any:
        """What was delivered, as a kombu message: it is one."""
        return message


class _Deadlined:
    """For a transport of py-amqp, which loops for ever if the peer stops in the middle of a
    frame."""

    _is_in_frame = False
    _quick_recv: Callable[[int], bytes]
    # Data read ahead, and how much of it is used.
    _ahead, _at = b"", 0
    _reads_ahead = False

    def _setup_transport(self) -> None:
        super()._setup_transport()  # type: ignore[misc]  # py-amqp's
        self._quick_recv = functools.partial(self._receive, self._quick_recv)

    def _read(self, n: int, initial: bool = False) -> bytes:
        self._is_in_frame = not initial
        return bytes(super()._read(n, initial))  # type: ignore[misc]  # py-amqp's

    def read_frames(self, frames_max: int) -> Iterator[Any]:
        """The available frames, up to `frames_max`, read many at a time. Raises what `read_frame`
        raises if there is nothing more: TimeoutError."""
        for _ in range(frames_max):
            frame = self._frame_at_hand()
            if frame is None:
                self._reads_ahead = True
                try:
                    with self.having_timeout(0):  # type: ignore[attr-defined]  # py-amqp's
                        frame = self.read_frame()  # type: ignore[attr-defined]  # likewise
                finally:
                    self._reads_ahead = False
            yield frame

    def _frame_at_hand(self) -> Any:
        """A frame that is completely read, as `read_frame` returns it; else None."""
        ahead, at = self._ahead, self._at
        if len(ahead) - at < FRAME_AROUND:
            return None
        kind, channel, size = HEADER.unpack_from(ahead, at)
        end = at + HEADER.size + size
        if len(ahead) <= end or ahead[end] != FRAME_END:
            return None
        self._at = end + 1
        return kind, channel, ahead[at + HEADER.size : end]

    def _receive(self, receive: Callable[[int], bytes], size: int) -> bytes:
        if part := self._ahead[self._at : self._at + size]:
            self._at += len(part)
            return part
        read = self._receive_now(receive, max(size, AHEAD) if self._reads_ahead else size)
        self._ahead, self._at = read, size
        return read[:size]

    def _receive_now(self, receive: Callable[[int], bytes], size: int) -> bytes:
        try:
            return receive(size)
        except OSError as error:
            if not self._is_in_frame or error.errno not in NOTHING_YET:
                raise
        with selectors.DefaultSelector() as selector:
            selector.register(self.sock, selectors.EVENT_READ)  # type: ignore[attr-defined]
            if not selector.select(FRAME_S):
                raise ConnectionResetError("RabbitMQ fell silent in the middle of a frame")
        return receive(size)


class _Tcp(_Deadlined, TCPTransport):  # type: ignore[misc]  # py-amqp has no types
    """Plain."""


class _Tls(_Deadlined, AmqpSSLTransport):  # type: ignore[misc]  # py-amqp has no types
    """With TLS."""


class Connection(pyamqp.Connection):  # type: ignore[misc]  # kombu has no types here
    Channel = Channel

    def Transport(  # noqa: N802  # py-amqp's name for it
        self,
        host: str,
        connect_timeout: float,
        ssl: Any = False,
        read_timeout: float | None = None,
        write_timeout: float | None = None,
        **options: Any,
    ) -> Any:
        return (_Tls if ssl else _Tcp)(
            host,
            connect_timeout=connect_timeout,
            ssl=ssl,
            read_timeout=read_timeout,
            write_timeout=write_timeout,
            **options,
        )


class _ReadsMany:
    """For a transport of kombu, which reads only one message per iteration of its event loop."""

    def _make_reader(self, connection: Any, *_: Any) -> Callable[[Any], None]:
        def read(loop: Any) -> None:
            if not connection.connected:
                raise RecoverableConnectionError("the socket was disconnected")
            try:
                for frame in connection.transport.read_frames(FRAMES_MAX):
                    connection.on_inbound_frame(frame)
            except TimeoutError:
                return
            except OSError as error:
                if error.errno in NOTHING_YET:
                    return
                raise
            # Data read ahead doesn't make a socket readable.
            loop.call_soon(read, loop)

        return read


class Transport(_ReadsMany, pyamqp.Transport):  # type: ignore[misc]  # kombu has no types here
    Connection = Connection


class SSLTransport(_ReadsMany, pyamqp.SSLTransport):  # type: ignore[misc]  # kombu has no types here
    Connection = Connection

    def establish_connection(self) -> Any:
        """Like kombu's, which checks the certificates of all hosts in a list against the first
        one's name."""
        if isinstance(self.client.ssl, dict):
            self.client.ssl = {**self.client.ssl, "server_hostname": self.client.hostname}
        return super().establish_connection()
