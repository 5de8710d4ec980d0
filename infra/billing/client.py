"""The configuration in force, and the transport that follows from it."""

import os
import re
import threading
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from infra.billing import brokers
from infra.billing.base_url import PORTS, root
from infra.billing.contract.card_data import CARD_DATA, holds_card_data
from infra.billing.contract.ids import KEY
from infra.billing.contract.texts import PRODUCER_MUST, is_producer
from infra.billing.errors import InvalidRequest, NotConfigured
from infra.billing.transport import Transport

HTTP_SCHEMES = tuple(PORTS)
# Long enough for a broker that fails over, short enough for a person at a checkout.
TIMEOUT_S = 10.0
TIMEOUT_MAX_S = 3600  # More than an hour for one answer is surely a mistake.
PRODUCER = "default"

_API_KEY = re.compile(r"[!-~]+")  # what a header can hold


@dataclass(frozen=True, slots=True)
class Configuration:
    """Where requests go, and as whom. What it keeps secret does not show in its repr."""

    url: str = field(repr=False)
    api_key: str | None = field(repr=False)
    timeout_s: float
    producer: str
    signing_key: str | None = field(default=None, repr=False)

    @property
    def is_http(self) -> bool:
        return urlsplit(self.url).scheme in HTTP_SCHEMES


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
    producer: str = PRODUCER,
    signing_key: str | None = None,
) -> None:
    """Say where requests go; without it, BILLING_URL and BILLING_API_KEY say so at first use.

    `url` is `https://…` or `http://…`, the service, which needs an `api_key` and answers questions;
    or `redis://…`, `rediss://…`, `sentinel://…`, `amqp://…` or `amqps://…`, the broker of its
    workers (see `infra.billing.brokers`).
    `timeout_s`: within this many seconds every call has succeeded or raised, however often it was
    tried; only waiting for a final state has a time of its own.
    `producer`, over a broker, names your service: ids are made of it and the key, so one key of two
    producers is two charges. Over HTTP that is the name of the API key.
    `signing_key`, over a broker, signs every message, so that workers know it is this producer's
    (BILLING_SIGNING_KEY; `billing keys create --signing` makes one).
    Raises NotConfigured for what can't be used, InvalidRequest for a wrong producer.
    """
    global _current  # noqa: PLW0603  # The one thing that is configured per process.
    former = _current
    _current = Client(
        configuration(
            url=url,
            api_key=api_key,
            timeout_s=timeout_s,
            producer=producer,
            signing_key=signing_key,
        )
    )
    former.close()


def configuration(
    *,
    url: str | None = None,
    api_key: str | None = None,
    timeout_s: float = TIMEOUT_S,
    producer: str = PRODUCER,
    signing_key: str | None = None,
) -> Configuration:
    """What is given, and from the environment what isn't. Raises NotConfigured, InvalidRequest."""
    url = url or os.environ.get("BILLING_URL") or ""
    if not url:
        raise NotConfigured(param="url")
    if not 0 < timeout_s <= TIMEOUT_MAX_S:
        raise NotConfigured(
            f"timeout_s must be a number of seconds above 0, up to {TIMEOUT_MAX_S}",
            param="timeout_s",
        )
    _check(url)
    api_key = api_key or os.environ.get("BILLING_API_KEY") or None
    signing_key = signing_key or os.environ.get("BILLING_SIGNING_KEY") or None
    if signing_key is not None and not KEY.fullmatch(signing_key):
        raise NotConfigured(
            "a signing key is what `billing keys create --signing` has shown: key_…",
            param="signing_key",
        )
    configured = Configuration(url, api_key, float(timeout_s), _producer(producer), signing_key)
    if configured.is_http:
        _check_http(configured)
    return configured


def transport() -> Transport:
    """The transport in force. Raises NotConfigured."""
    return _current.transport()


def _producer(name: object) -> str:
    """The producer over a broker: part of every id, so it must never change."""
    if not is_producer(name):
        raise InvalidRequest(f"producer: {PRODUCER_MUST}", param="producer")
    if holds_card_data(name):
        raise InvalidRequest(f"producer {CARD_DATA}", param="producer")
    return name


def _check(url: str) -> None:
    # The url itself stays out of the message: it holds a password.
    why = ""
    try:
        if url.partition("://")[0] in brokers.SCHEMES:
            brokers.parse(url)
            return
        parts = urlsplit(url)
        _ = parts.port  # raises for an invalid port
        if parts.scheme in HTTP_SCHEMES and parts.hostname:
            return
    except brokers.BrokerUrlError as wrong:
        why = f"; it {wrong}"
    except ValueError:
        pass  # reported below
    raise NotConfigured(
        "the url must be that of the service or of the workers' broker: "
        + ", ".join(f"{scheme}://…" for scheme in (*HTTP_SCHEMES, *brokers.SCHEMES))
        + why,
        param="url",
    )


def _check_http(configured: Configuration) -> None:
    try:
        root(configured.url)
    except ValueError as wrong:
        raise NotConfigured(str(wrong), param="url") from None
    if configured.api_key is None:
        raise NotConfigured(
            "over http an API key says who asks; set BILLING_API_KEY,"
            " or call billing.configure(api_key=…)",
            param="api_key",
        )
    if not _API_KEY.fullmatch(configured.api_key):
        raise NotConfigured(
            "an API key is letters, digits and signs, without spaces or line ends", param="api_key"
        )
    if configured.producer != PRODUCER:
        raise NotConfigured(
            "over http the producer is the name of the API key; leave producer out",
            param="producer",
        )


def _open(configured: Configuration) -> Transport:
    # Imported here: HTTP needs no kombu, a broker no urllib3, and receivers of webhooks need
    # neither.
    if configured.is_http:
        from infra.billing.http import Http

        return Http(
            root(configured.url),
            api_key=configured.api_key or "",
            timeout_s=configured.timeout_s,
        )
    from infra.billing.broker import Broker

    return Broker(
        configured.url,
        timeout_s=configured.timeout_s,
        producer=configured.producer,
        signing_key=configured.signing_key,
    )


def _after_fork() -> None:
    _current.renew_lock()


os.register_at_fork(after_in_child=_after_fork)
