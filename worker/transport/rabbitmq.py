"""kombu's AMQP transport, made safe: nothing that lies in a queue breaks the connection.

py-amqp raises what its decoder raises: a timestamp past the year 9999, a table a thousand deep, a
content type that is no UTF-8. The connection breaks, RabbitMQ hands the message to the next worker,
and so on. Here such properties are replaced by a word about them, and the message goes its way
into quarantine like any other that is broken.
"""

import errno
import functools
import selectors
from collections.abc import Callable
from typing import Any

import kombu.transport
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
# What a socket says when nothing has come yet; TLS says the last.
NOTHING_YET = (errno.EAGAIN, errno.EINTR, errno.ENOENT)
# The rest of a frame follows its beginning at once.
FRAME_S = 5.0
# Of properties that could not be read, so much is kept.
HEX_MAX_BYTES = 4096

_load_properties = Message._load_properties  # noqa: SLF001  # what is replaced


def register() -> None:
    """Make amqp:// and amqps:// mean this transport, in this process."""
    # py-amqp makes its messages in a closure and lets nobody say of which class.
    Message._load_properties = _readable_properties  # noqa: SLF001
    for scheme, transport in SCHEMES.items():
        kombu.transport.TRANSPORT_ALIASES[scheme] = transport
        kombu.transport._transport_cache.pop(scheme, None)  # noqa: SLF001  # no other way


def _readable_properties(self: Any, class_id: int, buffer: Any, offset: int) -> int:
    """As py-amqp's; what it can't read becomes properties that say so. Raises nothing."""
    try:
        return int(_load_properties(self, class_id, buffer, offset))
    except Exception as error:  # noqa: BLE001  # whatever the decoder stumbles over
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
    def queue_purge(self, queue: str = "", *args: Any, **options: Any) -> Any:
        refuse_purge(queue)
        return super().queue_purge(queue, *args, **options)


class _Deadlined:
    """Of a transport of py-amqp, which spins for ever when the other side stops in mid-frame."""

    _is_in_frame = False
    _quick_recv: Callable[[int], bytes]

    def _setup_transport(self) -> None:
        super()._setup_transport()  # type: ignore[misc]  # py-amqp's
        self._quick_recv = functools.partial(self._receive, self._quick_recv)

    def _read(self, n: int, initial: bool = False) -> bytes:
        self._is_in_frame = not initial
        return bytes(super()._read(n, initial))  # type: ignore[misc]  # py-amqp's

    def _receive(self, receive: Callable[[int], bytes], size: int) -> bytes:
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


class Transport(pyamqp.Transport):  # type: ignore[misc]  # kombu has no types here
    Connection = Connection


class SSLTransport(pyamqp.SSLTransport):  # type: ignore[misc]  # kombu has no types here
    Connection = Connection

    def establish_connection(self) -> Any:
        """As kombu's, which keeps the first host's name for the certificates of all in a list."""
        if isinstance(self.client.ssl, dict):
            self.client.ssl = {**self.client.ssl, "server_hostname": self.client.hostname}
        return super().establish_connection()
