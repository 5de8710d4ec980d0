"""The search, and the audit log."""

from typing import Any

from sqlalchemy import Connection
from starlette.requests import Request
from starlette.responses import Response

from api.console.door import app_state, moment_of, needing, to
from api.console.rendering import LISTS, page
from api.console.session import Session
from infra.billing.contract.ids import is_id
from models.rows import AuditRow
from payments.access import audit_log
from payments.access.scopes import OPERATE
from payments.history import search as rules
from payments.paging import Page

ROWS = 50
_FILTERS = ("actor", "action", "object_id", "request_id")


@needing(None)
async def search(request: Request, session: Session) -> Response:
    """The objects that a text names. An id leads to its page at once."""
    wanted, cursor = request.query_params.get("q", "").strip(), request.query_params.get("cursor")
    if not wanted:
        return _shown(request, "", rules.Page([], None), [])
    if (direct := page_of(wanted)) is not None:
        return to(direct)

    def read(connection: Connection) -> rules.Page:
        return rules.search(
            connection, wanted, access=session.access, limit=ROWS, cursor=cursor or None
        )

    found = await app_state(request).database.read(read)
    rows = [{**rules.view(one), "page": page_of(one.id, one.type)} for one in found.found]
    if len(rows) == 1 and found.next_cursor is None and rows[0]["page"]:
        return to(str(rows[0]["page"]))
    return _shown(request, wanted, found, rows)


def _shown(
    request: Request, wanted: str, found: rules.Page, rows: list[dict[str, Any]]
) -> Response:
    return page(
        request,
        "search.html",
        wanted=wanted,
        rows=rows,
        next_cursor=found.next_cursor,
        looked_until=found.looked_until,
        is_part=found.is_part,
    )


def page_of(id_: str, kind: str | None = None) -> str | None:
    """The page of the object with this id; None if it has no page."""
    if kind == "api_key":
        return f"/keys/{id_}"
    return next((f"/{name}/{id_}" for prefix, name in LISTS.items() if is_id(id_, prefix)), None)


@needing(OPERATE)
async def audit(request: Request, _: Session) -> Response:
    """What people and keys did, newest first."""
    query = request.query_params
    filters: dict[str, Any] = {name: query.get(name) or None for name in _FILTERS}
    moments = {name: moment_of(name, query.get(name)) for name in audit_log.BOUNDS}

    def read(connection: Connection) -> Page[AuditRow]:
        return audit_log.page(
            connection,
            filters={**filters, **moments},
            limit=ROWS,
            cursor=query.get("cursor") or None,
        )

    found = await app_state(request).database.read(read)
    views = [audit_log.view(row) for row in found.rows]
    return page(
        request,
        "audit.html",
        rows=[{**one, "changes": audit_log.changes(one)} for one in views],
        filters={name: query.get(name, "") for name in (*_FILTERS, *audit_log.BOUNDS)},
        next_cursor=found.next_cursor,
    )
