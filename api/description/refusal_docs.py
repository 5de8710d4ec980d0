"""How refusals are described: when each status is answered, with which headers, and an example."""

from collections.abc import Mapping, Sequence
from typing import Any

from api.edge import problems
from payments.payment_errors import (
    BillingError,
    EventsGone,
    InsufficientScope,
    InvalidRequest,
    KeyReused,
    NotFound,
    ReferenceInUse,
    Unauthenticated,
)

PROBLEM = {"$ref": "#/components/schemas/Problem"}
# What every route with a key may answer beside what it is there for.
ALWAYS = (400, 401, 403, 421, 429, 500, 503)
WITH_BODY = (408, 413, 415)
REFUSALS: Mapping[int, str] = {
    400: "The request is not valid; `detail` says what to send instead.",
    401: "No API key, or one that is wrong or revoked.",
    403: "The API key lacks the scope that is needed.",
    404: "There is nothing with this id.",
    408: "The body did not arrive in time.",
    409: "It contradicts what is there; `code` says how.",
    410: "What is asked for is not kept any more.",
    413: "The body is larger than 64 KiB.",
    415: "The body is encoded, with gzip for example.",
    421: "The service does not answer under the name in the header Host.",
    422: "The key was used before, for another request, which stands.",
    429: "Too many requests wait already, or you ask too often. Send it again after `Retry-After`,"
    " with the same key.",
    500: "A bug in the service. Sending it again with the same key is safe.",
    503: "The database does not answer. Sending it again with the same key is safe.",
}
_WITH: Mapping[int, Sequence[str]] = {
    401: ("WWW-Authenticate",),
    403: ("WWW-Authenticate",),
    415: ("Accept-Encoding",),
    429: ("Retry-After",),
    503: ("Retry-After",),
}
_ERRORS: Mapping[int, type[BillingError]] = {
    400: InvalidRequest,
    401: Unauthenticated,
    403: InsufficientScope,
    404: NotFound,
    408: problems.RequestTimeout,
    409: ReferenceInUse,
    410: EventsGone,
    413: problems.BodyTooLarge,
    415: problems.EncodingNotSupported,
    421: problems.HostNotAllowed,
    422: KeyReused,
    429: problems.TooManyRequests,
    500: problems.InternalError,
    503: problems.DatabaseUnavailable,
}
_PARAMS = {400: "amount", 404: "id", 410: "after", 422: "idempotency_key"}


def refusal(status: int) -> dict[str, Any]:
    """An answer that is a problem document."""
    return {
        "description": REFUSALS[status],
        "headers": {name: header(name) for name in _WITH.get(status, ())},
        "content": {problems.MEDIA_TYPE: {"schema": PROBLEM}},
    }


def header(name: str) -> Mapping[str, str]:
    """A reference to the header of this name."""
    return {"$ref": f"#/components/headers/{name}"}


def refused(status: int) -> dict[str, Any]:
    """An example of a refusal with this status."""
    error = _ERRORS[status]
    told = problems.document(error(), request_id="req_1f0c9a")
    return {**told, "param": _PARAMS.get(status)}
