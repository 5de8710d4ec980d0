"""Charges over HTTP."""

from typing import Annotated

from fastapi import APIRouter, Query
from starlette.requests import Request
from starlette.responses import Response

from worker.http.routes import objects
from worker.http.routes.filters import ChargeFilters
from worker.http.routes.needs import Reader, Writer

router = APIRouter(prefix=f"{objects.PREFIX}/charges", tags=["Charges"])


@router.post("")
async def create_charge(request: Request, producer: Writer) -> Response:
    """Take money, once per key."""
    return await objects.create(request, "charge", producer=producer)


@router.get("")
async def list_charges(
    request: Request, _: Reader, filters: Annotated[ChargeFilters, Query()]
) -> Response:
    """List charges, newest first."""
    return await objects.page(
        request, "charge", filters.conditions(), limit=filters.limit, cursor=filters.cursor
    )


@router.get("/{id}")
async def get_charge(request: Request, _: Reader, id: str) -> Response:  # noqa: A002  # its name in the URL
    """Get a charge as it stands."""
    return await objects.get(request, "charge", id)


@router.get("/{id}/timeline")
async def get_charge_timeline(request: Request, _: Reader, id: str) -> Response:  # noqa: A002  # likewise
    """Get everything that happened to a charge, in order."""
    return await objects.story(request, "charge", id)
