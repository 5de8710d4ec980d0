"""What routes need: a router, the state of the application, and who asks."""

from typing import Annotated

from fastapi import APIRouter, Depends
from starlette.requests import Request

from api import request_input
from api.app_state import AppState
from payments.access.scopes import OPERATIONS, Access
from payments.acting import Acting, by_key


def router_of(tag: str, prefix: str = "") -> APIRouter:
    """A router whose operations are called as its functions are."""
    return APIRouter(
        prefix=prefix, tags=[tag], generate_unique_id_function=lambda route: route.name
    )


def app_state(request: Request) -> AppState:
    """What the routes stand on."""
    here: AppState = request.app.state.app_state
    return here


def permission_for(request: Request) -> str:
    """What the route of the request needs of whoever asks."""
    return OPERATIONS[request.scope["route"].name]


def acting(request: Request) -> Acting:
    """Who acts by the request of an `Asker`: its API key."""
    key: Acting = request.state.acting
    return key


async def _asker(request: Request) -> Access:
    access = await app_state(request).keyring.access(request)
    request.state.producer = access.producer  # for the log line
    request.state.acting = by_key(access, request.state.request_id)
    access.require(permission_for(request))
    request_input.once(request.query_params)
    return access


# Who asks, if they may. As a dependency, so that a stranger is told 401 before anything else that
# is wrong.
Asker = Annotated[Access, Depends(_asker)]
