"""Protection from other sites: the headers of every page, and the check of every form."""

import secrets
from urllib.parse import SplitResult, urlsplit

from starlette.requests import Request
from starlette.responses import Response

from payments.payment_errors import Refused

SAFE_METHODS = ("GET", "HEAD")


class OtherSite(Refused):
    """A form that was not sent by one of our pages. Not part of the API, so it has no code in the
    contract."""

    code = "other_site"
    status = 403


def nonce_of(request: Request) -> str:
    """The nonce of this answer's scripts, so that the browser runs no others."""
    if not hasattr(request.state, "nonce"):
        request.state.nonce = secrets.token_urlsafe(16)
    nonce: str = request.state.nonce
    return nonce


def secured(request: Request, response: Response) -> Response:
    """The answer with headers that make the browser load and send nothing elsewhere, and forbid
    framing."""
    response.headers.update(
        {
            "content-security-policy": "; ".join(
                (
                    "default-src 'none'",
                    f"script-src 'nonce-{nonce_of(request)}'",
                    "style-src 'self'",
                    "img-src 'self' data:",
                    "connect-src 'self'",
                    "form-action 'self'",
                    "base-uri 'none'",
                    "frame-ancestors 'none'",
                )
            ),
            "referrer-policy": "same-origin",
            "x-content-type-options": "nosniff",
            "x-frame-options": "DENY",
            "cross-origin-opener-policy": "same-origin",
            "cross-origin-resource-policy": "same-origin",
        }
    )
    return response


def origin_of(request: Request) -> SplitResult:
    """The origin of the page that a form was sent from, as the browser says; empty if it says none,
    or an invalid one."""
    try:
        return urlsplit(request.headers.get("origin", ""))
    except ValueError:
        return urlsplit("")


def require_same_site(request: Request) -> None:
    """Raise OtherSite for a form that was not sent by one of our pages.

    Every browser since 2023 says in Sec-Fetch-Site where a request comes from, which no page can
    change; older ones say the origin (https://www.w3.org/TR/fetch-metadata/).
    """
    site = request.headers.get("sec-fetch-site")
    if site is None:
        is_ours = origin_of(request).netloc == request.headers.get("host", "none")
        site = "same-origin" if is_ours else "unknown"
    if site != "same-origin":
        raise OtherSite("this form was sent from another site; open the console and send it there")
