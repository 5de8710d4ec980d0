"""The URLs of queues. Parsed when an endpoint is saved, and when something is sent there.

No error text repeats a part of a URL, as a password may be in a wrong place.
"""

import json
from collections.abc import Collection
from typing import NamedTuple
from urllib.parse import unquote

from yarl import URL

from payments.payment_errors import InvalidRequest

# Stands for the type of the event in a routing key, such as `charge.succeeded`.
TYPE = "{type}"
# AMQP 0-9-1's short string is 255 bytes (4.2.5.3); room is left for the type.
NAME_MAX, ROUTING_KEY_MAX = 255, 200
STREAM_MAX = 512
MAXLEN_MAX = 1_000_000_000
DATABASE_MAX = 9_999


class AmqpRoute(NamedTuple):
    """Where a message goes within a broker."""

    vhost: str
    exchange: str
    routing_key: str

    def key_for(self, body: bytes) -> str:
        """The routing key of this event."""
        if TYPE not in self.routing_key:
            return self.routing_key
        return self.routing_key.replace(TYPE, json.loads(body)["type"])


class RedisStream(NamedTuple):
    """Where a message goes within a server; `maxlen`: about how many entries are kept."""

    database: int
    name: str
    maxlen: int | None


def amqp_route(url: URL) -> AmqpRoute:
    """`amqps://host/vhost?exchange=billing&routing_key=billing.{type}`. Raises InvalidRequest."""
    said = _options(url, ("exchange", "routing_key"))
    exchange = said.get("exchange", "")
    routing_key = said.get("routing_key", TYPE if exchange else "")
    vhost = url.raw_path.removeprefix("/")
    if "/" in vhost:
        raise _wrong("the path is the name of one virtual host; write / within it as %2F")
    if not routing_key:
        raise _wrong("name an exchange (?exchange=…), or a queue (?routing_key=…)")
    if len(exchange.encode()) > NAME_MAX or len(routing_key.encode()) > ROUTING_KEY_MAX:
        raise _wrong(f"exchange has at most {NAME_MAX} bytes, routing_key {ROUTING_KEY_MAX}")
    if set("{}") & set(routing_key.replace(TYPE, "")):
        raise _wrong(f"the one thing that routing_key may have in braces is {TYPE}")
    return AmqpRoute(unquote(vhost) or "/", exchange, routing_key)


def redis_stream(url: URL) -> RedisStream:
    """`rediss://host/0?stream=billing&maxlen=100000`. Raises InvalidRequest."""
    said = _options(url, ("stream", "maxlen"))
    name = said.get("stream", "")
    if not 1 <= len(name.encode()) <= STREAM_MAX:
        raise _wrong(f"name the stream (?stream=…), in at most {STREAM_MAX} bytes")
    maxlen = _number(said["maxlen"], 1, MAXLEN_MAX, "maxlen") if "maxlen" in said else None
    path = url.raw_path.removeprefix("/")
    return RedisStream(_number(path or "0", 0, DATABASE_MAX, "the path, a database,"), name, maxlen)


def _options(url: URL, names: Collection[str]) -> dict[str, str]:
    if set(url.query) - set(names):
        raise _wrong(f"the options of such a url are {' and '.join(names)}")
    if len(url.query) > len(set(url.query)):
        raise _wrong("an option is there twice")
    return dict(url.query)


def _number(text: str, least: int, most: int, what: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= len(str(most))):
        raise _wrong(f"{what} must be a number from {least} to {most}")
    if not least <= int(text) <= most:
        raise _wrong(f"{what} must be a number from {least} to {most}")
    return int(text)


def _wrong(said: str) -> InvalidRequest:
    return InvalidRequest(f"url: {said}", param="url")
