"""Broker URLs: which are supported, what they mean to kombu, and how they are shown.

`amqp://h1;amqp://h2` is one broker at several addresses, the nodes of a cluster. What a later
address omits (user, virtual host) is as in the first.
`sentinel://user:password@h1:26379;h2:26379/0?master_name=NAME` is the Redis that Sentinels name.
"""

import re
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import SplitResult, parse_qs, parse_qsl, unquote, urlsplit

REDIS, RABBITMQ, SENTINEL = ("redis", "rediss"), ("amqp", "amqps"), ("sentinel",)
SCHEMES = (*REDIS, *SENTINEL, *RABBITMQ)

# The options after the `?` of a sentinel:// URL. `tls` is for Redis and Sentinels alike.
SENTINEL_OPTIONS = (
    "master_name",
    "min_other_sentinels",
    "sentinel_password",
    "sentinel_username",
    "ssl_ca_certs",
    "tls",
)
SENTINEL_PORT = 26379
_OF_SENTINELS = ("master_name", "min_other_sentinels", "sentinel_kwargs")
HIDDEN = "***"


class BrokerUrlError(ValueError):
    """A broker URL can't be used. The text says why, and quotes nothing of it."""


@dataclass(frozen=True, slots=True)
class Broker:
    """What a broker URL means. `url`, `options` (of the transport) and `ssl` are kombu's."""

    scheme: str
    url: str = field(repr=False)
    options: Mapping[str, Any] = field(repr=False)
    ssl: Mapping[str, Any] | None
    place: str
    """Where it is, for people: without user, password and options."""

    @classmethod
    def of(cls, url: str, options: Mapping[str, Any], tls: Mapping[str, Any] | None) -> "Broker":
        """The broker of a configuration that was made from one."""
        if url.partition("://")[0] not in SENTINEL:
            return parse(url)
        own = {name: options[name] for name in _OF_SENTINELS}
        place = f"{_place(_pieces(url))}, {own['master_name']}"
        return cls("sentinel", url, own, tls, place)

    @property
    def is_redis(self) -> bool:
        return self.scheme not in RABBITMQ

    @property
    def ways(self) -> list[str]:
        """The URLs to try, one after another. Sentinels are all asked by one."""
        return [self.url] if self.is_redis else self.url.split(";")

    def with_limits(self, *, timeout_s: float) -> dict[str, Any]:
        """Transport options that limit every wait for an answer to `timeout_s`."""
        if not self.is_redis:
            return {**self.options, "read_timeout": timeout_s, "write_timeout": timeout_s}
        limits: dict[str, Any] = {
            "socket_timeout": timeout_s,
            "socket_connect_timeout": timeout_s,
        }
        if "sentinel_kwargs" in self.options:
            limits["sentinel_kwargs"] = {**self.options["sentinel_kwargs"], **limits}
        return {**self.options, **limits}


def parse(url: str) -> Broker:
    """The broker at this URL. Raises BrokerUrlError."""
    first, *others = _pieces(url)
    scheme = first.scheme
    if scheme not in SCHEMES:
        raise BrokerUrlError(f"must begin with one of {', '.join(f'{s}://' for s in SCHEMES)}")
    for piece in (first, *others):
        if not piece.hostname:
            raise BrokerUrlError("has no host" if not others else "has an address without a host")
        try:
            _ = piece.port
        except ValueError:
            raise BrokerUrlError("has a port that is no number from 0 to 65535") from None
    if scheme in SENTINEL:
        return _sentinel([first, *others])
    if any(piece.scheme != scheme for piece in others):
        raise BrokerUrlError("lists brokers of different kinds; all must be of one scheme")
    if scheme in REDIS:
        if others:
            raise BrokerUrlError(
                "lists several Redis, which would each hold other messages;"
                " for one with replicas use sentinel://h1:26379;h2:26379/0?master_name=NAME"
            )
        return Broker(scheme, url, {}, _redis_tls(first), _place([first]))
    pieces = [first, *(_completed(piece, first) for piece in others)]
    # py-amqp checks no certificate unless told to; None = the URL's host name.
    tls = {"cert_reqs": ssl.CERT_REQUIRED, "server_hostname": None} if scheme == "amqps" else None
    return Broker(scheme, ";".join(p.geturl() for p in pieces), {}, tls, _place(pieces))


def _pieces(url: str) -> list[SplitResult]:
    """The addresses of a list; a later one may leave out the scheme."""
    head = url.partition("://")[0]
    try:
        return [
            urlsplit(piece if "://" in piece else f"{head}://{piece}")
            for piece in url.strip().split(";")
            if piece
        ] or [urlsplit("")]
    except ValueError:
        raise BrokerUrlError("is no URL") from None


