"""Why there is no answer to a post, as one word."""

import errno
import socket
import ssl

import aiohttp
import structlog

from payments.webhooks.pacing.local_words import INTERNAL, NO_ROUTE, NO_SOCKETS, RESOLVER_AWAY
from payments.webhooks.target import TargetRefused
from payments.webhooks.targets.resolving import ResolverAway

log = structlog.get_logger(__name__)

_NO_SOCKETS = frozenset(
    {errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM, errno.EADDRNOTAVAIL}
)
_UNREACHABLE = frozenset({errno.ENETUNREACH, errno.EHOSTUNREACH, errno.ENETDOWN})
# TEST-NET-1 and its IPv6 counterpart (RFC 5737, RFC 3849): no host is there, and the default route
# leads to them. Connecting UDP sends nothing.
_ANYWHERE = ((socket.AF_INET, "192.0.2.1"), (socket.AF_INET6, "2001:db8::1"))


def word_for(error: Exception) -> str:
    """The word for the error that ended a post."""
    cause = error.os_error if isinstance(error, aiohttp.ClientConnectorError) else error
    number = cause.errno if isinstance(cause, OSError) else None
    for kind, said in _WORDS:
        if isinstance(cause, kind) or isinstance(error, kind):
            word = said
            if word in _FROM_THE_SYSTEM and number in _NO_SOCKETS:
                return NO_SOCKETS
            if word == "connection_closed" and number in _UNREACHABLE:
                word = "unreachable"
            # With several addresses there is no single errno.
            if word == "unreachable" and number != errno.EHOSTUNREACH and not has_route():
                return NO_ROUTE
            return word
    log.error("a webhook could not be posted", exc_info=error)
    return INTERNAL


def has_route() -> bool:
    """Whether our network has a route to anywhere."""
    for family, address in _ANYWHERE:
        try:
            with socket.socket(family, socket.SOCK_DGRAM) as line:
                line.connect((address, 9))
        except OSError:
            continue
        return True
    return False


# The first match counts, so specific errors come before general ones.
_WORDS: tuple[tuple[type[Exception], str], ...] = (
    (TargetRefused, "target_not_allowed"),
    (ResolverAway, RESOLVER_AWAY),
    (aiohttp.ConnectionTimeoutError, "connect_timeout"),
    (TimeoutError, "timeout"),
    (aiohttp.ClientConnectorDNSError, "dns_failed"),
    (ssl.SSLError, "tls_error"),
    (ConnectionRefusedError, "connection_refused"),
    (ConnectionResetError, "connection_closed"),
    (aiohttp.ClientConnectorError, "unreachable"),
    (aiohttp.InvalidURL, "invalid_url"),
    (aiohttp.ClientConnectionError, "connection_closed"),
    (OSError, "connection_closed"),
    (aiohttp.ClientResponseError, "bad_response"),
    (aiohttp.ClientPayloadError, "bad_response"),
)
_FROM_THE_SYSTEM = frozenset({"unreachable", "connection_closed"})
