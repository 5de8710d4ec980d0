"""Requests that a second person must approve."""

from starlette.requests import Request
from starlette.responses import Response

from api.console import actions
from api.console.door import app_state, needing
from api.console.rendering import page
from api.console.session import Session
from payments.access.scopes import OPERATE
from payments.lifecycle.approving import waiting

ROWS = 50


@needing(OPERATE)
async def approvals(request: Request, _: Session) -> Response:
    """Requests and decisions, newest first."""
    query = request.query_params
    filters = {name: query.get(name) or None for name in waiting.FILTERS}
    found = await app_state(request).database.read(
        lambda c: waiting.page(c, filters=filters, limit=ROWS, cursor=query.get("cursor") or None)
    )
    return page(
        request,
        "approvals.html",
        rows=[waiting.view(row) for row in found.rows],
        filters={name: value or "" for name, value in filters.items()},
        states=waiting.STATES,
        next_cursor=found.next_cursor,
    )


@needing(OPERATE)
async def approval(request: Request, session: Session) -> Response:
    """A single request."""
    id_ = request.path_params["id"]
    row = await app_state(request).database.read(lambda c: waiting.get(c, id_))
    return page(
        request,
        "approval.html",
        view=waiting.view(row),
        actions=actions.possible("approvals", row, session),
    )
