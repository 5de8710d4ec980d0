"""The ASGI application: routes, and the edge around them."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI
from fastapi.routing import APIRoute
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from api import answers
from api.app_state import AppState
from api.console.session import HOME, PATH
from api.description import openapi
from api.edge import exception_handlers
from api.edge.edge import DEPRECATED, Application, Edge
from api.routes import (
    charge_routes,
    currency_routes,
    description_routes,
    endpoint_routes,
    event_routes,
    health_routes,
    price_routes,
    processor_routes,
    product_routes,
    refund_routes,
)
from api.routes.books import finance_routes
from api.routes.operating import approval_routes, audit_routes, search_routes
from api.routes.payment_routes import PREFIX
from payments.access.scopes import OPERATIONS, SIGNED

ROUTERS = (
    charge_routes.router,
    refund_routes.router,
    charge_routes.disputes,
    product_routes.router,
    price_routes.router,
    currency_routes.router,
    event_routes.router,
    endpoint_routes.router,
    event_routes.deliveries_of,
    event_routes.deliveries,
    finance_routes.exports_router,
    finance_routes.reports_router,
    approval_routes.router,
    audit_routes.router,
    search_routes.router,
    processor_routes.router,
    health_routes.router,
    description_routes.router,
)
ROUTES = [route for router in ROUTERS for route in router.routes if isinstance(route, APIRoute)]
# A route without a declared permission is not served.
RULED = OPERATIONS.keys() | SIGNED
if unruled := [r.name for r in ROUTES if r.path.startswith(PREFIX) and r.name not in RULED]:
    raise LookupError(f"payments.access.scopes.OPERATIONS lacks {', '.join(unruled)}")


# Marked in descriptions, and in the headers of their answers (api/edge/edge.py).
for ends in (route for route in ROUTES if route.name in DEPRECATED):
    ends.deprecated = True


def make(app_state: AppState) -> Application:
    """The application, with the state that its routes need; it is closed at the end."""

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        yield
        await app_state.close()

    app = FastAPI(
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
        openapi_url=None,  # api/description/openapi.py makes it
        redirect_slashes=False,
        telemetry={"tracing": False, "metrics": False, "logs": False},
    )
    app.state.app_state = app_state
    app.state.routes = ROUTES
    app.state.description = answers.encode(openapi.document(ROUTES))
    exception_handlers.install(app)
    for router in ROUTERS:
        app.include_router(router)
    if app_state.console.console == "on":
        _add_console(app, app_state)
    return Edge(app, app_state.hosts, access_log=app_state.access_log)


def _add_console(app: FastAPI, app_state: AppState) -> None:
    from api.console import console_app as console  # imports its templates

    async def to_console(_: Request) -> Response:
        return RedirectResponse(HOME, 308)

    app.add_route(PATH, to_console)
    app.mount(PATH, console.make(app_state))