def _completed(piece: SplitResult, first: SplitResult) -> SplitResult:
    user, at, _ = first.netloc.rpartition("@")
    netloc = piece.netloc if "@" in piece.netloc else f"{user}{at}{piece.netloc}"
    return piece._replace(netloc=netloc, path=piece.path or first.path)


def _redis_tls(parts: SplitResult) -> Mapping[str, Any] | None:
    # kombu's default for rediss:// accepts any certificate (kombu/connection.py:324).
    if parts.scheme == "rediss" and "ssl_cert_reqs" not in parse_qs(parts.query):
        return {"ssl_cert_reqs": ssl.CERT_REQUIRED}
    return None


def _sentinel(pieces: list[SplitResult]) -> Broker:
    if any(piece.scheme not in SENTINEL for piece in pieces):
        raise BrokerUrlError("lists something else besides sentinel://")
    asked = dict(parse_qsl(";".join(piece.query for piece in pieces).strip(";").replace(";", "&")))
    if unknown := sorted(set(asked) - set(SENTINEL_OPTIONS)):
        known = ", ".join(SENTINEL_OPTIONS)
        raise BrokerUrlError(f"has {len(unknown)} unknown options after the ?; known are {known}")
    if not asked.get("master_name"):
        raise BrokerUrlError("needs ?master_name=NAME, the name that the Sentinels know it by")
    if asked.get("tls", "false") not in ("true", "false"):
        raise BrokerUrlError("has a tls that is neither true nor false")
    others = asked.get("min_other_sentinels", "0")
    if not others.isdecimal():
        raise BrokerUrlError("has a min_other_sentinels that is no number")
    user = next((p.netloc.rpartition("@")[0] for p in pieces if "@" in p.netloc), "")
    database = next((p.path for p in pieces if p.path.strip("/")), "/0")
    if not database.strip("/").isdecimal():
        raise BrokerUrlError("has a database that is no number")
    # kombu turns to the next with its own user and database only, so each has them.
    url = ";".join(
        f"sentinel://{user}{'@' if user else ''}{_host(p)}:{p.port or SENTINEL_PORT}{database}"
        for p in pieces
    )
    tls: dict[str, Any] | None = None
    if asked.get("tls") == "true":
        tls = {"ssl_cert_reqs": ssl.CERT_REQUIRED}
        if authorities := asked.get("ssl_ca_certs"):
            tls["ssl_ca_certs"] = authorities
    secrets = {
        "username": asked.get("sentinel_username"),
        "password": asked.get("sentinel_password"),
    }
    to_sentinels = {name: value for name, value in secrets.items() if value}
    options = {
        "master_name": asked["master_name"],
        "min_other_sentinels": int(others),
        "sentinel_kwargs": {**to_sentinels, **({"ssl": True, **tls} if tls else {})},
    }
    return Broker("sentinel", url, options, tls, f"{_place(pieces)}, {asked['master_name']}")


def _host(parts: SplitResult) -> str:
    host = parts.hostname or ""
    return f"[{host}]" if ":" in host else host


def _place(pieces: list[SplitResult]) -> str:
    hosts = [f"{_host(p)}{f':{p.port}' if p.port else ''}" for p in pieces]
    return f"{pieces[0].scheme}://{','.join(hosts)}"


# --- without secrets ---

# A URL in a text ends at a space or a quote. Its secrets are before the last @ of an address, and
# after certain names in the query.
_URL = re.compile(r"[a-zA-Z][a-zA-Z0-9+.-]{0,30}://[^\s\"'<>`|\\]+")
_SECRET_NAME = re.compile(r"pass|secret|token|key|credential|auth", re.IGNORECASE)


def scrub(text: str) -> str:
    """The text with every URL in it as `shown`."""
    return _URL.sub(lambda found: shown(found[0]), text)


def shown(url: str) -> str:
    """A URL, or a list of them, without passwords: of each address, and among its options."""
    return ";".join(_shown(piece) for piece in url.split(";"))


def _shown(piece: str) -> str:
    scheme, separator, rest = piece.partition("://") if "://" in piece else ("", "", piece)
    is_web = scheme.lower() in ("http", "https")
    # A password may contain unescaped / ? and @; a web address may contain @ in its path.
    before, after = rest, ""
    if is_web:
        before = re.split(r"[/?#]", rest, maxsplit=1)[0]
        after = rest[len(before) :]
    user, at, address = before.rpartition("@")
    if at:
        name, colon, _ = user.partition(":")
        user = f"{name}:{HIDDEN}" if colon else HIDDEN if is_web else name
    place, question, options = f"{address}{after}".partition("?")
    if question:
        options = "&".join(_shown_option(option) for option in options.split("&"))
    return f"{scheme}{separator}{user}{at}{place}{question}{options}"


def _shown_option(option: str) -> str:
    name, equals, _ = option.partition("=")
    return f"{name}{equals}{HIDDEN}" if equals and _SECRET_NAME.search(unquote(name)) else option
