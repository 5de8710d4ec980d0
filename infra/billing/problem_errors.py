"""The error for an answer of the service: problem documents (RFC 9457) and lesser ones."""

from collections.abc import Iterator, Mapping
from typing import Any

from infra.billing import errors
from infra.billing.errors import BillingError, Unavailable

# Fields of a problem document besides facts.
_NOT_FACTS = frozenset({"type", "title", "status", "code", "detail", "param", "request_id"})
# A proxy's page must not fill the caller's log.
DETAIL_MAX = 1000

_BY_STATUS: Mapping[int, type[BillingError]] = {
    400: errors.InvalidRequest,
    401: errors.Unauthenticated,
    403: errors.InsufficientScope,
    404: errors.Unavailable,  # unless it says not_found
    408: errors.Unavailable,
    409: errors.Conflict,
    413: errors.TooLarge,
    422: errors.InvalidRequest,
    429: errors.RateLimited,
}


def error_of(
    status: int,
    document: object,
    *,
    where: str,
    request_id: str | None,
    retry_after_s: float | None = None,
) -> BillingError:
    """The error for an answer that is no success. `document`: its JSON, or None if it has none.

    A code that we don't know is kept, in the nearest class by its status.
    """
    problem: Mapping[str, Any] = document if isinstance(document, dict) else {}
    code = _text(problem.get("code"))
    kind = _BY_CODE.get(code or "") or _by_status(status)
    facts = {name: value for name, value in problem.items() if name not in _NOT_FACTS}
    if retry_after_s is not None:
        facts["retry_after_s"] = retry_after_s
    detail = _text(problem.get("detail")) or _text(problem.get("title"))
    if status in (404, 405) and kind is not errors.NotFound:
        # This was not our service, or it has nothing at this path. "There is no such charge" would
        # be false, and make people charge again.
        kind, detail = Unavailable, f"{where} answered {status}: not billing, or not at this path"
        detail += "; is the url right?"
    elif code is None and not detail:
        detail = f"{where} answered {status} without saying why"
    return kind(
        detail and detail[:DETAIL_MAX],
        param=_text(problem.get("param")),
        code=code,
        status=status,
        request_id=_text(problem.get("request_id")) or request_id,
        facts=facts,
    )


def _by_status(status: int) -> type[BillingError]:
    if status in _BY_STATUS:
        return _BY_STATUS[status]
    return errors.InvalidRequest if 400 <= status < 500 else Unavailable


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and value else None


def _family(kind: type[BillingError]) -> Iterator[type[BillingError]]:
    yield kind
    for child in kind.__subclasses__():
        yield from _family(child)


# Without the errors that only the SDK raises.
_BY_CODE: Mapping[str, type[BillingError]] = {
    kind.code: kind
    for kind in _family(BillingError)
    if kind
    not in (
        BillingError,
        errors.NotConfigured,
        errors.ReadingNeedsHttp,
        errors.InvalidSignature,
    )
}
