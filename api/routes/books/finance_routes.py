"""Exports and reports over HTTP: what `billing export` and `billing report` give."""

from collections.abc import AsyncIterator, Mapping
from datetime import UTC
from functools import partial
from typing import Annotated, Any

from fastapi import Query
from pydantic import BaseModel, ConfigDict, Field
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from api import answers
from api.database import Database
from api.description.route_docs import described, object_of
from api.routes.dependencies import Asker, app_state, router_of
from api.routes.filters import Moment
from api.routes.payment_routes import PREFIX
from payments.finance import exports, formats
from payments.finance.exports import By, Export, Format, What
from payments.finance.takings import Period, takings

exports_router = router_of("Finance", f"{PREFIX}/exports")
reports_router = router_of("Finance", f"{PREFIX}/reports")

MEDIA_TYPE = "text/plain; charset=utf-8"
_DESCRIBED = described({200: {}})
_FILE = {
    "description": "The file, in the format that was asked for, as it is read.",
    "content": {
        MEDIA_TYPE: {
            "schema": {
                "type": "string",
                "examples": ["charge_id,created_at,settled_at,state,currency,amount\n"],
            }
        }
    },
}
_DESCRIBED["responses"][200] = _FILE


def _amount(means: str, shown: int) -> Mapping[str, Any]:
    return {
        "type": "integer", "description": f"{means} Minor units.", "examples": [shown],
    }  # fmt: skip


_TAKINGS = object_of(
    period={"type": "string", "description": "The day or the month.", "examples": ["2026-11-30"]},
    currency={"type": "string", "description": "ISO 4217.", "examples": ["USD"]},
    gross=_amount("Taken of charges.", 125_000),
    refunds=_amount("Given back.", 4_000),
    disputes=_amount("Taken back by banks, less what they returned.", 0),
    fees=_amount("Kept by processors, in the currency in which they settle.", 3_725),
    exchanged=_amount("Come from other currencies, or gone into them (below zero).", 0),
    net=_amount("What the processor has more than before, before payouts.", 117_275),
    payouts=_amount("Paid out to your bank.", 0),
)


class Times(BaseModel):
    """Of which time, and whether of real money."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True, populate_by_name=True)

    since: Moment = Field(alias="from", description="From this moment (RFC 3339) on.")
    until: Moment = Field(alias="to", description="Up to this moment, which is not included.")
    livemode: bool | None = Field(
        None, description="Of real money or of test money; by default what new charges move."
    )


class Wanted(Times):
    by: By = Field("settled_at", description="Which moment counts; of the ledger, that of moves.")
    format: Format = Field("csv", description="hledger and beancount: postings, as a journal.")


@exports_router.get("/{what}", **_DESCRIBED)
async def export(
    request: Request, access: Asker, what: What, wanted: Annotated[Wanted, Query()]
) -> Response:
    """Export the charges, refunds or disputes that ended in a time, or what was posted in it: those
    of your own producer, or of all with a key for all. Real money and test money are never in one
    file. The file is sent as it is read; one that is not whole ends without a last chunk."""
    state = app_state(request)
    livemode = state.livemode if wanted.livemode is None else wanted.livemode
    whole = exports.in_format(
        Export(what, wanted.since, wanted.until, livemode, by=wanted.by, access=access),
        wanted.format,
    )
    # The first page before the first byte: what is wrong is answered as such.
    first = await state.database.read(partial(exports.page, wanted=whole))
    name = f"{what}.{formats.EXTENSIONS[wanted.format]}"
    return StreamingResponse(
        _file(state.database, whole, wanted.format, first),
        media_type=MEDIA_TYPE,
        headers={"content-disposition": f'attachment; filename="{name}"'},
    )


async def _file(
    database: Database, whole: Export, format_: Format, page: exports.Page
) -> AsyncIterator[str]:
    yield formats.begin(whole, format_)
    while True:
        yield "".join(formats.lines(whole, format_, page.rows))
        if page.after is None:
            return
        page = await database.read(partial(exports.page, wanted=whole, after=page.after))


@reports_router.get(
    "/{period}",
    **described({200: object_of(data={"type": "array", "items": _TAKINGS})}),
)
async def report(
    request: Request, access: Asker, period: Period, times: Annotated[Times, Query()]
) -> Response:
    """Report what was taken per day or month (UTC) and currency: of your own producer, or of all
    with a key for all. From the ledger, so its sums are those of the accounts. At most 366 days."""
    state = app_state(request)
    read = partial(
        takings,
        period=period,
        since=times.since.astimezone(UTC),
        until=times.until.astimezone(UTC),
        livemode=state.livemode if times.livemode is None else times.livemode,
        access=access,
    )
    found = await state.database.snapshot(read)
    return answers.one({"data": [one.view() for one in found]})
