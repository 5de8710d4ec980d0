"""The first page: the present activity, what waits, and what needs a person."""

from dataclasses import dataclass

from sqlalchemy import Connection
from starlette.requests import Request
from starlette.responses import Response

from api.console import plots
from api.console.door import app_state, needing
from api.console.rendering import page
from api.console.session import Session
from models.states import Phase
from payments.access.scopes import CHARGES_READ, WEBHOOKS_READ, Access
from payments.audit import health, outstanding, pulse
from payments.audit.outstanding import Pile
from payments.audit.pulse import Pulse
from payments.transaction import Transaction
from payments.webhooks import endpoints

# Endpoints shown here; the rest has its own page.
ENDPOINTS_MAX = 20


@dataclass(frozen=True, slots=True)
class Everything:
    """The state of the whole service, with access to everything."""

    piles: list[Pile]
    needs_review: int
    quarantined: int
    swept_ago_s: float | None
    late: int

    @property
    def is_swept(self) -> bool:
        return self.swept_ago_s is not None and self.swept_ago_s < health.SWEEPS_STOPPED_S


@needing(CHARGES_READ)
async def show(request: Request, session: Session) -> Response:
    """The whole page; its numbers refresh by themselves with a script."""
    here = app_state(request)
    names = list(here.processors)

    def read(connection: Connection) -> tuple[Pulse, Everything | None, list[dict[str, object]]]:
        everything = _everything(connection, names) if session.access.sees_all else None
        shown = _endpoints(connection, session.access) if session.may(WEBHOOKS_READ) else []
        return pulse.take(connection, access=session.access), everything, shown

    beat, everything, shown = await here.database.snapshot(read)
    part = "overview_figures.html" if request.headers.get("hx-request") else "overview.html"
    return page(
        request,
        part,
        pulse=beat,
        plot=plots.by_minute(beat.minutes),
        everything=everything,
        endpoints=shown,
    )


def _everything(connection: Connection, processors: list[str]) -> Everything:
    piles = outstanding.piles(connection)
    return Everything(
        sorted(piles, key=lambda pile: (pile.kind, -pile.oldest_s)),
        sum(pile.count for pile in piles if pile.phase == Phase.NEEDS_REVIEW),
        health.quarantined(connection),
        health.swept_ago_s(connection),
        sum(one.overdue for one in outstanding.late(connection, processors)),
    )


def _endpoints(connection: Connection, access: Access) -> list[dict[str, object]]:
    rows = endpoints.listed(Transaction(connection), limit=ENDPOINTS_MAX, after="", access=access)
    return [endpoints.view(row) for row in rows]
