"""Signing in, and out."""

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from api.console import session as sessions
from api.console.door import app_state, form, required
from api.console.rendering import page
from api.console.safety import origin_of, require_same_site, secured
from api.console.session import HOME, PATH
from payments.payment_errors import Refused, Unauthenticated


async def show(request: Request) -> Response:
    """Ask for a key and a name."""
    return page(request, "login.html", next=_within(request.query_params.get("next")), wrong=None)


async def sign_in(request: Request) -> Response:
    """Begin a session, and show the page that was requested before."""
    require_same_site(request)
    here, fields = app_state(request), await form(request)
    wanted = _within(fields.get("next"))
    try:
        sealed = await sessions.sign_in(
            request,
            here,
            key=required(fields, "key", "which API key is yours"),
            name=required(fields, "name", "who you are"),
        )
    except Refused as refused:
        problem = here.limits.refused(request, refused) if refused.status == 401 else refused
        said = "This key is wrong, or was revoked." if problem.status == 401 else str(problem)
        if isinstance(problem, Unauthenticated) or problem.status == 400:
            return page(request, "login.html", status=problem.status, next=wanted, wrong=said)
        raise problem from None
    response = RedirectResponse(wanted, 303)
    # The page itself came from there, so the browser's origin shows whether TLS is in front.
    is_secure = origin_of(request).scheme == "https"
    sessions.give(response, sealed, is_secure=is_secure)
    return secured(request, response)


async def sign_out(request: Request) -> Response:
    """End the session."""
    require_same_site(request)
    response = RedirectResponse(f"{PATH}/login", 303)
    sessions.take(response)
    return secured(request, response)


def _within(path: str | None) -> str:
    """The requested page, if it is one of ours: never a redirect elsewhere."""
    is_ours = path is not None and path.startswith(HOME) and path.isprintable()
    return path if path and is_ours and "\\" not in path else HOME
