"""What people and keys did, over HTTP: for operators, and read only."""

from functools import partial
from typing import Annotated

from fastapi import Query
from starlette.requests import Request
from starlette.responses import Response

from api import answers
from api.description.route_docs import described, page_of
from api.list_horizon import horizon
from api.routes.dependencies import Asker, app_state, router_of
from api.routes.filters import AuditFilters
from api.routes.payment_routes import PREFIX
from infra.billing.contract.objects import AuditEntry
from payments.access import audit_log

router = router_of("Operating", f"{PREFIX}/audit")


@router.get("", **described({200: page_of(AuditEntry)}))
async def list_audit(
    request: Request, _: Asker, filters: Annotated[AuditFilters, Query()]
) -> Response:
    """List what people and API keys did, newest first. Nothing of it can be changed."""
    database = app_state(request).database
    read = partial(
        audit_log.page,
        filters=filters.conditions(),
        limit=filters.limit,
        cursor=filters.cursor or None,
        until=await horizon(database, audit_log.TABLE),
    )
    found = await database.read(read)
    return answers.page([audit_log.view(row) for row in found.rows], next_cursor=found.next_cursor)
