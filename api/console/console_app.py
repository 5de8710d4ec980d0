"""The console as a separate application, mounted at `/console`."""

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

from api.app_state import AppState
from api.console.actions import ACTIONS
from api.console.actions import pages as acting
from api.console.door import refused
from api.console.pages import (
    account_pages,
    approval_pages,
    catalog_pages,
    dispute_pages,
    operating,
    overview,
    payment_pages,
    search_pages,
    signing_in,
    webhook_pages,
)
from api.console.rendering import HERE, static_version
from payments.payment_errors import BillingError

PAGES = (
    ("/charges", payment_pages.charges),
    ("/charges/{id}", payment_pages.charge),
    ("/refunds", payment_pages.refunds),
    ("/refunds/{id}", payment_pages.refund),
    ("/disputes", dispute_pages.disputes),
    ("/disputes/{id}", dispute_pages.dispute),
    ("/review", payment_pages.review),
    ("/approvals", approval_pages.approvals),
    ("/approvals/{id}", approval_pages.approval),
    ("/search", search_pages.search),
    ("/audit", search_pages.audit),
    ("/endpoints", webhook_pages.endpoints),
    ("/endpoints/{id}", webhook_pages.endpoint),
    ("/deliveries/{id}", webhook_pages.delivery),
    ("/messages", operating.messages),
    ("/quarantine/{id}", operating.message),
    ("/prices", catalog_pages.prices),
    ("/prices/{id}", catalog_pages.price),
    ("/takings", account_pages.takings),
    ("/books", account_pages.books),
    ("/keys", operating.keys),
    ("/keys/{id}", operating.key),
)
ROUTES = (
    Route("/", overview.show),
    Route("/login", signing_in.show, methods=["GET"]),
    Route("/login", signing_in.sign_in, methods=["POST"]),
    Route("/logout", signing_in.sign_out, methods=["POST"]),
    # Before the pages of objects, so that "new" isn't taken for an id.
    Route("/new/{of}/{name}", acting.show, methods=["GET"]),
    Route("/new/{of}/{name}", acting.do, methods=["POST"]),
    *(Route(path, handler) for path, handler in PAGES),
    Route("/{of}/{id}/{name}", acting.show, methods=["GET"]),
    Route("/{of}/{id}/{name}", acting.do, methods=["POST"]),
)


class Files(StaticFiles):
    """Files under a name that changes with their content: browsers cache them for ever."""

    async def get_response(self, path: str, scope: Scope) -> Response:
        response = await super().get_response(path, scope)
        if response.status_code == 200:
            response.headers["cache-control"] = "public, max-age=31536000, immutable"
        return response


def make(app_state: AppState) -> Starlette:
    """The console, with the state of the API."""
    files = Files(directory=HERE / "static")
    made = Starlette(
        routes=[Mount(f"/static/{static_version()}", files), *ROUTES],
        exception_handlers=dict.fromkeys((BillingError, HTTPException, Exception), refused),
    )
    made.router.redirect_slashes = False
    made.state.app_state = app_state
    made.state.titles = {f"{one.of}.{one.name}": one.title for one in ACTIONS.values()}
    made.state.routes = ()  # no hints for paths that almost match a route
    return made
