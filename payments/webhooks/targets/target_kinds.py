"""Every kind of target, by the schemes of its URLs. Add new ones here."""

from collections.abc import Mapping, Sequence

from yarl import URL

from payments.webhooks.targets.target_port import Kind, Open
from payments.webhooks.targets.urls import amqp_route, redis_stream


def _amqp() -> Open:
    from payments.webhooks.targets.amqp import open_line

    return open_line


def _redis() -> Open:
    from payments.webhooks.targets.redis_streams import open_line

    return open_line


def _check_amqp(url: URL) -> None:
    amqp_route(url)


def _check_redis(url: URL) -> None:
    redis_stream(url)


HTTP = Kind(
    name="HTTP",
    schemes={"https": (True, 443), "http": (False, 80)},
    example="https://example.com/webhooks",
    check=lambda _: None,
)
AMQP = Kind(
    name="AMQP",
    schemes={"amqps": (True, 5671), "amqp": (False, 5672)},
    example="amqps://user:password@host/vhost?exchange=billing&routing_key=billing.{type}",
    check=_check_amqp,
    opener=_amqp,
    takes_credentials=True,
)
REDIS = Kind(
    name="Redis",
    schemes={"rediss": (True, 6379), "redis": (False, 6379)},
    example="rediss://user:password@host/0?stream=billing&maxlen=100000",
    check=_check_redis,
    opener=_redis,
    takes_credentials=True,
)
KINDS: Sequence[Kind] = (HTTP, AMQP, REDIS)
BY_SCHEME: Mapping[str, Kind] = {scheme: kind for kind in KINDS for scheme in kind.schemes}


def is_encrypted(scheme: str) -> bool:
    """Whether the connection is encrypted, and the server proves its identity."""
    return BY_SCHEME[scheme].schemes[scheme][0]


def port_of(url: URL) -> int:
    """The port that is dialled."""
    if url.explicit_port is not None:
        return url.explicit_port
    return BY_SCHEME[url.scheme].schemes[url.scheme][1]


def is_graded(url: str) -> bool:
    """Whether the target answers each webhook itself, so that its answers can be judged."""
    return BY_SCHEME[URL(url).scheme] is HTTP
