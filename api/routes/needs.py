"""What routes need: a router, the building, and to know who asks."""

from typing import Annotated

from fastapi import APIRouter, Depends
from starlette.requests import Request

from api import asked
from api.building import Building
from payments.access.scopes import OPERATIONS, Access


def router_of(tag: str, prefix: str = "") -> APIRouter:
    """A router whose operations are called as its functions are."""
    return APIRouter(
        prefix=prefix, tags=[tag], generate_unique_id_function=lambda route: route.name
    )


def building(request: Request) -> Building:
    """What the routes stand on."""
    here: Building = request.app.state.building
    return here


def permission_for(request: Request) -> str:
    """What the route of the request needs of whoever asks."""
    return OPERATIONS[request.scope["route"].name]


async def _asker(request: Request) -> Access:
    access = await building(request).keyring.access(request)
    request.state.producer = access.producer  # for the log line
    access.require(permission_for(request))
    asked.once(request.query_params)
    return access


# Who asks, if they may. As a dependency, so that a stranger is told 401 before anything else that
# is wrong.
Asker = Annotated[Access, Depends(_asker)]
