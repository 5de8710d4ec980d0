"""From an exception to the problem document in the answer, and the line in the log."""

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Match

from api.edge import problems
from api.edge.edge import route_of
from api.edge.problems import InternalError, MethodNotAllowed, NoSuchPath
from infra.billing.contract.requests.request_parser import sentence
from infra.billing.contract.texts import field_name
from payments.payment_errors import BillingError, InvalidRequest, NotFound
from service import faults, log

logger = log.get("billing.http")


def install(app: FastAPI) -> None:
    """Answer everything that routes raise, bugs included, with a problem document."""
    for kind in (BillingError, RequestValidationError, HTTPException, Exception):
        app.add_exception_handler(kind, _answer)


async def _answer(request: Request, error: Exception) -> Response:
    problem, has_key = told(request, error), "authorization" in request.headers
    response = problems.response(problem, request_id=request.state.request_id, has_key=has_key)
    if problem.status == MethodNotAllowed.status:
        response.headers["allow"] = ", ".join(_allowed(request))
    return response


def told(request: Request, error: Exception) -> BillingError:
    """The error for the caller, after logging it."""
    problem = problem_of(error)
    if isinstance(problem, NoSuchPath):
        problem = _no_such_path(request)
    elif isinstance(problem, NotFound) and request.path_params.get("id") == "search":
        problem = _no_search(request)
    if isinstance(problem, InternalError):
        fault = faults.describe(error)
        logger.error("request failed", error=fault.kind, where=fault.where, frames=fault.frames)
    elif problem.status in (401, 403):
        problem = request.app.state.app_state.limits.refused(request, problem)
    else:
        tell = logger.warning if problem.status >= 500 else logger.info
        tell(
            "request refused",
            code=problem.code,
            param=problem.param,
            status=problem.status,
            route=route_of(request.scope),
            producer=getattr(request.state, "producer", None),
        )
    return problem


def problem_of(error: Exception) -> BillingError:
    """The error for the caller."""
    match error:
        case BillingError():
            return error
        case RequestValidationError():
            return _invalid(error)
        case HTTPException(status_code=405):
            return MethodNotAllowed()
        case HTTPException(status_code=404):
            return NoSuchPath()
        case HTTPException(status_code=code) if code < 500:
            return InvalidRequest("the request can't be read")
        case _:
            return InternalError()


def _no_such_path(request: Request) -> NoSuchPath:
    """There is no such path; names the right one if only a slash at its end is too much."""
    path = request.scope["path"]
    if path != "/" and path.endswith("/"):
        scope = {**request.scope, "path": path.rstrip("/")}
        for route in request.app.state.routes:
            if route.matches(scope)[0] is not Match.NONE:
                # The route's template, not the path, which may contain anything.
                return NoSuchPath(
                    f"there is nothing at this path; leave out the slash at its end: {route.path}"
                )
    return NoSuchPath()


def _no_search(request: Request) -> NotFound:
    """For clients of other APIs that search at a path where we expect an id (or a lookup key)."""
    nouns = (route_of(request.scope) or "").partition("/{id}")[0]
    return NotFound(
        "there is nothing with the id 'search', and there is no search; use the filters of the"
        f" list, GET {nouns}",
        param="id",
    )


def _allowed(request: Request) -> list[str]:
    """The methods of the path; Starlette names only those of the first matching route."""
    taken: set[str] = set()
    for route in request.app.state.routes:
        fit, _ = route.matches(request.scope)
        if fit is not Match.NONE:
            taken |= route.methods or set()
    return sorted(taken | ({"HEAD"} if "GET" in taken else set()))


def _invalid(error: RequestValidationError) -> InvalidRequest:
    """The first error in the query or the path, in the words of the rules."""
    first = error.errors()[0]
    param = str(first["loc"][-1]) if len(first["loc"]) > 1 else None
    if first["type"] == "extra_forbidden":  # any other name is a known parameter
        param = field_name(param)
        what = repr(param) if param else "one of the names sent"
        return InvalidRequest(f"{what} is not a parameter here; see /openapi.json", param=param)
    said = sentence(param or "the request", first["type"], first["msg"], first.get("ctx", {}))
    return InvalidRequest(said, param=param)
