"""Refunds over HTTP."""

from typing import Annotated

from fastapi import APIRouter, Query
from starlette.requests import Request
from starlette.responses import Response

from worker.http.routes import objects
from worker.http.routes.filters import RefundFilters
from worker.http.routes.needs import Reader, Writer

router = APIRouter(prefix=f"{objects.PREFIX}/refunds", tags=["Refunds"])


@router.post("")
async def create_refund(request: Request, producer: Writer) -> Response:
    """Give money of a charge back, once per key."""
    return await objects.create(request, "refund", producer=producer)


@router.get("")
async def list_refunds(
    request: Request, _: Reader, filters: Annotated[RefundFilters, Query()]
) -> Response:
    """List refunds, newest first."""
    return await objects.page(
        request, "refund", filters.conditions(), limit=filters.limit, cursor=filters.cursor
    )


@router.get("/{id}")
async def get_refund(request: Request, _: Reader, id: str) -> Response:  # noqa: A002  # its name in the URL
    """Get a refund as it stands."""
    return await objects.get(request, "refund", id)


@router.get("/{id}/timeline")
async def get_refund_timeline(request: Request, _: Reader, id: str) -> Response:  # noqa: A002  # likewise
    """Get everything that happened to a refund, in order."""
    return await objects.story(request, "refund", id)
