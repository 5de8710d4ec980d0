"""What routes need: a router, the building, and to know who asks."""

from typing import Annotated

from fastapi import APIRouter, Depends
from starlette.requests import Request

from payments.keys import READ, WRITE
from worker.http import asked
from worker.http.building import Building


def router_of(tag: str, prefix: str = "") -> APIRouter:
    """A router whose operations are called as its functions are."""
    return APIRouter(
        prefix=prefix, tags=[tag], generate_unique_id_function=lambda route: route.name
    )


def building(request: Request) -> Building:
    """What the routes stand on."""
    here: Building = request.app.state.building
    return here


async def _reader(request: Request) -> str:
    return await _asker(request, READ)


async def _writer(request: Request) -> str:
    return await _asker(request, WRITE)


async def _asker(request: Request, scope: str) -> str:
    producer = await building(request).keyring.producer(request, scope)
    asked.once(request.query_params)
    request.state.producer = producer  # for the log line
    return producer


# The producer in whose name it asks. As a dependency, so that a stranger is told 401 before
# anything else that is wrong.
Reader = Annotated[str, Depends(_reader)]
Writer = Annotated[str, Depends(_writer)]
