"""What keeps other sites out: the headers of every page, and the check of every form."""

import secrets
from urllib.parse import SplitResult, urlsplit

from starlette.requests import Request
from starlette.responses import Response

from payments.errors import Refused

SAFE_METHODS = ("GET", "HEAD")


class OtherSite(Refused):
    """A form that no page of ours has sent. Of no API, so it has no code in the contract."""

    code = "other_site"
    status = 403


def nonce_of(request: Request) -> str:
    """What scripts of this answer carry, so that the browser runs no others."""
    if not hasattr(request.state, "nonce"):
        request.state.nonce = secrets.token_urlsafe(16)
    nonce: str = request.state.nonce
    return nonce


def secured(request: Request, response: Response) -> Response:
    """The answer with what tells the browser to load nothing and send nothing elsewhere, and to
    show it in nobody's frame."""
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
    """Where the page is that a form was sent from, as the browser says; empty when it says
    nothing, or what is no address."""
    try:
        return urlsplit(request.headers.get("origin", ""))
    except ValueError:
        return urlsplit("")


def require_same_site(request: Request) -> None:
    """Raises OtherSite for a form that no page of ours has sent.

    Every browser since 2023 says in Sec-Fetch-Site where a request was made, which no page can
    change; older ones say the origin (https://www.w3.org/TR/fetch-metadata/).
    """
    site = request.headers.get("sec-fetch-site")
    if site is None:
        is_ours = origin_of(request).netloc == request.headers.get("host", "none")
        site = "same-origin" if is_ours else "unknown"
    if site != "same-origin":
        raise OtherSite("this form was sent from another site; open the console and send it there")
