"""Problem documents (RFC 9457): how a refusal, or a failure of the service, is answered over
HTTP."""

from http import HTTPStatus
from typing import Any

from starlette.responses import Response

from api import answers
from payments.payment_errors import BillingError, Refused

MEDIA_TYPE = "application/problem+json"


class BodyTooLarge(Refused):
    code = "body_too_large"


class HeadersTooLarge(Refused):
    code = "headers_too_large"


class Unreadable(Refused):
    code = "unreadable_request"


class BadHost(Refused):
    # RFC 9112, 3.2.
    code = "bad_host"


class HostNotAllowed(Refused):
    # RFC 9110, 15.5.20: this server does not answer for that name.
    code = "host_not_allowed"


class EncodingNotSupported(Refused):
    # A few bytes of gzip may be gigabytes, and our largest body is 64 KiB.
    code = "content_encoding_not_supported"


class TooManyRequests(Refused):
    code = "too_many_requests"


class RateLimited(Refused):
    code = "rate_limited"


class NoSuchPath(Refused):
    # Not not_found: a client that asks for a charge at a wrong address must not conclude that there
    # is no such charge.
    code = "no_such_path"


class MethodNotAllowed(Refused):
    code = "method_not_allowed"


class RequestTimeout(Refused):
    code = "request_timeout"


class EventNotTaken(Refused):
    code = "event_refused"


class EventTooEarly(Refused):
    code = "event_too_early"


class ProcessorSilent(BillingError):
    code = "processor_silent"


class Held(BillingError):
    # A person in psql, or a transaction that hangs. Other requests are unaffected.
    code = "temporarily_held"


class DatabaseUnavailable(BillingError):
    code = "database_unavailable"


class InternalError(BillingError):
    code = "internal_error"


REALM = "billing"
# How long a client should wait before it tries again, in whole seconds.
RETRY_AFTER_S = {429: 1, 503: 1}
# The rest of the body would still come, and be read in vain (RFC 9110, 15.5.9 and 15.5.14).
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
    """The answer with the problem. `has_key`: the request presented a key."""
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
    """How to authenticate (RFC 9110, 11.6.1; RFC 6750, 3): without an error code if no key was
    presented, and with the missing scope if the key lacks it."""
    told = [f'realm="{REALM}"']
    if error.status == HTTPStatus.FORBIDDEN:
        told += ['error="insufficient_scope"', f'scope="{error.facts.get("scope", "")}"']
    elif has_key:
        told.append('error="invalid_token"')
    return f"Bearer {', '.join(told)}"
