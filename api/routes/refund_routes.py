"""Refunds over HTTP."""

from typing import Annotated

from fastapi import Query
from starlette.requests import Request
from starlette.responses import Response

from api.description.route_docs import described, object_of, page_of, ref
from api.routes import payment_routes
from api.routes.dependencies import Asker, router_of
from api.routes.filters import RefundFilters
from api.routes.request_bodies import Body, Waits
from infra.billing.contract.objects import Refund, TimelineEntry
from infra.billing.contract.requests.refund_request import RefundRequest

router = router_of("Refunds", f"{payment_routes.PREFIX}/refunds")


@router.post(
    "",
    **described(
        {202: ref(Refund), 200: ref(Refund)},
        refuses=(404, 409),
        is_made=True,
    ),
)
async def create_refund(
    request: Annotated[Request, Body(RefundRequest), Waits()],
) -> Response:
    """Give money of a charge back, once per key. 202: accepted. 200: a repeat
    (`Idempotent-Replayed: true`), answered with the refund as it is now; or a refund that is final,
    as `Prefer: wait` asked for."""
    return await payment_routes.create(request, "refund")


@router.get("", **described({200: page_of(Refund)}))
async def list_refunds(
    request: Request, access: Asker, filters: Annotated[RefundFilters, Query()]
) -> Response:
    """List refunds, newest first."""
    return await payment_routes.page(
        request, access, "refund", filters.conditions(), limit=filters.limit, cursor=filters.cursor
    )


@router.get("/{id}", **described({200: ref(Refund)}, refuses=(404,)))
async def get_refund(
    request: Annotated[Request, Waits()],
    access: Asker,
    id: str,  # noqa: A002  # its name in the URL
) -> Response:
    """Get a refund."""
    return await payment_routes.get(request, access, "refund", id)


@router.get(
    "/{id}/timeline",
    **described(
        {200: object_of(data={"type": "array", "items": ref(TimelineEntry)})}, refuses=(404,)
    ),
)
async def get_refund_timeline(request: Request, access: Asker, id: str) -> Response:  # noqa: A002  # likewise
    """Get everything that happened to a refund, in order."""
    return await payment_routes.story(request, access, "refund", id)
