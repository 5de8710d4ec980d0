"""Access to the console: who may see a page, reading forms, and refusals."""

from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime
from urllib.parse import parse_qsl, quote

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from api import request_input
from api.app_state import AppState
from api.console import session as sessions
from api.console.rendering import page
from api.console.safety import SAFE_METHODS, require_same_site, secured
from api.console.session import HOME, PATH, Session
from api.edge import exception_handlers
from api.edge.problems import NoSuchPath
from infra.billing.contract.moments import moment
from payments.payment_errors import InvalidRequest

FORM = "application/x-www-form-urlencoded"

Handler = Callable[[Request, Session], Awaitable[Response]]
Endpoint = Callable[[Request], Awaitable[Response]]


def app_state(request: Request) -> AppState:
    """The state that the pages use: that of the API's routes."""
    here: AppState = request.app.state.app_state
    return here


def needing(permission: str | None) -> Callable[[Handler], Endpoint]:
    """A page that requires this permission, or only a session if None; others are asked to sign in,
    and then come back."""

    def guarded(handler: Handler) -> Endpoint:
        async def answer(request: Request) -> Response:
            if request.method not in SAFE_METHODS:
                require_same_site(request)
            session = await sessions.of(request, app_state(request))
            if session is None:
                return _to_sign_in(request)
            request.state.session = session
            request.state.producer = session.access.producer  # for the log line
            if permission is not None:
                session.access.require(permission)
            return await handler(request, session)

        return answer

    return guarded


async def form(request: Request) -> dict[str, str]:
    """The fields of a form, without empty ones. Raises InvalidRequest."""
    if request.headers.get("content-type", "").partition(";")[0].strip() != FORM:
        raise InvalidRequest("a form of the console is sent as it stands on its page")
    body = await request_input.raw(request)
    try:
        pairs = parse_qsl(body.decode(), max_num_fields=100, errors="strict")
    except ValueError:
        raise InvalidRequest("the form can't be read") from None
    if len(dict(pairs)) < len(pairs):
        raise InvalidRequest("a field of the form is there twice")
    return {name: value.strip() for name, value in pairs if value.strip()}


def required(fields: Mapping[str, str], name: str, what: str) -> str:
    """The value of a field. Raises InvalidRequest, saying what is wanted, if it is missing."""
    if name not in fields:
        raise InvalidRequest(f"say {what}", param=name)
    return fields[name]


def moment_of(name: str, text: str | None) -> datetime | None:
    """A moment of a filter: a date is its midnight, UTC. Raises InvalidRequest."""
    if not text:
        return None
    at = moment(text if "T" in text else f"{text}T00:00:00+00:00")
    if at is None:
        raise InvalidRequest(
            f"{name} must be a date such as 2026-11-29, or a moment with a zone", param=name
        )
    return at


def to(path: str) -> Response:
    """Redirect to another page of the console, with GET."""
    return RedirectResponse(f"{PATH}{path}", 303)


async def refused(request: Request, error: Exception) -> Response:
    """The page for an error, which is logged as at any other door."""
    problem = exception_handlers.told(request, error)
    if isinstance(problem, NoSuchPath) or isinstance(error, HTTPException):
        detail = "There is no such page."
    else:
        detail = str(problem)
    return page(request, "error.html", status=problem.status, problem=problem, detail=detail)


def _to_sign_in(request: Request) -> Response:
    wanted = request.url.path + (f"?{request.url.query}" if request.url.query else "")
    if request.method not in SAFE_METHODS:
        wanted = HOME
    response = RedirectResponse(f"{PATH}/login?next={quote(wanted, safe='')}", 303)
    secured(request, response)
    return response
