"""Disputes: which are open and until when, and each in the timeline of its payment."""

from typing import Any

from sqlalchemy import Connection
from starlette.requests import Request
from starlette.responses import Response

from api.console.door import app_state, needing
from api.console.rendering import page
from api.console.session import Session
from models.rows import DisputeRow
from models.states import DisputeState
from payments.access.scopes import CHARGES_READ
from payments.disputes import lookup
from payments.history import timeline
from payments.kinds import CHARGE
from payments.lifecycle import payment_queries
from payments.paging import Page
from payments.timeline_entries import Entry
from payments.views import dispute_view

ROWS = 50


@needing(CHARGES_READ)
async def disputes(request: Request, session: Session) -> Response:
    """Disputes, newest first."""
    query = request.query_params
    filters = {name: query.get(name) or None for name in lookup.FILTERS}

    def read(connection: Connection) -> Page[DisputeRow]:
        return lookup.page(
            connection,
            filters=filters,
            limit=ROWS,
            cursor=query.get("cursor") or None,
            access=session.access,
        )

    found = await app_state(request).database.read(read)
    return page(
        request,
        "disputes.html",
        rows=[dispute_view(row) for row in found.rows],
        filters={name: value or "" for name, value in filters.items()},
        states=list(DisputeState),
        next_cursor=found.next_cursor,
    )


@needing(CHARGES_READ)
async def dispute(request: Request, session: Session) -> Response:
    """One dispute, and everything that happened to its payment."""
    id_, here = request.path_params["id"], app_state(request)

    def read(connection: Connection) -> tuple[DisputeRow, list[Entry], dict[str, Any]]:
        row = lookup.get(connection, id_, access=session.access)
        entries = timeline.of(
            connection,
            CHARGE,
            row.charge_id,
            statements=here.statements,
            access=session.access,
        )
        charge = payment_queries.get(connection, CHARGE, row.charge_id, access=session.access)
        return row, entries, CHARGE.view(charge)

    row, entries, charge = await here.database.snapshot(read)
    return page(
        request,
        "dispute.html",
        view=dispute_view(row),
        charge=charge,
        entries=[entry.view() for entry in entries],
    )
