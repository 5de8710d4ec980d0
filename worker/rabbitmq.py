"""kombu's AMQP transport, made safe: nothing that lies in a queue breaks the connection.

py-amqp raises what its decoder raises: a timestamp past the year 9999, a table a thousand deep, a
content type that is no UTF-8. The connection breaks, RabbitMQ hands the message to the next worker,
and so on. Here such properties are replaced by a word about them, and the message goes its way
into quarantine like any other that is broken.
"""

from typing import Any

import kombu.transport
from amqp.basic_message import Message
from kombu.transport import pyamqp

from worker.envelope import UNREADABLE
from worker.purging import refuse_purge

SCHEMES = {"amqp": "worker.rabbitmq:Transport", "amqps": "worker.rabbitmq:SSLTransport"}
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
                "reason": f"unreadable properties: {type(error).__name__}",
                "properties": raw[:HEX_MAX_BYTES].hex(),
            },
        }
        return offset + len(raw)


class Channel(pyamqp.Channel):  # type: ignore[misc]  # kombu has no types here
    def queue_purge(self, queue: str = "", *args: Any, **options: Any) -> Any:
        refuse_purge(queue)
        return super().queue_purge(queue, *args, **options)


class Connection(pyamqp.Connection):  # type: ignore[misc]  # kombu has no types here
    Channel = Channel


class Transport(pyamqp.Transport):  # type: ignore[misc]  # kombu has no types here
    Connection = Connection


class SSLTransport(pyamqp.SSLTransport):  # type: ignore[misc]  # kombu has no types here
    Connection = Connection
