"""Charges and refunds: lists, one with its timeline, and what needs review."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection
from starlette.requests import Request
from starlette.responses import Response

from api.console import actions, diagram
from api.console.door import app_state, needing
from api.console.rendering import page
from api.console.session import Session
from infra.billing.contract.ids import PREFIXES, is_id
from infra.billing.contract.ids import Kind as KindName
from infra.billing.contract.limits import LIMIT_MAX
from models.rows import LifecycleRow
from models.states import Phase, State, status_of
from payments.access.scopes import CHARGES_READ
from payments.history import timeline
from payments.kinds import KINDS, REFUND, Kind
from payments.lifecycle import payment_queries
from payments.paging import Page
from payments.payment_errors import NotFound
from payments.timeline_entries import Entry

ROWS = 50
_FILTERS: Mapping[str, tuple[str, ...]] = {
    "charge": ("state", "phase", "customer_id", "reference"),
    "refund": ("state", "phase", "charge_id"),
}


@needing(CHARGES_READ)
async def charges(request: Request, session: Session) -> Response:
    """Charges, newest first."""
    return await _listed(request, session, "charge")


@needing(CHARGES_READ)
async def refunds(request: Request, session: Session) -> Response:
    """Refunds, newest first."""
    return await _listed(request, session, "refund")


async def _listed(request: Request, session: Session, kind: KindName) -> Response:
    query = request.query_params
    filters = {name: query[name] for name in _FILTERS[kind] if query.get(name)}

    def read(connection: Connection) -> Page[Any]:
        return payment_queries.page(
            connection,
            KINDS[kind],
            filters=filters,
            limit=ROWS,
            cursor=query.get("cursor") or None,
            access=session.access,
        )

    found = await app_state(request).database.read(read)
    return page(
        request,
        "payments.html",
        kind=kind,
        rows=[KINDS[kind].view(row) for row in found.rows],
        filters={name: filters.get(name, "") for name in _FILTERS[kind]},
        next_cursor=found.next_cursor,
        states=[state.value for state in State],
        phases=[phase.value for phase in Phase],
    )


@needing(CHARGES_READ)
async def charge(request: Request, session: Session) -> Response:
    """One charge: its state, its timeline, and the possible actions."""
    return await _one(request, session, "charge")


@needing(CHARGES_READ)
async def refund(request: Request, session: Session) -> Response:
    """One refund, in the same way."""
    return await _one(request, session, "refund")


async def _one(request: Request, session: Session, kind: KindName) -> Response:
    id_, here = request.path_params["id"], app_state(request)
    if not is_id(id_, PREFIXES[kind]):
        raise NotFound(f"there is no {kind} with this id", param="id")

    def read(connection: Connection) -> tuple[Any, list[Entry], list[dict[str, Any]]]:
        row = payment_queries.get(connection, KINDS[kind], id_, access=session.access)
        entries = timeline.timeline(
            connection, id_, statements=here.statements, access=session.access
        )
        returned: list[dict[str, Any]] = []
        if kind == "charge":
            of_it = {"charge_id": id_}
            found = payment_queries.page(connection, REFUND, filters=of_it, access=session.access)
            returned = [REFUND.view(one) for one in found.rows]
        return row, entries, returned

    row, entries, returned = await here.database.snapshot(read)
    outcomes = [str(e.facts["outcome"]) for e in entries if e.what == "attempt"]
    return page(
        request,
        "payment.html",
        kind=kind,
        view=KINDS[kind].view(row),
        entries=[entry.view() for entry in entries],
        refunds=returned,
        picture=diagram.of(kind, outcomes, status_of(row.state, row.phase)),
        actions=actions.possible(f"{kind}s", row, session),
        is_moving=not payment_queries.is_at_rest(row),
    )


@needing(CHARGES_READ)
async def review(request: Request, session: Session) -> Response:
    """What only a person can settle."""

    def read(connection: Connection) -> list[dict[str, Any]]:
        waiting = {"phase": Phase.NEEDS_REVIEW.value}
        return [
            _named(kind, row)
            for kind in KINDS.values()
            for row in payment_queries.page(
                connection, kind, filters=waiting, limit=LIMIT_MAX, access=session.access
            ).rows
        ]

    rows = await app_state(request).database.read(read)
    return page(request, "review.html", rows=rows)


def _named(kind: Kind, row: LifecycleRow) -> dict[str, Any]:
    """A charge or a refund for a list of both."""
    return {**kind.view(row), "kind": kind.name, "id": row.id}
