"""Endpoints and deliveries: the receivers, their answers, and the result of each webhook."""

from typing import Any

from sqlalchemy import Connection
from starlette.requests import Request
from starlette.responses import Response

from api.console import actions
from api.console.door import app_state, needing
from api.console.rendering import page
from api.console.session import Session
from infra.billing.contract.limits import LIMIT_MAX
from models.rows import DeliveryRow
from payments.access.scopes import WEBHOOKS_READ
from payments.paging import Page
from payments.transaction import Transaction
from payments.webhooks import endpoints as rules
from payments.webhooks.records import delivery_queries

ROWS = 50


@needing(WEBHOOKS_READ)
async def endpoints(request: Request, session: Session) -> Response:
    """All endpoints, with their health."""
    after = request.query_params.get("cursor", "")

    def read(connection: Connection) -> list[dict[str, Any]]:
        found = rules.listed(
            Transaction(connection), limit=LIMIT_MAX + 1, after=after, access=session.access
        )
        return [rules.view(row) for row in found]

    rows = await app_state(request).database.read(read)
    shown = rows[:LIMIT_MAX]
    return page(
        request,
        "endpoints.html",
        rows=shown,
        next_cursor=shown[-1]["id"] if len(rows) > len(shown) else None,
        actions=actions.of_list("endpoints", session),
    )


@needing(WEBHOOKS_READ)
async def endpoint(request: Request, session: Session) -> Response:
    """One endpoint: its settings, its health, and the newest deliveries."""
    id_, query = request.path_params["id"], request.query_params
    state = query.get("state") or None

    def read(connection: Connection) -> tuple[Any, Page[DeliveryRow]]:
        row = rules.get(Transaction(connection), id_, access=session.access)
        deliveries = delivery_queries.page(
            connection,
            id_,
            filters={"state": state},
            limit=ROWS,
            cursor=query.get("cursor") or None,
            access=session.access,
        )
        return row, deliveries

    row, deliveries = await app_state(request).database.read(read)
    return page(
        request,
        "endpoint.html",
        view=rules.view(row),
        deliveries=[delivery_queries.view(one) for one in deliveries.rows],
        next_cursor=deliveries.next_cursor,
        state=state or "",
        states=delivery_queries.STATES,
        actions=actions.possible("endpoints", row, session),
    )


@needing(WEBHOOKS_READ)
async def delivery(request: Request, session: Session) -> Response:
    """One delivery, and each of its attempts."""
    id_ = request.path_params["id"]

    def read(connection: Connection) -> tuple[Any, dict[str, Any]]:
        row = delivery_queries.get(connection, id_, access=session.access)
        return row, delivery_queries.with_attempts(connection, id_, access=session.access)

    row, view = await app_state(request).database.snapshot(read)
    return page(
        request,
        "delivery.html",
        view=view,
        actions=actions.possible("deliveries", row, session),
    )
