"""Refused and quarantined messages, and API keys: for operators only."""

from itertools import islice
from typing import Any

from sqlalchemy import Connection
from starlette.requests import Request
from starlette.responses import Response

from api.console import actions, subjects
from api.console.door import app_state, needing
from api.console.rendering import page
from api.console.session import Session
from api.console.subjects import number_of
from payments.access import keys as rules
from payments.access.scopes import OPERATE
from payments.intake import quarantine, rejections

ROWS = 50


@needing(OPERATE)
async def messages(request: Request, _: Session) -> Response:
    """Refused requests and quarantined messages, newest first."""

    def read(connection: Connection) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
        refused = list(rejections.newest(connection, limit=ROWS))
        kept = islice(quarantine.every(connection), ROWS)
        return refused, [quarantine.view(row) for row in kept]

    refused, kept = await app_state(request).database.read(read)
    return page(request, "messages.html", refused=refused, kept=kept, shown=ROWS)


@needing(OPERATE)
async def message(request: Request, session: Session) -> Response:
    """One message in quarantine, without personal data."""
    number = number_of(request.path_params["id"])
    row = await app_state(request).database.read(lambda c: quarantine.get(c, number))
    return page(
        request,
        "message.html",
        view=quarantine.details(row),
        actions=actions.possible("quarantine", row, session),
    )


@needing(OPERATE)
async def keys(request: Request, session: Session) -> Response:
    """All API keys, newest first; never a secret."""
    rows = await app_state(request).database.read(lambda c: list(rules.every(c)))
    return page(request, "keys.html", rows=rows, actions=actions.of_list("keys", session))


@needing(OPERATE)
async def key(request: Request, session: Session) -> Response:
    """One API key."""
    id_ = request.path_params["id"]
    row, _ = await app_state(request).database.read(
        lambda c: subjects.of(c, "keys", id_, session.access)
    )
    return page(
        request,
        "key.html",
        view=rules.view(row),
        actions=actions.possible("keys", row, session),
    )
