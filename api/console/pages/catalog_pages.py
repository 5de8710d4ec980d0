"""Prices and their stock."""

from typing import Any

from sqlalchemy import Connection
from starlette.requests import Request
from starlette.responses import Response

from api.console import actions
from api.console.door import app_state, needing
from api.console.rendering import page
from api.console.session import Session
from payments.access.scopes import PRICES_READ
from payments.catalog import listing, price_locks
from payments.catalog.catalog_views import price_view
from payments.history import timeline
from payments.payment_errors import NotFound
from payments.timeline_entries import Entry

ROWS = 50


@needing(PRICES_READ)
async def prices(request: Request, _: Session) -> Response:
    """Prices, newest first."""
    cursor = request.query_params.get("cursor") or None
    found = await app_state(request).database.read(
        lambda c: listing.page(c, "price", page_size=ROWS, cursor=cursor)
    )
    return page(request, "prices.html", rows=found.views, next_cursor=found.next_cursor)


@needing(PRICES_READ)
async def price(request: Request, session: Session) -> Response:
    """One price: what it costs, its stock, and its history."""
    id_, here = request.path_params["id"], app_state(request)

    def read(connection: Connection) -> tuple[dict[str, Any], Any, list[Entry]]:
        row, product = price_locks.find(connection, id_)
        entries: list[Entry] = []
        try:
            entries = timeline.timeline(
                connection, row.id, statements=here.statements, access=session.access
            )
        except NotFound:
            entries = []
        return price_view(row, product), row, entries

    view, row, entries = await here.database.snapshot(read)
    return page(
        request,
        "price.html",
        view=view,
        entries=[entry.view() for entry in entries],
        actions=actions.possible("prices", row, session),
    )
