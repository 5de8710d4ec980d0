"""The configuration in force, and the transport that follows from it."""

import os
import threading
from dataclasses import dataclass
from urllib.parse import urlsplit

from infra.billing.errors import NotConfigured
from infra.billing.requests import producer_name
from infra.billing.transport import Transport

BROKER_SCHEMES = ("redis", "rediss", "amqp", "amqps")
# Long enough for a broker that fails over, short enough for a person who waits at a checkout.
TIMEOUT_S = 10.0


@dataclass(frozen=True, slots=True)
class Configuration:
    """Where requests go, and as whom."""

    url: str
    api_key: str | None
    timeout_s: float
    producer: str


class Client:
    """A configuration and its transport, which is opened by the first request."""

    def __init__(self, configuration: Configuration | None) -> None:
        self._configuration = configuration
        self._transport: Transport | None = None
        self._lock = threading.Lock()

    def transport(self) -> Transport:
        """The transport. Raises NotConfigured."""
        if self._transport is None:
            with self._lock:
                if self._transport is None:
                    self._transport = _open(self._configuration or configuration())
        return self._transport

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()

    def renew_lock(self) -> None:
        """After a fork: a thread of the parent may have held the lock, and isn't here to let go."""
        self._lock = threading.Lock()


_current = Client(None)


def configure(
    *,
    url: str | None = None,
    api_key: str | None = None,
    timeout_s: float = TIMEOUT_S,
    producer: str = "default",
) -> None:
    """Say where requests go; without it, BILLING_URL and BILLING_API_KEY say so at first use.

    `url` is `redis://…`, `rediss://…`, `amqp://…` or `amqps://…`, the broker of the workers.
    `timeout_s`: within this many seconds every call has succeeded or raised. `producer` names
    your service: ids are made of it and the key, so one key of two producers is two charges.
    Raises NotConfigured for a url that can't be used, InvalidRequest for a wrong producer.
    """
    global _current  # noqa: PLW0603  # The one thing that is configured per process.
    former = _current
    _current = Client(
        configuration(url=url, api_key=api_key, timeout_s=timeout_s, producer=producer)
    )
    former.close()


def configuration(
    *,
    url: str | None = None,
    api_key: str | None = None,
    timeout_s: float = TIMEOUT_S,
    producer: str = "default",
) -> Configuration:
    """What is given, and from the environment what isn't. Raises NotConfigured, InvalidRequest."""
    url = url or os.environ.get("BILLING_URL") or ""
    if not url:
        raise NotConfigured(param="url")
    if not timeout_s > 0:
        raise NotConfigured("timeout_s must be a number of seconds above 0", param="timeout_s")
    _check(url)
    api_key = api_key or os.environ.get("BILLING_API_KEY") or None
    return Configuration(url, api_key, float(timeout_s), producer_name(producer))


def transport() -> Transport:
    """The transport in force. Raises NotConfigured."""
    return _current.transport()


def _check(url: str) -> None:
    # The url itself stays out of the message: it holds a password.
    try:
        parts = urlsplit(url)
        is_usable = parts.scheme in BROKER_SCHEMES and bool(parts.hostname)
        _ = parts.port  # raises for a port that is none
    except ValueError:
        is_usable = False
    if not is_usable:
        raise NotConfigured(
            "the url must be that of the workers' broker: "
            + ", ".join(f"{scheme}://…" for scheme in BROKER_SCHEMES),
            param="url",
        )


def _open(configured: Configuration) -> Transport:
    # Imported here: receivers of webhooks never send, and need not wait for kombu.
    from infra.billing.broker import Broker

    return Broker(configured.url, timeout_s=configured.timeout_s, producer=configured.producer)


def _after_fork() -> None:
    _current.renew_lock()


os.register_at_fork(after_in_child=_after_fork)
