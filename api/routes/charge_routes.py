"""Charges over HTTP, and the disputes of them."""

from functools import partial
from typing import Annotated

from fastapi import Depends, Query
from starlette.requests import Request
from starlette.responses import Response

from api import answers
from api.description.examples import as_it_is
from api.description.route_docs import described, object_of, page_of, ref
from api.list_horizon import horizon
from api.routes import payment_routes
from api.routes.dependencies import Asker, app_state, router_of
from api.routes.filters import ChargeFilters, DisputeFilters
from api.routes.payment_routes import Cancels, Captures
from api.routes.request_bodies import Body, Waits
from infra.billing.contract.objects import Charge, Dispute, TimelineEntry
from infra.billing.contract.requests.cancel_request import CancelRequest
from infra.billing.contract.requests.capture_request import CaptureRequest
from infra.billing.contract.requests.charge_request import ChargeRequest
from payments.disputes import lookup
from payments.views import dispute_view

router = router_of("Charges", f"{payment_routes.PREFIX}/charges")
disputes = router_of("Disputes", f"{payment_routes.PREFIX}/disputes")


@router.post(
    "",
    **described(
        {202: ref(Charge), 200: ref(Charge)},
        refuses=(409,),
        is_made=True,
    ),
)
async def create_charge(
    request: Annotated[Request, Body(ChargeRequest), Waits()],
) -> Response:
    """Take money, once per key. 202: accepted. 200: a repeat (`Idempotent-Replayed: true`),
    answered with the charge as it is now; or a final charge, as `Prefer: wait` asked for."""
    return await payment_routes.create(request, "charge")


@router.post(
    "/{id}/capture",
    **described(
        {202: ref(Charge), 200: ref(Charge)},
        refuses=(404, 409),
    ),
)
async def capture_charge(
    request: Annotated[Request, Waits()],
    access: Asker,
    wanted: Annotated[CaptureRequest, Depends(Captures())],
) -> Response:
    """Take money of a charge that is authorized, once per key: all that is left, or an `amount`.
    202: the processor is asked. 200: a repeat (`Idempotent-Replayed: true`), answered with the
    charge as it is now; or a final charge, as `Prefer: wait` asked for."""
    return await payment_routes.capture(request, access, wanted)


@router.post(
    "/{id}/cancel",
    **described(
        {202: ref(Charge), 200: ref(Charge)},
        refuses=(404, 409),
        shows={200: as_it_is("canceled")},
    ),
)
async def cancel_charge(
    request: Annotated[Request, Waits()],
    access: Asker,
    wanted: Annotated[CancelRequest, Depends(Cancels())],
) -> Response:
    """End a charge before any money moves. 200: it is canceled, now or before. 202: the processor
    is asked first, and money that moved meanwhile wins; `Prefer: wait` waits for that. To cancel
    twice is to cancel once."""
    return await payment_routes.cancel(request, access, wanted)


@router.get("", **described({200: page_of(Charge)}))
async def list_charges(
    request: Request, access: Asker, filters: Annotated[ChargeFilters, Query()]
) -> Response:
    """List charges, newest first."""
    return await payment_routes.page(
        request, access, "charge", filters.conditions(), limit=filters.limit, cursor=filters.cursor
    )


@router.get("/{id}", **described({200: ref(Charge)}, refuses=(404,)))
async def get_charge(
    request: Annotated[Request, Waits()],
    access: Asker,
    id: str,  # noqa: A002  # its name in the URL
) -> Response:
    """Get a charge."""
    return await payment_routes.get(request, access, "charge", id)


@router.get(
    "/{id}/timeline",
    **described(
        {200: object_of(data={"type": "array", "items": ref(TimelineEntry)})}, refuses=(404,)
    ),
)
async def get_charge_timeline(request: Request, access: Asker, id: str) -> Response:  # noqa: A002  # likewise
    """Get everything that happened to a charge, in order."""
    return await payment_routes.story(request, access, "charge", id)


# --- Disputes: read only, as they are answered at the processor


@disputes.get("", **described({200: page_of(Dispute)}))
async def list_disputes(
    request: Request, access: Asker, filters: Annotated[DisputeFilters, Query()]
) -> Response:
    """List disputes, newest first."""
    database = app_state(request).database
    found = await database.read(
        partial(
            lookup.page,
            filters=filters.conditions(),
            limit=filters.limit,
            cursor=filters.cursor or None,
            access=access,
            until=await horizon(database, lookup.TABLE),
        )
    )
    views = [dispute_view(row) for row in found.rows]
    return answers.page(views, next_cursor=found.next_cursor)


@disputes.get("/{id}", **described({200: ref(Dispute)}, refuses=(404,)))
async def get_dispute(request: Request, access: Asker, id: str) -> Response:  # noqa: A002  # its name in the URL
    """Get a dispute."""
    row = await app_state(request).database.read(partial(lookup.get, id_=id, access=access))
    return answers.one(dispute_view(row))
