"""Problem documents (RFC 9457): how a refusal, or a failure of ours, is told over HTTP."""

from http import HTTPStatus
from typing import Any

from starlette.responses import Response

from api import answers
from payments.errors import BillingError, Refused

MEDIA_TYPE = "application/problem+json"


class BodyTooLarge(Refused):
    """The body is larger than 64 KiB; send less metadata."""

    code = "body_too_large"
    status = 413


class HeadersTooLarge(Refused):
    """The headers are larger than 32 KiB."""

    code = "headers_too_large"
    status = 431


class Unreadable(Refused):
    """This is no HTTP request that can be read."""

    code = "unreadable_request"
    status = 400


class BadHost(Refused):
    """A request must have exactly one header Host, with a name or address of this service."""

    # RFC 9112, 3.2.
    code = "bad_host"
    status = 400


class HostNotAllowed(Refused):
    """This Host is no name of this service; add it to BILLING_HTTP_HOSTS, or ask by address."""

    # RFC 9110, 15.5.20: we are not the one who can answer for that name.
    code = "host_not_allowed"
    status = 421


class EncodingNotSupported(Refused):
    """The body must come as it is: send it without a Content-Encoding."""

    # A few bytes of gzip may be gigabytes, and our largest body is 64 KiB.
    code = "content_encoding_not_supported"
    status = 415


class TooManyRequests(Refused):
    """Too many requests wait here already; send it again, with the same key, in a second."""

    code = "too_many_requests"
    status = 429


class RateLimited(Refused):
    """You ask too often; wait as long as Retry-After says, and send it again with the same key."""

    code = "rate_limited"
    status = 429


class NoSuchPath(Refused):
    """There is nothing at this path; see /openapi.json. Is the URL of the service right?"""

    # Not not_found: whoever asks for a charge at a wrong address must not conclude that there is
    # no such charge.
    code = "no_such_path"
    status = 404


class MethodNotAllowed(Refused):
    """This path does not take this method; the header Allow names those it takes."""

    code = "method_not_allowed"
    status = 405


class RequestTimeout(Refused):
    """The body did not arrive in time; send it again with the same key."""

    code = "request_timeout"
    status = 408


class Held(BillingError):
    """Somebody else holds what this needs; send it again with the same key in a second."""

    # A person in psql, or a transaction that hangs. The others are none the worse for it.
    code = "temporarily_held"
    status = 503


class DatabaseUnavailable(BillingError):
    """The database does not answer; send it again with the same key. It can't happen twice."""

    code = "database_unavailable"
    status = 503


class InternalError(BillingError):
    """A bug of ours. Sending it again with the same key is safe; the log names the request's id."""

    code = "internal_error"
    status = 500


REALM = "billing"
# What a client should wait before it tries again, in whole seconds.
RETRY_AFTER_S = {429: 1, 503: 1}
# The rest of the body would still come, and be read for nothing (RFC 9110, 15.5.9 and 15.5.14).
HANGS_UP = (408, 413, 415)


def document(error: BillingError, *, request_id: str) -> dict[str, Any]:
    """The problem as an object: `code` is for programs, `detail` says what to send instead."""
    return {
        "type": "about:blank",
        "title": HTTPStatus(error.status).phrase,
        "status": error.status,
        "code": error.code,
        "detail": str(error),
        "param": error.param,
        "request_id": request_id,
        **error.facts,
    }


def response(error: BillingError, *, request_id: str, has_key: bool = False) -> Response:
    """The answer that tells it. `has_key`: the request showed something as its key."""
    headers = {}
    if error.status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
        headers["www-authenticate"] = _challenge(error, has_key=has_key)
    if isinstance(error, EncodingNotSupported):
        headers["accept-encoding"] = "identity"  # RFC 7694, 3
    if error.status in HANGS_UP:
        headers["connection"] = "close"
    if error.status in RETRY_AFTER_S:
        after_s = error.facts.get("retry_after_s", RETRY_AFTER_S[error.status])
        headers["retry-after"] = str(after_s)
    body = answers.encode(document(error, request_id=request_id))
    return Response(body, error.status, headers, MEDIA_TYPE)


def _challenge(error: BillingError, *, has_key: bool) -> str:
    """How to be let in (RFC 9110, 11.6.1; RFC 6750, 3): no error is named to those who have shown
    no key, and the scope that is lacking to those whose key may not."""
    told = [f'realm="{REALM}"']
    if error.status == HTTPStatus.FORBIDDEN:
        told += ['error="insufficient_scope"', f'scope="{error.facts.get("scope", "")}"']
    elif has_key:
        told.append('error="invalid_token"')
    return f"Bearer {', '.join(told)}"
