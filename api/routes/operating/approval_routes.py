"""What a second person must approve, over HTTP: for operators."""

from dataclasses import replace
from functools import partial
from typing import Annotated

from fastapi import Query
from starlette.requests import Request
from starlette.responses import Response

from api import answers
from api.description.route_docs import described, page_of, ref
from api.list_horizon import horizon
from api.routes.dependencies import Asker, acting, app_state, router_of
from api.routes.filters import ApprovalFilters
from api.routes.payment_routes import PREFIX
from api.routes.request_bodies import body
from infra.billing.contract.objects import Approval
from infra.billing.contract.requests.second_opinion import SecondOpinion
from payments.lifecycle.approving import deciding, waiting
from payments.lifecycle.approving.deciding import Verdict

router = router_of("Operating", f"{PREFIX}/approvals")

Opinion = Annotated[SecondOpinion, body(SecondOpinion)]


@router.get("", **described({200: page_of(Approval)}))
async def list_approvals(
    request: Request, _: Asker, filters: Annotated[ApprovalFilters, Query()]
) -> Response:
    """List what somebody asked for that a second person must approve, and what they decided, newest
    first."""
    database = app_state(request).database
    read = partial(
        waiting.page,
        filters=filters.conditions(),
        limit=filters.limit,
        cursor=filters.cursor or None,
        until=await horizon(database, waiting.TABLE),
    )
    found = await database.read(read)
    return answers.page([waiting.view(row) for row in found.rows], next_cursor=found.next_cursor)


@router.get("/{id}", **described({200: ref(Approval)}, refuses=(404,)))
async def get_approval(request: Request, _: Asker, id: str) -> Response:  # noqa: A002  # its name in the URL
    """Get what somebody asked for."""
    row = await app_state(request).database.read(partial(waiting.get, id_=id))
    return answers.one(waiting.view(row))


@router.post("/{id}/approve", **described({200: ref(Approval)}, refuses=(403, 404, 409)))
async def approve(request: Request, _: Asker, id: str, opinion: Opinion) -> Response:  # noqa: A002  # likewise
    """Have it done. Whoever asked for it may not (403 `second_person_required`). To approve twice
    is to approve once."""
    return await _decide(request, id, "approved", opinion)


@router.post("/{id}/reject", **described({200: ref(Approval)}, refuses=(404, 409)))
async def reject(request: Request, _: Asker, id: str, opinion: Opinion) -> Response:  # noqa: A002  # likewise
    """Have it not done. Whoever asked for it may take it back so. To reject twice is to reject
    once."""
    return await _decide(request, id, "rejected", opinion)


async def _decide(request: Request, id_: str, verdict: Verdict, opinion: SecondOpinion) -> Response:
    row = await app_state(request).database.transaction(
        partial(deciding.decide, approval_id=id_, verdict=verdict),
        acting=replace(acting(request), why=opinion.reason),
    )
    return answers.one(waiting.view(row))
